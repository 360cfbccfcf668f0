//! Parameters: the catalogue of keys that the control API knows, and the values that were set.
//!
//! Every feature accepts every key (that is the compatible API's rule); a descriptor lists those that its
//! probe uses, and the doors warn about the others. Ranges and defaults are those of the API's reference;
//! 0 is additionally valid for each threshold and switches it off.

use std::collections::BTreeMap;

/// The shape and range of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A whole number.
    Int {
        /// Value when never set.
        default: i64,
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// 0 is valid too, though `min` is larger: off.
        zero_is_off: bool,
        /// Only powers of two.
        power_of_two: bool,
    },
    /// A text.
    Text {
        /// Value when never set.
        default: &'static str,
        /// Longest value in bytes.
        max_len: usize,
        /// What it must look like.
        rule: TextRule,
    },
    /// Network device names: one name or a list of them.
    Devices,
    /// A set of words out of `allowed`.
    Words {
        /// Every word that is known.
        allowed: &'static [&'static str],
    },
    /// Name and value pairs for an extension probe.
    Pairs {
        /// Most pairs.
        max: usize,
        /// Longest name or value in bytes.
        max_len: usize,
    },
}

/// What a text parameter must look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextRule {
    /// An absolute path without characters that a shell or a metric line gives a meaning.
    Path,
    /// `host:port`.
    HostPort,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// One key of `params`.
#[derive(Debug, PartialEq)]
pub struct ParamSpec {
    /// The key.
    pub key: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Unit of the value; empty for texts and switches.
    pub unit: &'static str,
    /// Shape, default and range.
    pub kind: ParamKind,
    /// Can be changed while the probe runs.
    pub live: bool,
    /// Does something; the two keys that never did are kept for old requests, with a warning.
    pub effect: bool,
    /// Shown by GET also while it has its default.
    pub shown: bool,
}

/// A value that was checked against its [`ParamSpec`].
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// Of [`ParamKind::Int`].
    Int(i64),
    /// Of [`ParamKind::Text`].
    Text(String),
    /// Of [`ParamKind::Devices`] and [`ParamKind::Words`].
    Words(Vec<String>),
    /// Of [`ParamKind::Pairs`].
    Pairs(Vec<(String, String)>),
}

impl ParamSpec {
    /// The value when never set.
    pub fn default_value(&self) -> ParamValue {
        match self.kind {
            ParamKind::Int { default, .. } => ParamValue::Int(default),
            ParamKind::Text { default, .. } => ParamValue::Text(default.to_owned()),
            ParamKind::Devices | ParamKind::Words { .. } => ParamValue::Words(Vec::new()),
            ParamKind::Pairs { .. } => ParamValue::Pairs(Vec::new()),
        }
    }
}

/// The values that were set; everything else has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(BTreeMap<&'static str, ParamValue>);

impl Params {
    /// Sets a value that was checked against `spec`.
    pub fn set(&mut self, spec: &'static ParamSpec, value: ParamValue) {
        self.0.insert(spec.key, value);
    }

    /// Back to the default.
    pub fn unset(&mut self, spec: &'static ParamSpec) {
        self.0.remove(spec.key);
    }

    /// The value that was set, if one was.
    pub fn get(&self, spec: &ParamSpec) -> Option<&ParamValue> {
        self.0.get(spec.key)
    }

    /// What was set, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ParamValue)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// The whole number that `spec` has now, its default if it was never set.
    pub fn int(&self, spec: &ParamSpec) -> i64 {
        match (self.get(spec), spec.kind) {
            (Some(ParamValue::Int(v)), _) => *v,
            (_, ParamKind::Int { default, .. }) => default,
            _ => 0,
        }
    }

    /// The text that `spec` has now, its default if it was never set.
    pub fn text(&self, spec: &ParamSpec) -> &str {
        match (self.get(spec), spec.kind) {
            (Some(ParamValue::Text(v)), _) => v,
            (_, ParamKind::Text { default, .. }) => default,
            _ => "",
        }
    }

    /// The words or device names that `spec` has now; none if it was never set.
    pub fn words(&self, spec: &ParamSpec) -> &[String] {
        match self.get(spec) {
            Some(ParamValue::Words(v)) => v,
            _ => &[],
        }
    }

