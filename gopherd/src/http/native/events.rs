//! `GET /api/v1/events`: a page of the live stream, or the stream itself as Server-Sent Events.
//!
//! Owns the query, the two forms and how long a client may take to read. Leaves which events there are to
//! `events::Live`.

use super::DOOR;
use crate::events::{Entry, Filter, Follower, Live, Part, Place};
use crate::http::connection::Line;
use crate::http::error::{RETRY_AFTER_S, Refusal};
use crate::http::parts::Parts;
use crate::http::query;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Events of a page when `limit` is not given, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// Events that a follower is given at once.
const CHUNK: usize = 64;

/// After so much silence a comment says that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A client that has not taken what it was given by then is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    #[serde(default)]
    follow: bool,
    feature: Option<String>,
    entity: Option<String>,
    severity: Option<String>,
    since: Option<String>,
    until: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// The live stream of events: a page, or with `follow=true` every event as it comes.
///
/// The daemon keeps the latest 4,096. With `follow=true` the answer is `text/event-stream`: one message an event, its
/// `data` the document, its `id` what `Last-Event-ID` or `after` takes to go on behind it. Without either it begins
/// with the next event. A message of type `missed` says that events in between are not kept any more.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "get_events", tag = "events",
    params(
        ("follow" = Option<bool>, Query, description = "Stay and be sent each event as it comes."),
        ("feature" = Option<String>, Query, description = "Only of this feature."),
        ("entity" = Option<String>, Query, description = "Only of this kind of entity, or of the one with this id."),
        ("severity" = Option<String>, Query, pattern = "^(INFO|WARN|ERROR|FATAL)$", description = "Only as serious or more: INFO, WARN, ERROR, FATAL."),
        ("since" = Option<String>, Query, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$", description = "Not earlier than this time, in UTC: 2026-01-02T03:04:05Z."),
        ("until" = Option<String>, Query, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$", description = "Earlier than this time, likewise; not with follow."),
        ("after" = Option<String>, Query, pattern = "^[0-9]{1,13}-[0-9]{1,18}$", description = "Only behind this id; a page's `next`. Without it a page has the newest."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Events of a page; 100 if not given. Not with follow."),
        ("Last-Event-ID" = Option<String>, Header, description = "With follow: as `after`, which it takes the place of."),
    ),
    responses(
        (status = 200, description = "The events.",
            content((gopher_api::EventPage = "application/json"), (gopher_api::EventMessage = "text/event-stream"))),
        (status = 400, description = "A query key or value that is unknown.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 404, description = "No such feature.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 503, description = "As many clients follow as may.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn get(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let query: EventQuery = query::parse(&request)?;
    let filter = filter(&query, &parts)?;
    let resumed = if query.follow { last_event_id(&request)? } else { None };
    let after = match (&query.after, resumed) {
        (_, Some(resumed)) => Some(resumed),
        (Some(text), None) => Some(place("after", text)?),
        (None, None) => None,
    };
    if query.follow {
        return follow(&request, &parts, &query, filter, after);
    }
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(invalid(format!("limit must be from 1 to {MAX_PAGE}")));
    }
    let part = match after {
        Some(after) => parts.live.after(after, &filter, limit),
        None => parts.live.newest(&filter, limit),
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(page(&parts.live, after, &part)))
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(DOOR, StatusCode::BAD_REQUEST, format!("query string: {}", detail.into()))
}

fn place(name: &str, text: &str) -> Result<Place, Refusal> {
    Place::parse(text)
        .ok_or_else(|| invalid(format!("{name} must be the id of an event, as in 1700000000000-42")))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<Place>, Refusal> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    match value.to_str() {
        // What a client sends that has seen no id yet.
        Ok("") => Ok(None),
        Ok(text) => place("Last-Event-ID", text).map(Some),
        Err(_) => place("Last-Event-ID", "").map(Some),
    }
}

/// What holds of any head: a place that was read is written as it was read. Why it is refused, if it is.
#[cfg(any(test, feature = "testing"))]
pub(in crate::http) fn any_head(request: &HttpRequest) -> Option<Refusal> {
    let resumed = last_event_id(request);
    if let Ok(Some(place)) = resumed {
        assert_eq!(Place::parse(&place.to_string()), Some(place));
    }
    let query = query::parse::<EventQuery>(request);
    let after = query.as_ref().ok().and_then(|query| query.after.as_deref());
    after.and_then(|after| place("after", after).err()).or(query.err()).or(resumed.err())
}

fn filter(query: &EventQuery, parts: &Parts) -> Result<Filter, Refusal> {
    let feature = match &query.feature {
        Some(name) => Some(super::find(parts, name)?.descriptor.name.to_owned()),
        None => None,
    };
    let severity = match query.severity.as_deref().map(str::to_ascii_uppercase).as_deref() {
        None => 0,
        Some("INFO") => 9,
        Some("WARN") => 13,
        Some("ERROR") => 17,
        Some("FATAL") => 21,
        Some(_) => return Err(invalid("severity must be INFO, WARN, ERROR or FATAL")),
    };
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match humantime::parse_rfc3339(text) {
            Ok(time) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Ok(Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
            }
            Err(_) => Err(invalid(format!("{name} must be a time in UTC, as in 2026-01-02T03:04:05Z"))),
        },
    };
    Ok(Filter {
        feature,
        entity: query.entity.clone(),
        severity,
        since_ms: time("since", &query.since)?,
        until_ms: time("until", &query.until)?,
    })
}

/// The page's text. The documents are put in as they are, so that they are the same here as on every channel.
fn page(live: &Live, after: Option<Place>, part: &Part) -> String {
    let documents: usize = part.entries.iter().map(|entry| entry.document.len() + 64).sum();
    let mut out = String::with_capacity(documents + 128);
    out.push_str("{\"items\":[");
    for (at, entry) in part.entries.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}{{\"id\":\"{}\",\"event\":", live.place(entry.seq));
        out.push_str(&String::from_utf8_lossy(&entry.document));
        out.push('}');
    }
    let missed = if after.is_some() && part.missed { ",\"missed\":true" } else { "" };
    let _ = write!(out, "],\"next\":\"{}\"{missed}}}", part.next);
    out.push('\n');
    out
}

fn follow(
    request: &HttpRequest,
    parts: &Parts,
    query: &EventQuery,
    filter: Filter,
    after: Option<Place>,
) -> Result<HttpResponse, Refusal> {
    if query.until.is_some() || query.limit.is_some() {
        return Err(invalid("until and limit are for pages, not with follow"));
    }
    let follower = parts.live.follow().ok_or_else(|| {
        let detail = "as many clients follow the events as may; try again later";
        Refusal::new(DOOR, StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, RETRY_AFTER_S)
    })?;
    let since_begin = query.since.as_ref().map(|_| parts.live.place(0));
    let (given, taken) = mpsc::channel(1);
    let line = request.conn_data::<Rc<Line>>().cloned();
    let stream = Following {
        live: Arc::clone(&parts.live),
        follower,
        filter,
        // Whoever names a time wants what is kept since then.
        at: after.or(since_begin).unwrap_or_else(|| parts.live.end()),
        resumes: after.is_some(),
        client: given,
    };
    actix_web::rt::spawn(async move {
        if stream.run().await == Ended::TooSlow
            && let Some(line) = line
        {
            line.cut_off();
        }
    });
    let chunks = stream::unfold(taken, |mut taken| async move {
        let chunk = taken.recv().await?;
        Some((Ok::<Bytes, Infallible>(chunk), taken))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(chunks))
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client went, or the daemon stops.
    Quietly,
    /// The client did not read.
    TooSlow,
}

/// A client that follows. It is given the next piece when it has taken the one before.
struct Following {
    live: Arc<Live>,
    follower: Follower,
    filter: Filter,
    at: Place,
    /// It said where it had been.
    resumes: bool,
    client: mpsc::Sender<Bytes>,
}

impl Following {
    async fn run(mut self) -> Ended {
        if let Err(ended) = self.give(": gopherd\nretry: 2000\n\n".to_owned()).await {
            return ended;
        }
        let mut first = true;
        loop {
            let part = self.live.after(self.at, &self.filter, CHUNK);
            if part.missed && self.resumes && first {
                let text = format!("event: missed\ndata: {{\"after\":\"{}\"}}\n\n", self.at);
                if let Err(ended) = self.give(text).await {
                    return ended;
                }
            } else if part.missed && !first {
                // The ring went round while the client read: the same as not reading at all.
                self.live.count_cut_off();
                return Ended::TooSlow;
            }
            first = false;
            self.at = part.next;
            if part.entries.is_empty() {
                if let Err(ended) = self.wait().await {
                    return ended;
                }
            } else if let Err(ended) = self.give(frames(&self.live, &part.entries)).await {
                return ended;
            }
        }
    }

    /// Waits for news, and says now and then that it does.
    async fn wait(&mut self) -> Result<(), Ended> {
        loop {
            tokio::select! {
                news = tokio::time::timeout(KEEP_ALIVE, self.follower.news(self.at.seq)) => match news {
                    Ok(true) => return Ok(()),
                    Ok(false) => return Err(Ended::Quietly),
                    Err(_) => self.give(":\n\n".to_owned()).await?,
                },
                () = self.client.closed() => return Err(Ended::Quietly),
            }
        }
    }

    async fn give(&self, text: String) -> Result<(), Ended> {
        use mpsc::error::SendTimeoutError;
        match self.client.send_timeout(Bytes::from(text), PATIENCE).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(Ended::Quietly),
            Err(SendTimeoutError::Timeout(_)) => {
                self.live.count_cut_off();
                Err(Ended::TooSlow)
            }
        }
    }
}

fn frames(live: &Live, entries: &[Arc<Entry>]) -> String {
    let mut out = String::with_capacity(entries.iter().map(|entry| entry.document.len() + 64).sum());
    for entry in entries {
        // Writing to a String cannot fail. A document has no line feed.
        let _ = write!(out, "id: {}\ndata: ", live.place(entry.seq));
        out.push_str(&String::from_utf8_lossy(&entry.document));
        out.push_str("\n\n");
    }
    out
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
