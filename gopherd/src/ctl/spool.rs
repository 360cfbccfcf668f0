//! `gopher-ctl spool`: looking at what waits, waiting for it, giving it up.

use super::args::SpoolCommand;
use super::client::Client;
use super::failure::Failure;
use super::page::{Page, read};
use super::{Exit, show};
use gopher_api::{PurgeRequest, Purged, SpoolDocument};
use std::time::{Duration, Instant};

const SPOOL: &str = "/api/v1/spool";
/// Between two looks while it drains.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn spool(
    client: &Client,
    command: SpoolCommand,
    page: &mut Page<'_>,
) -> Result<Exit, Failure> {
    match command {
        SpoolCommand::Show => {
            let body = client.get(SPOOL).await?.accepted().await?;
            page.result(&body, |page, document: SpoolDocument| show::spool(&page.look, &document))?;
        }
        SpoolCommand::Drain { sink, timeout } => return drain(client, sink.as_deref(), timeout, page).await,
        SpoolCommand::Purge { sink, yes } => {
            if !yes {
                let what = format!("what waits for {sink} would be lost; say --yes");
                return Err(Failure::Input(what));
            }
            let request = serde_json::to_vec(&PurgeRequest { sink });
            let request = request.map_err(|error| Failure::Input(error.to_string()))?;
            let body = client.send("POST", "/api/v1/spool:purge", request).await?.accepted().await?;
            page.result(&body, |_, purged: Purged| show::purged(&purged))?;
        }
    }
    Ok(Exit::Done)
}

/// Waits until everything that waited at the beginning is delivered or given up.
async fn drain(
    client: &Client,
    sink: Option<&str>,
    timeout: Option<Duration>,
    page: &mut Page<'_>,
) -> Result<Exit, Failure> {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let mut target = None;
    loop {
        let body = client.get(SPOOL).await?.accepted().await?;
        let document: SpoolDocument = read(&body)?;
        let target = *target.get_or_insert(document.last_seq);
        let mut chosen = document.sinks.iter().filter(|known| sink.is_none_or(|sink| known.sink == sink));
        if let Some(sink) = sink
            && document.sinks.iter().all(|known| known.sink != sink)
        {
            return Err(Failure::Input(format!("there is no sink {sink}; gopher-ctl spool show lists them")));
        }
        let drained = chosen.all(|sink| sink.pending_records == 0 || sink.done_seq >= target);
        let late = end.is_some_and(|end| Instant::now() >= end);
        if drained || late {
            page.result(&body, |page, document: SpoolDocument| show::spool(&page.look, &document))?;
            return Ok(if drained { Exit::Done } else { Exit::Unfinished });
        }
        tokio::time::sleep(LOOK).await;
    }
}
