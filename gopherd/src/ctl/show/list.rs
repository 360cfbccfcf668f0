//! `probe list`: one line a feature.

use super::state_cell;
use crate::ctl::look::Look;
use crate::ctl::table::{Cell, Column, table};
use gopher_api::ProbeList;

pub(in crate::ctl) fn list(look: &Look, list: &ProbeList) -> String {
    let columns = [Column::Text("FEATURE"), Column::Text("STATE"), Column::Text("SUMMARY")];
    let row = |item: &gopher_api::ProbeItem| {
        vec![Cell::new(&item.feature), state_cell(item.state), Cell::new(&item.summary)]
    };
    table(look, &columns, list.items.iter().map(row).collect())
}
