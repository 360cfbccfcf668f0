//! `events`: a page of the live stream, or the stream itself.

use super::args::{EventArgs, EventSeverity};
use super::client::Client;
use super::commands::encoded;
use super::failure::Failure;
use super::page::{Page, read};
use super::{clean, show};
use gopher_api::{EventDocument, EventPage};
use std::fmt::Write as _;

const PATH: &str = "/api/v1/events";

/// A longer message is not an event.
const MAX_MESSAGE: usize = 1 << 20;

pub(super) async fn events(client: &Client, args: &EventArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    if args.follow {
        return follow(client, args, page).await;
    }
    let body = client.get(&path(args)).await?.accepted().await?;
    page.result(&body, |page, EventPage { items, .. }| {
        if items.is_empty() {
            return "No event is kept that fits.\n".to_owned();
        }
        let line = |event| match serde_json::from_value::<EventDocument<'_>>(event) {
            Ok(event) => show::event(&page.look, &event),
            Err(error) => format!("an event that is not understood: {error}\n"),
        };
        items.into_iter().map(|item| line(item.event)).collect()
    })
}

fn path(args: &EventArgs) -> String {
    let mut path =
        if args.follow { format!("{PATH}?follow=true") } else { format!("{PATH}?limit={}", args.limit) };
    let severity = args.severity.map(|severity| match severity {
        EventSeverity::Info => "INFO",
        EventSeverity::Warn => "WARN",
        EventSeverity::Error => "ERROR",
        EventSeverity::Fatal => "FATAL",
    });
    let feature = args.feature.as_deref().map(str::to_lowercase);
    for (key, value) in [
        ("feature", feature.as_deref()),
        ("entity", args.entity.as_deref()),
        ("severity", severity),
        ("since", args.since.as_deref()),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(path, "&{key}={}", encoded(value));
        }
    }
    path
}

async fn follow(client: &Client, args: &EventArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    let mut reply = client.get(&path(args)).await?;
    reply.refused().await?;
    let mut messages = Messages::default();
    while let Some(chunk) = reply.chunk().await? {
        for message in messages.push(&chunk)? {
            match message.kind.as_str() {
                "" if page.json => page.document(format!("{}\n", message.data).as_bytes())?,
                "" => {
                    let event: EventDocument<'_> = read(message.data.as_bytes())?;
                    let line = show::event(&page.look, &event);
                    page.text(&line)?;
                }
                "missed" => page.warn(&["events in between are not kept any more".to_owned()]),
                other => {
                    page.warn(&[format!("a message of type {} is not understood", clean::inline(other))])
                }
            }
        }
    }
    Err(Failure::Unreachable(
        "the daemon has ended the stream: it stops, or cut a slow reader off".to_owned(),
    ))
}

/// One message of a stream of Server-Sent Events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    kind: String,
    data: String,
}

/// Takes a stream apart, wherever its pieces end.
#[derive(Debug, Default)]
struct Messages {
    rest: Vec<u8>,
    open: Message,
}

impl Messages {
    /// The messages that are complete after `piece`.
    fn push(&mut self, piece: &[u8]) -> Result<Vec<Message>, Failure> {
        self.rest.extend_from_slice(piece);
        let mut done = Vec::new();
        let mut from = 0;
        while let Some(length) = self.rest.get(from..).and_then(|rest| rest.iter().position(|b| *b == b'\n'))
        {
            let line = self.rest.get(from..from + length).unwrap_or_default();
            from += length + 1;
            let line = String::from_utf8_lossy(line);
            match line.split_once(':').map(|(name, value)| (name, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("event", kind)) => self.open.kind = kind.to_owned(),
                Some(("data", data)) => self.open.data.push_str(data),
                // Comments, ids, how long to wait, and what later versions may add.
                Some(_) => {}
                None if line.is_empty() => {
                    let message = std::mem::take(&mut self.open);
                    if !message.data.is_empty() {
                        done.push(message);
                    }
                }
                None => {}
            }
        }
        self.rest.drain(..from);
        if self.rest.len() + self.open.data.len() > MAX_MESSAGE {
            return Err(Failure::Unreachable("the daemon's answer is no stream of events".to_owned()));
        }
        Ok(done)
    }
}

/// What holds of any stream: messages are the same wherever its pieces end.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let whole = Messages::default().push(bytes).ok();
    let mut messages = Messages::default();
    let pieces: Result<Vec<_>, _> = bytes.chunks(7).map(|piece| messages.push(piece)).collect();
    let pieces = pieces.ok().map(|pieces| pieces.concat());
    assert_eq!(whole, pieces);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str =
        ": gopherd\nretry: 2000\n\nid: 7-1\ndata: {\"a\":1}\n\n:\n\nevent: missed\ndata: {}\n\n";

    fn expected() -> Vec<Message> {
        vec![
            Message { kind: String::new(), data: "{\"a\":1}".into() },
            Message { kind: "missed".into(), data: "{}".into() },
        ]
    }

    proptest! {
        #[test]
        fn messages_are_the_same_wherever_the_pieces_end(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut messages = Messages::default();
            let mut got = Vec::new();
            for pair in cuts.windows(2) {
                got.extend(messages.push(&STREAM.as_bytes()[pair[0]..pair[1]]).expect("a stream"));
            }
            prop_assert_eq!(got, expected());
        }
    }

    #[test]
    fn what_is_no_stream_of_events_is_not_kept_in_memory() {
        let mut messages = Messages::default();
        assert!(messages.push(&vec![b'x'; MAX_MESSAGE]).is_ok());
        assert!(messages.push(b"x").is_err());
    }

    #[test]
    fn what_is_asked_for_is_in_the_path() {
        let args = EventArgs {
            follow: false,
            feature: Some("TCP".into()),
            entity: Some("m_fs_:".into()),
            severity: Some(EventSeverity::Warn),
            since: Some("2026-01-02T03:04:05Z".into()),
            limit: 5,
        };
        assert_eq!(
            path(&args),
            "/api/v1/events?limit=5&feature=tcp&entity=m_fs_%3A&severity=WARN&since=2026%2D01%2D02T03%3A04%3A05Z"
        );
    }
}
