//! Tables: what a probe emits, declared once. [`table!`](crate::table) turns a declaration into a struct
//! with one typed member a column, so that a missing label, a float for a counter or an undeclared field
//! does not compile, and into the static [`Table`] that names, units and help texts come from.

use crate::{Batch, Value};
use smol_str::SmolStr;

/// The text of a label; up to 23 bytes are kept inline.
pub type Label = SmolStr;

/// What the numbers of a column count or measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // each is its own name
pub enum Unit {
    None,
    Bytes,
    Kibibytes,
    KibibytesPerSecond,
    BytesPerSecond,
    Count,
    CountPerSecond,
    Percent,
    Ratio,
    Ticks,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    /// Seconds of a counter that holds nanoseconds: it has no fraction inside and is divided where it is shown.
    SecondsOfNanoseconds,
    Megahertz,
}

impl Unit {
    /// How the unit is written in the metric reference.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Bytes => "bytes",
            Self::Kibibytes => "kB (1024 bytes)",
            Self::KibibytesPerSecond => "kB/s (1024 bytes)",
            Self::BytesPerSecond => "bytes/s",
            Self::Count => "count",
            Self::CountPerSecond => "1/s",
            Self::Percent => "%",
            Self::Ratio => "ratio",
            Self::Ticks => "clock ticks",
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds | Self::SecondsOfNanoseconds => "s",
            Self::Megahertz => "MHz",
        }
    }

    /// How many of what a counter holds make one of the unit that is shown.
    pub fn parts(self) -> u64 {
        match self {
            Self::SecondsOfNanoseconds => 1_000_000_000,
            _ => 1,
        }
    }
}

/// How a column's values behave over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until its source is reset.
    Counter,
    /// A level, ratio, maximum or last value.
    Gauge,
    /// Counts by upper bound; the bounds are inclusive and ascending.
    Histogram(&'static [u64]),
}

/// A field of a table: one Prometheus family.
#[derive(Debug)]
pub struct Column {
    /// Field name, the end of the metric name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Help text: one sentence that ends in a full stop and names the source.
    pub help: &'static str,
}

/// A table: rows of one entity, told apart by subject and key labels.
#[derive(Debug)]
pub struct Table {
    /// Table name, as in metadata documents.
    pub name: &'static str,
    /// Entity: the middle of the metric name.
    pub entity: &'static str,
    /// The sub-probe that fills it; empty for a feature without sub-probes, and when several fill it.
    pub sub_probe: &'static str,
    /// Names of the key labels, in order.
    pub keys: &'static [&'static str],
    /// Names of the other labels, in order.
    pub labels: &'static [&'static str],
    /// The fields, in order.
    pub columns: &'static [Column],
}

/// A typed row; implemented by [`table!`](crate::table) alone.
pub trait Row {
    /// The table that it belongs to.
    const TABLE: &'static Table;
    /// Appends labels (keys first) and values, in the table's order.
    fn write(self, labels: &mut Vec<Label>, values: &mut Vec<Value>);
    /// Puts the row into `batch` about the host.
    fn host(self, batch: &mut Batch)
    where
        Self: Sized,
    {
        batch.push(crate::Subject::Host, crate::Baseline::FirstReading, self);
    }
}

/// Declares a table and the struct of its rows.
///
/// ```
/// probe_core::table! {
///     /// Packets of one network device.
///     pub struct Nic = "nic", entity "nic", sub_probe "nic" {
///         keys { dev_name }
///         labels { status }
///         counter rx_packets: Count = "Packets received, /proc/net/dev.";
///         gauge tc_backlog: Count = "Packets waiting in the egress queue now.";
///     }
/// }
/// use probe_core::Row;
/// assert_eq!(Nic::TABLE.columns[1].name, "tc_backlog");
/// let row = Nic { dev_name: "eth0".into(), status: "up".into(), rx_packets: Some(1), tc_backlog: None };
/// # let _ = row;
/// ```
///
/// An absent value is `None` and yields no sample; it is never written as 0.
#[macro_export]
macro_rules! table {
    (
        $(#[$doc:meta])*
        $vis:vis struct $row:ident = $table:literal, entity $entity:literal, sub_probe $sub:literal {
            keys { $($key:ident),* $(,)? }
            labels { $($label:ident),* $(,)? }
            $( $kind:ident $(($bounds:expr))? $field:ident : $unit:ident = $help:literal; )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        #[allow(non_snake_case, missing_docs)]
        $vis struct $row {
            $( pub $key: $crate::Label, )*
            $( pub $label: $crate::Label, )*
            $( pub $field: Option<$crate::__column_type!($kind)>, )+
        }
        impl $crate::Row for $row {
            const TABLE: &'static $crate::Table = &$crate::Table {
                name: $table,
                entity: $entity,
                sub_probe: $sub,
                keys: &[$(stringify!($key)),*],
                labels: &[$(stringify!($label)),*],
                columns: &[$(
                    $crate::Column {
                        name: stringify!($field),
                        kind: $crate::__column_kind!($kind $(($bounds))?),
                        unit: $crate::Unit::$unit,
                        help: $help,
                    },
                )+],
            };
            fn write(self, labels: &mut Vec<$crate::Label>, values: &mut Vec<$crate::Value>) {
                let _ = &labels;
                $( labels.push(self.$key); )*
                $( labels.push(self.$label); )*
                $( values.push(self.$field.into()); )+
            }
        }
    };
}

/// The Rust type of a column kind; part of [`table!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __column_type {
    (counter) => {
        u64
    };
    (gauge) => {
        f64
    };
    (histogram) => {
        $crate::Histogram
    };
}

/// The [`Kind`] of a column kind; part of [`table!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __column_kind {
    (counter) => {
        $crate::Kind::Counter
    };
    (gauge) => {
        $crate::Kind::Gauge
    };
    (histogram ($bounds:expr)) => {
        $crate::Kind::Histogram($bounds)
    };
}