    /// The report period.
    pub fn report_period(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.int(&REPORT_PERIOD).try_into().unwrap_or(60))
    }
}

const fn spec(key: &'static str, unit: &'static str, kind: ParamKind, doc: &'static str) -> ParamSpec {
    ParamSpec { key, doc, unit, kind, live: true, effect: true, shown: true }
}

const fn int(default: i64, min: i64, max: i64) -> ParamKind {
    ParamKind::Int { default, min, max, zero_is_off: false, power_of_two: false }
}

/// 10 to 100000, or 0 for off: the range of the three event thresholds.
const THRESHOLD: ParamKind =
    ParamKind::Int { default: 0, min: 10, max: 100_000, zero_is_off: true, power_of_two: false };

const fn path(default: &'static str, max_len: usize) -> ParamKind {
    ParamKind::Text { default, max_len, rule: TextRule::Path }
}

macro_rules! catalogue {
    ($( $(#[$doc:meta])* $name:ident = $spec:expr; )+) => {
        $( $(#[$doc])* pub static $name: ParamSpec = $spec; )+
        /// Every key that the control API knows.
        pub static ALL: &[&ParamSpec] = &[$(&$name),+];
    };
}

catalogue! {
    /// Sampling interval in the kernel.
    SAMPLE_PERIOD = spec("sample_period", "ms", int(5000, 100, 10_000), "Time between two samples of what is sampled.");
    /// Report period.
    REPORT_PERIOD = spec("report_period", "s", int(60, 5, 600), "Time between two reports.");
    /// Latency threshold of events.
    LATENCY_THR = ParamSpec { shown: false, ..spec("latency_thr", "ms", THRESHOLD, "A latency above it is an event; 0 is off.") };
    /// Kept for old requests.
    OFFLINE_THR = ParamSpec { shown: false, effect: false, ..spec("offline_thr", "ms", THRESHOLD, "Kept for old requests; nothing uses it.") };
    /// Drop threshold of events.
    DROPS_THR = ParamSpec { shown: false, ..spec("drops_thr", "packets", THRESHOLD, "More drops than this in a period are an event; 0 is off.") };
    /// Kept for old requests.
    RES_LOWER_THR = ParamSpec { effect: false, ..spec("res_lower_thr", "%", int(0, 0, 100), "Kept for old requests; nothing uses it.") };
    /// Usage threshold of events.
    RES_UPPER_THR = spec("res_upper_thr", "%", int(0, 0, 100), "A usage above it is an event; 0 is off.");
    /// Event switch.
    REPORT_EVENT = spec("report_event", "", int(0, 0, 1), "1 sends abnormal events.");
    /// Ring buffer size.
    RINGBUF_MAP_SIZE = ParamSpec { live: false, ..spec("ringbuf_map_size", "MB", ParamKind::Int { default: 1, min: 1, max: 32, zero_is_off: false, power_of_two: true }, "Size of the kernel's ring buffer; a power of two.") };
    /// Client port in the key.
    REPORT_CPORT = spec("report_cport", "", int(0, 0, 1), "1 puts the client's port into the key.");
    /// Request protocols.
    L7_PROTOCOL = spec("l7_protocol", "", ParamKind::Words { allowed: &["http", "dns", "redis", "mysql", "pgsql", "kafka", "mongo", "crpc"] }, "Request protocols to parse.");
    /// TLS observation.
    SUPPORT_SSL = spec("support_ssl", "", int(0, 0, 1), "1 observes TLS connections too.");
    /// Cluster address translation.
    CLUSTER_IP_BACKEND = spec("cluster_ip_backend", "", int(0, 0, 2), "How a cluster address is turned into its backend's: 0 not, 1 by connection tracking, 2 by the flow tracer.");
    /// One graph a process.
    MULTI_INSTANCE = spec("multi_instance", "", int(0, 0, 1), "1 makes one flame graph a process.");
    /// Native stacks for Java.
    NATIVE_STACK = spec("native_stack", "", int(0, 0, 1), "1 walks native stacks of Java processes.");
    /// Flame graph upload.
    PYROSCOPE_SERVER = spec("pyroscope_server", "", ParamKind::Text { default: "localhost:4040", max_len: 63, rule: TextRule::HostPort }, "Where flame graphs are uploaded to.");
    /// Flame graph period.
    SVG_PERIOD = spec("svg_period", "s", int(180, 30, 600), "Time between two flame graphs.");
    /// Stack sampling interval.
    PERF_SAMPLE_PERIOD = spec("perf_sample_period", "ms", int(10, 10, 1000), "Time between two stack samples.");
    /// Result directory.
    OUTPUT_DIR = spec("output_dir", "", path("", 255), "Where result files are written.");
    /// Folded stacks directory.
    FLAME_DIR = spec("flame_dir", "", path("/var/log/gala-gopher/flamegraph", 255), "Where folded stacks are written.");
    /// Network devices.
    DEV_NAME = spec("dev_name", "", ParamKind::Devices, "Devices to look at: of the network, for io disks and partitions; empty means all.");
    /// Largest latency too.
    CONTINUOUS_SAMPLING = spec("continuous_sampling", "", int(0, 0, 1), "1 adds the largest latency of each period.");
    /// File or directory of the observed program.
    ELF_PATH = spec("elf_path", "", path("", 511), "The observed program's file, or for baseinfo's con a directory in the container.");
    /// Kafka's port.
    KAFKA_PORT = spec("kafka_port", "", int(9092, 1, 65_535), "The port that the observed Kafka listens on.");
    /// cAdvisor's port.
    CADVISOR_PORT = spec("cadvisor_port", "", int(8083, 1, 65_535), "Kept for old requests; containers are read directly.");
    /// Where profiles go.
    PROFILING_CHANNEL = spec("profiling_channel", "", ParamKind::Text { default: "local", max_len: 16, rule: TextRule::OneOf(&["local", "kafka"]) }, "Where profiles go.");
    /// Shortest system call.
    MIN_EXEC_DUR = spec("min_exec_dur", "us", int(1, 0, 1_000_000), "Shorter system calls are left out.");
    /// Aggregation window.
    MIN_AGGR_DUR = spec("min_aggr_dur", "ms", int(100, 10, 10_000), "Repeated system calls within this time are merged.");
    /// Settings of an extension probe.
    CUSTOM_PARAM = spec("custom_param", "", ParamKind::Pairs { max: 8, max_len: 63 }, "Settings of an extension probe.");
    /// Per-process page detail.
    SMAPS = spec("smaps", "", int(1, 0, 1), "1 reads each process's page detail, which is costly, at most once a minute.");
    /// Debug log.
    LOG_DEBUG = spec("log_debug", "", int(0, 0, 1), "1 logs this probe's debug messages.");
}

/// Keys accepted and ignored with a warning, because requests for older versions still send them.
pub static LEGACY: &[&str] = &["metrics_type", "env", "debugging_dir", "host_ip_fields"];

/// Historical key names: the old one, and the key that it means.
pub static RENAMED: &[(&str, &str)] = &[("svg_dir", "output_dir")];

/// The key with this name.
pub fn find(key: &str) -> Option<&'static ParamSpec> {
    ALL.iter().copied().find(|spec| spec.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_stand_in_for_what_was_never_set() {
        let mut params = Params::default();
        assert_eq!(params.int(&REPORT_PERIOD), 60);
        params.set(&REPORT_PERIOD, ParamValue::Int(5));
        assert_eq!(params.report_period().as_secs(), 5);
        assert_eq!(params.text(&PYROSCOPE_SERVER), "localhost:4040");
    }

    #[test]
    fn every_key_is_listed_once_and_its_default_is_in_range() {
        for (i, spec) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(i + 1).all(|other| other.key != spec.key), "{} twice", spec.key);
            assert!(spec.doc.ends_with('.'), "{}: doc is not a sentence", spec.key);
            if let ParamKind::Int { default, min, max, zero_is_off, .. } = spec.kind {
                assert!((min..=max).contains(&default) || (zero_is_off && default == 0), "{}", spec.key);
            }
        }
    }
}
