//! Rules between keys, and what gala-gopher's files mean by what they leave out.
//!
//! Owns the decisions that need more than one key. Leaves single values to `value`, what is not built yet
//! to `unbuilt`.

use super::fault::Origin;
use super::keys::SECTIONS;
use super::load::{Draft, Format};
use super::value::written;
use super::words::{MetricChannel, Semantics, SslAuth};
use super::{Config, EventChannel};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// Defaults of gala-gopher's files where they differ from ours.
pub(super) fn conf_defaults(config: &mut Config) {
    config.metric.semantics = Semantics::PerPeriod;
}

/// Applies every rule, once all keys have their values.
pub(super) fn settle(draft: &mut Draft) {
    metrics_listener(draft);
    tls(draft, "web_server");
    tls(draft, "rest_api_server");
    plaintext(draft);
    credentials(draft);
    same_port(draft);
    kafka(draft);
    idle(draft);
}

/// gala-gopher has a metrics listener only as metric channel; a file of its that has another one and says
/// nothing about a listener does not get one.
fn metrics_listener(draft: &mut Draft) {
    let asked = draft.sections.contains(&"web_server")
        || draft.set_at.keys().any(|key| key.starts_with("web_server."));
    let channel = draft.config.metric.out_channel.contains(&MetricChannel::WebServer);
    if draft.format == Format::Conf && !channel && !asked {
        draft.config.web_server.enabled = false;
    }
}

fn tls(draft: &mut Draft, section: &str) {
    let (web, rest) = (&draft.config.web_server, &draft.config.rest_api_server);
    let (ssl, key, cert, ca) = if section == "web_server" {
        (web.ssl_auth, &web.private_key, &web.cert_file, &web.ca_file)
    } else {
        (rest.ssl_auth, &rest.private_key, &rest.cert_file, &rest.ca_file)
    };
    let files: [(&str, &Option<PathBuf>); 3] = [("private_key", key), ("cert_file", cert), ("ca_file", ca)];
    let needed = files.iter().take(2).filter(|(_, file)| ssl == SslAuth::On && file.is_none());
    let idle = files.iter().filter(|(_, file)| ssl == SslAuth::Off && file.is_some());
    let faults: Vec<_> = needed
        .map(|(name, _)| {
            let problem = format!("needs {section}.{name}, which is not set");
            draft.fault_at(&format!("{section}.ssl_auth"), problem, format!("set {name} to the file's path"))
        })
        .collect();
    let warnings: Vec<_> = idle
        .map(|(name, _)| {
            let way_out = format!("set {section}.ssl_auth to \"on\", or remove it");
            draft.fault_at(&format!("{section}.{name}"), "has no effect without TLS", way_out)
        })
        .collect();
    draft.found.faults.extend(faults);
    draft.found.warnings.extend(warnings);
}

/// Whoever reaches the control listener controls the probes: in plain text only on loopback, or where the operator says so.
fn plaintext(draft: &mut Draft) {
    let rest = &draft.config.rest_api_server;
    let open = draft.config.global.rest_api_on
        && !rest.bind_addr.to_canonical().is_loopback()
        && rest.ssl_auth == SslAuth::Off
        && !rest.allow_plaintext;
    if !open {
        return;
    }
    let asked = format!("{} without TLS lets everyone on the network control the probes", rest.bind_addr);
    let way_out = "set rest_api_server.allow_plaintext to true (or GOPHER_REST_ALLOW_PLAINTEXT=yes), or use 127.0.0.1 or TLS";
    match draft.format {
        Format::Toml => {
            let fault = draft.fault_at("rest_api_server.bind_addr", asked, way_out);
            draft.found.faults.push(fault);
        }
        Format::Conf => {
            let problem = format!("{asked}: listening on 127.0.0.1 instead");
            let fault = draft.fault_at("rest_api_server.bind_addr", problem, way_out);
            draft.found.problems.push(fault);
            draft.config.rest_api_server.bind_addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        }
    }
}

/// Roles are given out by certificate, so there must be one; tokens are worth no more than the way they go.
fn credentials(draft: &mut Draft) {
    let rest = &draft.config.rest_api_server;
    let on = rest.ssl_auth == SslAuth::On;
    let certificates = on && rest.ca_file.is_some();
    if !certificates && !rest.client_roles.is_empty() {
        let way_out = "set rest_api_server.ssl_auth to \"on\" and rest_api_server.ca_file";
        let fault = draft.fault_at("rest_api_server.client_roles", "no client shows a certificate", way_out);
        draft.found.faults.push(fault);
    }
    let rest = &draft.config.rest_api_server;
    if rest.tokens_file.is_some() && !on && !rest.bind_addr.to_canonical().is_loopback() {
        let way_out = "set rest_api_server.ssl_auth to \"on\"";
        let fault =
            draft.fault_at("rest_api_server.tokens_file", "tokens can be read on the network", way_out);
        draft.found.warnings.push(fault);
    }
}

fn same_port(draft: &mut Draft) {
    if let (Some(metrics), Some(rest)) = (draft.config.metrics_listen(), draft.config.rest_listen()) {
        let overlap =
            metrics.ip() == rest.ip() || metrics.ip().is_unspecified() || rest.ip().is_unspecified();
        if metrics.port() == rest.port() && metrics.port() != 0 && overlap {
            let problem = format!("{rest} is where the metrics listener is ({metrics})");
            let fault = draft.fault_at("rest_api_server.port", problem, "give one of them another port");
            draft.found.faults.push(fault);
        }
    }
}

/// The keys whose channel is Kafka.
pub(super) fn kafka_channels(config: &Config) -> Vec<&'static str> {
    let metric = config.metric.out_channel.contains(&MetricChannel::Kafka);
    let event = config.event.out_channel.contains(&EventChannel::Kafka);
    let meta = config.meta.out_channel.contains(&EventChannel::Kafka);
    let all = [(metric, "metric.out_channel"), (event, "event.out_channel"), (meta, "meta.out_channel")];
    all.into_iter().filter_map(|(on, key)| on.then_some(key)).collect()
}

fn kafka(draft: &mut Draft) {
    let kafka = &draft.config.kafka;
    if !kafka.password.0.is_empty() && kafka.password_file.is_some() {
        let fault = draft.fault_at("kafka.password_file", "kafka.password is set too", "keep one of them");
        draft.found.faults.push(fault);
    }
    if !draft.config.kafka.kafka_broker.is_empty() {
        return;
    }
    for key in kafka_channels(&draft.config) {
        let fault = draft.fault_at(key, "kafka is asked for, but no broker is set", "set kafka.kafka_broker");
        match draft.format {
            Format::Toml => draft.found.faults.push(fault),
            Format::Conf => draft.found.problems.push(fault),
        }
    }
}

/// Keys without effect are no surprise while they hold what every shipped file holds.
fn idle(draft: &mut Draft) {
    let mut default = Config::default();
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| key.attrs.idle) {
            let path = section.path(key.name);
            let set = matches!(draft.set_at.get(&path), Some(Origin::File(..)));
            if set && written(key, &mut draft.config) != written(key, &mut default) {
                let way_out = "remove it; limits.max_series bounds the store";
                let fault = draft.fault_at(&path, "has no effect", way_out);
                draft.found.warnings.push(fault);
            }
        }
    }
}
