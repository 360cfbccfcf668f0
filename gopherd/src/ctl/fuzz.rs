//! What holds of whatever a daemon answers: nothing of it that `gopher-ctl` prints acts on a terminal.

use super::look::Look;
use super::{clean, events, page, show};
use gopher_api::{
    ApplyResult, Capabilities, EventDocument, ProbeDocument, ProbeItem, ProbeList, Purged, Ready,
    SpoolDocument, TargetPage,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// An answer. The first byte says which one, the second how wide the terminal is; 0 is as wide as it takes.
pub(crate) fn answer(bytes: &[u8]) {
    let Some(([kind, width], body)) = bytes.split_first_chunk::<2>() else { return };
    let look = Look { width: Some(u16::from(*width)).filter(|width| *width > 0), ..Look::default() };
    match kind.wrapping_sub(b'a') % 11 {
        0 => events::any_bytes(body),
        1 => clean::any_bytes(body),
        2 => shown(body, |event: EventDocument<'_>| show::event(&look, &event)),
        3 => shown(body, |list: ProbeList| show::list(&look, &list)),
        4 => shown(body, |page: TargetPage| show::targets(&look, &page)),
        5 => shown(body, |spool: SpoolDocument| show::spool(&look, &spool)),
        6 => shown(body, |purged: Purged| show::purged(&purged)),
        7 => shown(body, |host: Capabilities| show::capabilities(&look, &host)),
        8 => shown(body, |ready: Ready| show::ready(&look, &ready, false)),
        9 => shown(body, |result: ApplyResult| {
            show::applied(&look, &result) + &show::would_change(&look, &BTreeMap::new(), &result)
        }),
        _ => shown(body, |(item, probe): (ProbeItem, ProbeDocument)| show::explain(&look, &item, &probe)),
    }
}

fn shown<T: DeserializeOwned>(body: &[u8], show: impl FnOnce(T) -> String) {
    if let Ok(document) = page::read(body) {
        clean::harmless(&show(document));
    }
}
