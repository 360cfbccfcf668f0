//! Which channels a configuration asks for. Pure but for the secrets that it reads from their files.

use super::Stream;
use super::spool::{Route, Routes};
use crate::config::{Config, EventChannel, WhenFull};
#[cfg(feature = "kafka")]
use crate::sinks::kafka::KafkaSettings;
use crate::sinks::webhook::WebhookSettings;
use std::path::PathBuf;

/// The channels of events and metadata.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The folder of each stream's log, if it has one.
    pub logs: [Option<PathBuf>; STREAMS.len()],
    /// Where each stream goes by the spool.
    pub routes: [Routes; STREAMS.len()],
    /// The sinks that read the spool.
    pub sinks: Vec<Settings>,
    /// What happens when the spool is full.
    pub when_full: WhenFull,
}

/// Every stream, in the order of its number.
pub(super) const STREAMS: [Stream; 2] = [Stream::Event, Stream::Metadata];

/// What a sink is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settings {
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaSettings>),
    Webhook(Box<WebhookSettings>),
}

impl Settings {
    /// The sink's name: of its cursor, in the metrics, for `gopher-ctl`.
    pub(super) fn name(&self) -> &str {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
            Self::Webhook(settings) => &settings.name,
        }
    }

    pub(super) fn route(&self) -> Route {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => Route::Kafka,
            Self::Webhook(_) => Route::Webhook,
        }
    }

    /// `when_full` holds for Kafka. A webhook never keeps anybody waiting: whoever runs it may be gone for good.
    pub(super) fn policy(&self, when_full: WhenFull) -> WhenFull {
        match self.route() {
            Route::Kafka => when_full,
            Route::Webhook => WhenFull::DropOldest,
        }
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            logs: [None, None],
            routes: [Routes::NONE; STREAMS.len()],
            sinks: Vec::new(),
            when_full: WhenFull::DropOldest,
        }
    }
}

impl Wanted {
    pub(super) fn of(config: &Config) -> Self {
        let channels = [&config.event.out_channel, &config.meta.out_channel];
        let folders = [config.event_dir(), config.meta_dir()];
        let mut wanted = Self { when_full: config.spool.when_full, ..Self::default() };
        for (at, folder) in folders.into_iter().enumerate() {
            wanted.logs[at] = channels[at].contains(&EventChannel::Logs).then_some(folder);
        }
        #[cfg(feature = "kafka")]
        for (at, channels) in channels.into_iter().enumerate() {
            // Without a broker the configuration says what is missing.
            if channels.contains(&EventChannel::Kafka) && !config.kafka.kafka_broker.is_empty() {
                wanted.routes[at] = wanted.routes[at].with(Route::Kafka);
            }
        }
        #[cfg(feature = "kafka")]
        if wanted.routes.iter().any(|routes| routes.has(Route::Kafka)) {
            wanted.sinks.push(Settings::Kafka(Box::new(KafkaSettings::of(config))));
        }
        for webhook in &config.webhook {
            let settings = Settings::Webhook(Box::new(WebhookSettings::of(webhook)));
            // An address that stands there twice gets each event once.
            if wanted.sinks.iter().all(|known| known.name() != settings.name()) {
                wanted.sinks.push(settings);
            }
            let events = &mut wanted.routes[Stream::Event as usize];
            *events = events.with(Route::Webhook);
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Webhook;

    #[test]
    fn each_stream_goes_where_its_channels_say_and_events_to_every_webhook() {
        let mut config = Config::default();
        config.kafka.kafka_broker = "a:1".into();
        config.event.out_channel = vec![EventChannel::Kafka];
        config.meta.out_channel = vec![EventChannel::Logs, EventChannel::Kafka];
        let hook = Webhook { url: "https://example.org/x".into(), ..Webhook::default() };
        config.webhook = vec![hook.clone(), hook];
        let wanted = Wanted::of(&config);
        assert!(wanted.logs[0].is_none() && wanted.logs[1].as_ref().is_some_and(|at| at.ends_with("meta")));
        assert!(wanted.routes[0].has(Route::Webhook) && !wanted.routes[1].has(Route::Webhook));
        assert_eq!(wanted.sinks.len(), 1 + usize::from(cfg!(feature = "kafka")));
        assert_eq!(wanted.routes[1].has(Route::Kafka), cfg!(feature = "kafka"));
    }

    #[test]
    fn nothing_configured_is_nothing_wanted() {
        let mut config = Config::default();
        config.event.out_channel.clear();
        config.meta.out_channel.clear();
        let wanted = Wanted::of(&config);
        assert!(wanted.sinks.is_empty() && wanted.logs == [None, None] && wanted.routes == [Routes::NONE; 2]);
    }
}
