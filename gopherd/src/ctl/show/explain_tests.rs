//! What is explained, and what is advised in which state.

use super::*;
use gopher_api::{
    Cost, ParamType, ProbeConfig, Status, SubProbeItem, SubProbeStatus, TableDocument, TriggerDocument,
};
use std::collections::BTreeMap;

fn sub(name: &str, missing: &[&str], needs_scope: bool) -> SubProbeItem {
    SubProbeItem {
        name: name.into(),
        summary: "Something that is told in quite a number of words, more than fit into a line.".into(),
        default: true,
        needs_scope,
        needs_param: None,
        available: missing.is_empty(),
        missing: missing.iter().map(|&text| text.to_owned()).collect(),
    }
}

fn item() -> ProbeItem {
    ProbeItem {
        feature: "tcp".into(),
        summary: "State of connections.".into(),
        generation: 3,
        state: ProbeState::Degraded,
        scope: ScopeDocument::Processes,
        sub_probes: vec![
            sub("tcp_rtt", &[], false),
            sub("tcp_delay", &["kernel BTF"], false),
            sub("tcp_x", &[], true),
        ],
        params: vec![ParamDocument {
            key: "latency_thr".into(),
            doc: "A latency above it is an event.".into(),
            unit: "ms".into(),
            kind: ParamType::Integer,
            default: 0.into(),
            min: Some(10),
            max: Some(100_000),
            zero_is_off: true,
            power_of_two: false,
            allowed: Vec::new(),
            max_bytes: None,
            live: false,
        }],
        tables: vec![TableDocument {
            name: "tcp_link".into(),
            sub_probe: "tcp_rtt".into(),
            labels: vec!["client_ip".into()],
            metrics: vec!["tcp_link_srtt".into()],
        }],
        events: vec![TriggerDocument {
            metric: "tcp_link_srtt_max".into(),
            when: "above `latency_thr` (ms)".into(),
            severity: "WARN".into(),
        }],
        targets: Targets::default(),
        series: 7,
        samples: 8,
        lost: BTreeMap::new(),
        cost: Cost::default(),
    }
}

fn document(state: ProbeState) -> ProbeDocument {
    ProbeDocument {
        feature: "tcp".into(),
        generation: 3,
        config: ProbeConfig {
            params: BTreeMap::from([("latency_thr".into(), 20.into())]),
            ..ProbeConfig::default()
        },
        status: Status {
            state,
            since: "2026-01-02T03:04:05Z".into(),
            error: (state == ProbeState::Failed).then(|| "no luck \x1b[31m".into()),
            attempts: None,
            retry_at: None,
            sub_probes: vec![SubProbeStatus {
                name: "tcp_rtt".into(),
                state: SubProbeState::Running,
                missing: Vec::new(),
            }],
            targets: Targets { processes: Some(2), containers: None },
            samples: 8,
            lost: BTreeMap::from([("queue".into(), 5)]),
            series: 7,
            cost: Cost { cpu_ns: Some(1_500_000_000), memory_bytes: Some(2048), ..Cost::default() },
            budget: None,
        },
        warnings: Vec::new(),
    }
}

#[test]
fn everything_that_is_known_is_told_in_80_columns() {
    let look = Look { width: Some(80), ..Look::default() };
    insta::assert_snapshot!(explain(&look, &item(), &document(ProbeState::Degraded)));
}

#[test]
fn what_to_do_depends_on_the_state() {
    for (state, words) in [
        (ProbeState::Stopped, "gopher-ctl probe start tcp"),
        (ProbeState::Unavailable, "has not built it"),
        (ProbeState::Failed, "tries again by itself"),
        (ProbeState::Starting, "Wait"),
        (ProbeState::Degraded, r#"probe set tcp '{"cmd":{"probe":["tcp_rtt"]}}'"#),
        (ProbeState::Running, "raise report_period"),
    ] {
        let advice: String = advice(&item(), &document(state))
            .into_iter()
            .map(|Advice { sentence, command }| format!("{sentence}\n{}\n", command.unwrap_or_default()))
            .collect();
        assert!(advice.contains(words), "{state:?}: {advice}");
        assert_eq!(
            advice.contains("tcp_delay cannot run here: kernel BTF."),
            state != ProbeState::Unavailable
        );
    }
}

#[test]
fn an_error_of_a_probe_does_not_act_on_the_terminal() {
    let text = explain(&Look::default(), &item(), &document(ProbeState::Failed));
    assert!(text.contains("error      no luck \\u001b[31m\n"), "{text}");
}
