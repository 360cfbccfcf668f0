//! Whatever is sent is answered, and what is accepted is printed so that it is accepted again in silence
//! (`fuzz_compat` checks that for each configuration that it meets).

use crate::feature::fuzz_compat;
use proptest::prelude::*;

const VALID: &str = r#"json={"cmd":{"probe":["one","first"]},"snoopers":{"proc_id":[2,3],"proc_name":[{"comm":"^nginx$","cmdline":"a.*b","label":{"app":"web"}}],"pod_id":["0de8c1f4-4c2f-4f0c-9d2b-1a2b3c4d5e6f"],"container_id":["1a2b3c4d5e6f7"],"container_name":["web"],"custom_labels":{"zone":"b"},"pod_labels":["team"]},"params":{"report_period":30,"ringbuf_map_size":4,"dev_name":["eth0","lo"],"output_dir":"/tmp/x"},"state":"running"}"#;

/// Pieces that are more often valid than not.
fn document() -> impl Strategy<Value = String> {
    let list = |item: &'static [&'static str]| {
        proptest::collection::vec(proptest::sample::select(item), 0..3).prop_map(|items| items.join(","))
    };
    let probe = list(&["\"one\"", "\"TWO\"", "\"first\""]);
    let pids = list(&["1", "2", "44", "4194304", "true"]);
    let names = list(&[
        r#"{"comm":"^a+$"}"#,
        r#"{"comm":"","cmdline":"x|y"}"#,
        r#"{"comm":"b","label":{"app":"\"\n"}}"#,
        r#"{"cmdline":"\\d"}"#,
    ]);
    let pods = list(&["\"0de8c1f44c2f4f0c9d2b1a2b3c4d5e6f\"", "\"1de8c1f4-4c2f-4f0c-9d2b-1a2b3c4d5e6f\""]);
    let containers = list(&["\"abc\"", "\"0123456789abcdef\""]);
    let labels =
        proptest::sample::select(&["", r#""z":"1","a":"2""#, r#""é":"1""#, r#""long":"value \\ \" ""#][..]);
    let pod_labels = list(&["\"app.kubernetes.io/name\"", "\"team\""]);
    let params = proptest::sample::subsequence(
        vec![
            r#""report_period":60"#,
            r#""report_period":5"#,
            r#""latency_thr":0"#,
            r#""drops_thr":11"#,
            r#""offline_thr":10"#,
            r#""res_lower_thr":3"#,
            r#""ringbuf_map_size":32"#,
            r#""dev_name":"eth0""#,
            r#""svg_dir":"/a b""#,
            r#""l7_protocol":["kafka","http"]"#,
            r#""custom_param":[{"b":"1"},{"a":""}]"#,
            r#""pyroscope_server":"""#,
            r#""env":"node""#,
        ],
        0..6,
    );
    let state = proptest::sample::select(
        &["", r#","state":"running""#, r#","state":"stopped""#, r#","state":"unknown""#][..],
    );
    let section = proptest::sample::select(&["snoopers", "blacklist"][..]);
    (probe, section, (pids, names, pods, containers), labels, pod_labels, params, state).prop_map(
        |(probe, section, (pids, names, pods, containers), labels, pod_labels, params, state)| {
            format!(
                r#"{{"cmd":{{"probe":[{probe}]}},"{section}":{{"proc_id":[{pids}],"proc_name":[{names}],"pod_id":[{pods}],"container_id":[{containers}],"custom_labels":{{{labels}}},"pod_labels":[{pod_labels}]}},"params":{{{}}}{state}}}"#,
                params.join(",")
            )
        },
    )
}

#[test]
fn the_request_that_the_properties_mutate_is_accepted() {
    assert!(fuzz_compat(VALID.as_bytes()).is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_compat(&bytes);
        let prefixed = [b"json=".as_slice(), &bytes].concat();
        fuzz_compat(&prefixed);
    }

    #[test]
    fn a_mutated_request_is_answered(
        edits in proptest::collection::vec((0..VALID.len(), any::<u8>(), 0..3_u8), 1..6)
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.min(bytes.len() - 1);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        fuzz_compat(&bytes);
    }

    #[test]
    fn what_is_accepted_is_printed_so_that_it_gives_the_same_configuration_in_silence(text in document()) {
        fuzz_compat(text.as_bytes());
    }
}
