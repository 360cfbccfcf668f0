//! The spool, as the native API shows it.

use crate::delivery::Delivery;
use crate::http::Spooled;
use gopher_api::SpoolDocument;

impl Spooled for Delivery {
    fn document(&self) -> SpoolDocument {
        self.spool()
    }

    fn purge(&self, sink: &str) -> Option<u64> {
        Self::purge(self, sink).ok()
    }
}
