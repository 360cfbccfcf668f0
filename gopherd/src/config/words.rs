//! Settings that are one word, or a list of words, out of a few.
//!
//! Owns the enums of the configuration and their spelling, and the text that must not be printed. Leaves
//! where they stand in the file to `keys`.

use std::fmt;

/// A setting that is one word out of a few; what the key table sees of each enum.
pub trait Word: fmt::Debug {
    /// The word as the file spells it.
    fn word(&self) -> &'static str;
    /// Every word, in the order of the manual.
    fn words(&self) -> &'static [&'static str];
    /// Takes `word`, in any case, if it is one of them.
    fn set_word(&mut self, word: &str) -> bool;
}

/// A setting that is a list of such words.
pub trait Words: fmt::Debug {
    /// The words that are set, in order.
    fn list(&self) -> Vec<&'static str>;
    /// Every word that may stand in the list.
    fn words(&self) -> &'static [&'static str];
    /// Empties the list.
    fn clear(&mut self);
    /// Adds `word` if it is one of them; a word that is there already is not added again.
    fn add(&mut self, word: &str) -> bool;
}

macro_rules! words {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident = $word:literal ),+ } )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $( $(#[$vdoc])* $variant ),+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as files, requests and logs spell it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that `word` names, in any case.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(word))
            }
        }

        impl Word for $name {
            fn word(&self) -> &'static str { self.as_str() }
            fn words(&self) -> &'static [&'static str] { Self::WORDS }
            fn set_word(&mut self, word: &str) -> bool {
                Self::from_word(word).map(|value| *self = value).is_some()
            }
        }

        impl Words for Vec<$name> {
            fn list(&self) -> Vec<&'static str> { self.iter().map(|value| value.as_str()).collect() }
            fn words(&self) -> &'static [&'static str] { $name::WORDS }
            fn clear(&mut self) { Vec::clear(self); }
            fn add(&mut self, word: &str) -> bool {
                let Some(value) = $name::from_word(word) else { return false };
                if !self.contains(&value) { self.push(value); }
                true
            }
        }
    )+};
}

words! {
    /// The least serious message that is logged.
    LogLevel {
        /// Everything, for finding faults.
        Debug = "debug",
        /// What an operator may want to know later.
        Info = "info",
        /// What may need attention.
        Warn = "warn",
        /// What does not work.
        Error = "error"
    }
    /// A way out for metrics.
    MetricChannel {
        /// The metrics listener.
        WebServer = "web_server",
        /// JSON lines in a file.
        Json = "json",
        /// Per-period text in a file.
        Logs = "logs",
        /// Kafka.
        Kafka = "kafka"
    }
    /// A way out for events and metadata.
    EventChannel {
        /// One JSON document a line in a file.
        Logs = "logs",
        /// Kafka.
        Kafka = "kafka"
    }
    /// What `/metrics` serves.
    Semantics {
        /// Counters since the start.
        Cumulative = "cumulative",
        /// Values of the last completed report period, as gala-gopher serves them.
        PerPeriod = "per_period"
    }
    /// The language of an event's description.
    DescLanguage {
        /// English.
        English = "en_US",
        /// Chinese.
        Chinese = "zh_CN"
    }
    /// TLS on a listener.
    SslAuth {
        /// Plain text.
        Off = "off",
        /// TLS.
        On = "on"
    }
    /// The oldest TLS version that is spoken.
    TlsVersion {
        /// TLS 1.3.
        V1_3 = "1.3",
        /// TLS 1.2.
        V1_2 = "1.2"
    }
    /// What a client may do.
    Role {
        /// Look.
        Read = "read",
        /// Change.
        Write = "write"
    }
    /// Compression of Kafka messages.
    Compression {
        /// Not compressed.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Snappy.
        Snappy = "snappy",
        /// LZ4.
        Lz4 = "lz4",
        /// Zstandard.
        Zstd = "zstd"
    }
    /// How Kafka brokers are talked to.
    KafkaSecurity {
        /// SASL if a user name is set, plain text otherwise.
        Auto = "auto",
        /// Plain text.
        Plaintext = "plaintext",
        /// TLS.
        Ssl = "ssl",
        /// SASL over plain text.
        SaslPlaintext = "sasl_plaintext",
        /// SASL over TLS.
        SaslSsl = "sasl_ssl"
    }
    /// How the user name and password are shown to Kafka brokers.
    SaslMechanism {
        /// PLAIN.
        Plain = "PLAIN",
        /// SCRAM with SHA-256.
        ScramSha256 = "SCRAM-SHA-256",
        /// SCRAM with SHA-512.
        ScramSha512 = "SCRAM-SHA-512"
    }
    /// When the spool's writes are forced to the disk.
    Fsync {
        /// Every `fsync_interval`.
        Interval = "interval",
        /// After each record.
        Always = "always"
    }
    /// What a full spool does.
    WhenFull {
        /// Forgets the oldest records, counted.
        DropOldest = "drop_oldest",
        /// Lets the sender wait.
        Block = "block"
    }
    /// When the current set of probes is written to probes.init.
    SaveMode {
        /// When asked to.
        Manual = "manual",
        /// A second after an accepted change.
        OnChange = "on_change"
    }
}

/// A text that is never printed: not by `Debug`, not in messages.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(set)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case_and_others_are_not() {
        let mut level = LogLevel::Info;
        assert!(level.set_word("WARN"));
        assert_eq!(level, LogLevel::Warn);
        assert!(!level.set_word("warning"));
        assert_eq!(level, LogLevel::Warn);
    }

    #[test]
    fn a_channel_named_twice_is_there_once() {
        let mut channels = Vec::<EventChannel>::new();
        assert!(channels.add("kafka") && channels.add("Kafka") && channels.add("logs"));
        assert_eq!(channels.list(), ["kafka", "logs"]);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "Secret(set)");
    }
}
