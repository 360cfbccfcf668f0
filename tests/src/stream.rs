//! A client that follows `GET /api/v1/events` and keeps what it is sent.
//!
//! Owns the connection and taking the stream of Server-Sent Events apart. What should come is the test's.

use crate::Client;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Its id, empty if it has none.
    pub id: String,
    /// Its type, empty for an event.
    pub kind: String,
    /// Its data: for an event the document, byte for byte.
    pub data: String,
}

impl Sent {
    /// The data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A client that reads until its connection ends.
#[derive(Debug)]
pub struct Following {
    text: Arc<Mutex<Vec<u8>>>,
    /// Ends the reading when dropped.
    connection: std::net::TcpStream,
}

impl Following {
    /// Follows with this query, and `Last-Event-ID` if there is one. Waits until the answer has begun.
    #[track_caller]
    pub fn start(client: &Client, query: &str, last: Option<&str>) -> Self {
        let mut connection = client.connect();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // In HTTP/1.0 the body is what comes until the end, without chunks.
        let request =
            format!("GET /api/v1/events?follow=true{query} HTTP/1.0\r\nHost: localhost\r\n{last}\r\n");
        connection.write_all(request.as_bytes()).expect("asked");
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let mut reading = connection.try_clone().expect("a second handle");
        let kept = Arc::clone(&text);
        let follow = move || {
            let mut piece = [0; 4096];
            // A read that gives up after a minute goes on: an event may take longer.
            loop {
                match reading.read(&mut piece) {
                    Ok(0) => return,
                    Ok(length) => {
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend_from_slice(&piece[..length]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        std::thread::Builder::new().name("follower".into()).spawn(follow).expect("a thread");
        let following = Self { text, connection };
        crate::eventually("the answer to begin", || following.text().contains("\r\n\r\n").then_some(()));
        assert!(following.text().starts_with("HTTP/1.0 200"), "{}", following.text());
        following
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// What has come so far.
    pub fn messages(&self) -> Vec<Sent> {
        let text = self.text();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // The last part is not complete.
        let whole = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let messages = whole.split("\n\n").filter_map(|block| {
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
            (!data.is_empty()).then(|| Sent {
                id: id.to_owned(),
                kind: kind.to_owned(),
                data: data.to_owned(),
            })
        });
        messages.collect()
    }

    /// Waits for a message that `wanted` takes.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Sent) -> bool) -> Sent {
        crate::eventually(what, || self.messages().into_iter().find(&wanted))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.connection.shutdown(std::net::Shutdown::Both));
    }
}
