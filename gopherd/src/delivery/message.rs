//! What is delivered: one finished document with what a channel needs to know about it.

/// Which stream a document belongs to: its topic, its file, its place in the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Abnormal events.
    Event,
    /// Metadata.
    Metadata,
}

/// One document on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its stream.
    pub stream: Stream,
    /// What keeps order among its equals: the entity id, or the table's name for metadata. At most 254 bytes.
    pub key: Box<str>,
    /// The document: one JSON object without a line feed.
    pub document: Box<[u8]>,
    /// When it happened, Unix time in ms.
    pub at_ms: u64,
    /// Only for the live stream (the end of a condition while `event.recovery` is off): it gets a sequence number and
    /// goes to no channel.
    pub live_only: bool,
}
