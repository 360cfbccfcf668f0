//! The per-period view: gala-gopher's text, for tools that were made for it (reference 1.1, 1.3, 1.4). No
//! HELP and TYPE, values of the last completed period, the time of measurement on each line, an empty line
//! after each table.

use crate::expose::cumulative::{push, write_buckets};
use crate::expose::number;
use crate::store::{Listed, PeriodNames, Reading, Store, TableStore, read};
use probe_core::{Column, Kind, Table};

/// A row's last completed period.
#[derive(Debug)]
pub struct PeriodRow<'a> {
    store: &'a TableStore,
    at: usize,
    cells: &'a [u64],
    /// When the values were read, Unix time in ms.
    pub read_ms: u64,
}

impl<'a> PeriodRow<'a> {
    /// Its table.
    pub fn table(&self) -> &'static Table {
        self.store.table
    }

    /// Names and values of its labels, in the order in which they are written.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.store.pairs(self.at)
    }

    /// The columns that have a value.
    pub fn values(&self) -> impl Iterator<Item = (&'static Column, Reading<'a>)> {
        let (layout, cells) = (&self.store.layout, self.cells);
        let columns = self.store.table.columns.iter().enumerate();
        columns.filter_map(move |(at, column)| Some((column, layout.read(cells, at)?)))
    }
}

impl Store {
    /// Appends the per-period view of all features. The first call switches it on, and until a period has
    /// ended then there is nothing to show.
    pub fn write_per_period(&self, out: &mut Vec<u8>) {
        self.want_periods();
        self.catalogue().tables.iter().for_each(|listed| write_table(listed, out));
    }

    /// Appends the per-period view of one feature: what the log channel keeps of a period.
    pub fn write_period_of(&self, feature: &str, out: &mut Vec<u8>) {
        let catalogue = self.catalogue();
        catalogue.tables.iter().filter(|t| t.feature == feature).for_each(|listed| write_table(listed, out));
    }

    /// Visits what the rows of `feature` amounted to in the last completed period, for channels with
    /// documents. Ask for it after each batch that ended a period; nothing unless
    /// [`Store::want_periods`] was called before.
    pub fn period_rows(&self, feature: &str, visit: &mut dyn FnMut(&PeriodRow<'_>)) {
        let catalogue = self.catalogue();
        for listed in catalogue.tables.iter().filter(|listed| listed.feature == feature) {
            for_each_row(&read(&listed.store), visit);
        }
    }
}

fn for_each_row(store: &TableStore, visit: &mut dyn FnMut(&PeriodRow<'_>)) {
    let Some(periods) = store.periods() else { return };
    for at in 0..store.rows().len() {
        let (cells, read_ms) = periods.row(at);
        let row = PeriodRow { store, at, cells, read_ms };
        if row.values().next().is_some() {
            visit(&row);
        }
    }
}

fn write_table(listed: &Listed, out: &mut Vec<u8>) {
    let start = out.len();
    let store = read(&listed.store);
    for_each_row(&store, &mut |row| {
        let text = row.store.rows().slot(row.at).text();
        let mut end = |out: &mut Vec<u8>| {
            out.push(b' ');
            number::integer(row.read_ms, out);
            out.push(b'\n');
        };
        for (names, (at, column)) in listed.names.iter().zip(row.table().columns.iter().enumerate()) {
            if let Some(reading) = row.store.layout.read(row.cells, at) {
                write_reading(names, text, column, reading, out, &mut end);
            }
        }
    });
    if out.len() > start {
        out.push(b'\n');
    }
}

fn write_reading(
    names: &PeriodNames,
    text: &str,
    column: &Column,
    reading: Reading<'_>,
    out: &mut Vec<u8>,
    end: &mut dyn FnMut(&mut Vec<u8>),
) {
    match (reading, column.kind) {
        (Reading::Gauge(value), _) => write_float(&names.value, text, value, out, end),
        (Reading::Counter(value), _) => {
            push(out, &[&names.value, text, "} "]);
            number::counter(value, column.unit, out);
            end(out);
        }
        (Reading::Histogram { buckets, sum, max }, Kind::Histogram(bounds)) => {
            write_buckets(&names.value, text, bounds, buckets, out, end);
            write_float(&names.sum, text, sum, out, end);
            if let (Some(name), Some(max)) = (&names.max, max) {
                write_float(name, text, max, out, end);
            }
        }
        (Reading::Histogram { .. }, _) => {}
    }
}

fn write_float(name: &str, text: &str, value: f64, out: &mut Vec<u8>, end: &mut dyn FnMut(&mut Vec<u8>)) {
    push(out, &[name, text, "} "]);
    number::float(value, out);
    end(out);
}
