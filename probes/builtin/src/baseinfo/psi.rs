//! `psi`: how long tasks of the host waited for each resource, /proc/pressure.

use super::Reader;
use probe_core::{Batch, Env, Row as _, Tick, table};
use probe_kit::kept::KeptFile;
use probe_kit::pressure::parse;

table! {
    /// One resource.
    pub(crate) struct SystemPsi = "system_psi", entity "psi", sub_probe "psi" {
        keys { resource }
        labels { }
        counter waiting_seconds_total: SecondsOfNanoseconds = "Time in which some task waited for the resource (cpu, memory, io), /proc/pressure some.";
        counter stalled_seconds_total: SecondsOfNanoseconds = "Time in which all tasks that could have run waited for it, /proc/pressure full; of irq, the time that interrupts took.";
        gauge waiting_avg10: Percent = "Share of the last 10 s in which some task waited, /proc/pressure some.";
        gauge waiting_avg60: Percent = "Share of the last 60 s, likewise.";
        gauge waiting_avg300: Percent = "Share of the last 300 s, likewise.";
        gauge stalled_avg10: Percent = "Share of the last 10 s in which all tasks waited, /proc/pressure full.";
    }
}

/// irq: since Linux 6.1, where interrupt times are accounted.
const RESOURCES: [&str; 4] = ["cpu", "memory", "io", "irq"];

/// The reader.
pub(super) struct Psi {
    files: Vec<(&'static str, KeptFile)>,
    buf: Vec<u8>,
}

impl Psi {
    /// The reader for the list of readers.
    pub(super) fn boxed(env: &Env) -> Box<dyn Reader> {
        let file = |resource| (resource, KeptFile::new(env.proc.join("pressure").join(resource)));
        Box::new(Self { files: RESOURCES.into_iter().map(file).collect(), buf: Vec::new() })
    }
}

impl Reader for Psi {
    fn missing(&mut self) -> Vec<String> {
        self.files.retain_mut(|(_, file)| file.read(&mut self.buf).is_ok());
        if !self.files.is_empty() {
            return Vec::new();
        }
        vec!["this kernel has no pressure stall information, or was started with psi=0".to_owned()]
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        for (resource, file) in &mut self.files {
            let Ok(text) = file.read(&mut self.buf) else {
                out.skip("pressure_unreadable", 1);
                continue;
            };
            let pressure = parse(text);
            SystemPsi {
                resource: (*resource).into(),
                waiting_seconds_total: pressure.some.total_ns,
                stalled_seconds_total: pressure.full.total_ns,
                waiting_avg10: pressure.some.avg10,
                waiting_avg60: pressure.some.avg60,
                waiting_avg300: pressure.some.avg300,
                stalled_avg10: pressure.full.avg10,
            }
            .host(out);
        }
        out.complete::<SystemPsi>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, seen, tick};
    use std::time::{Duration, SystemTime};

    fn read(reader: &mut dyn Reader) -> Vec<probe_kit::testing::SeenRow> {
        let mut out = Batch::new(SystemTime::now());
        reader.read(tick(0, Duration::from_secs(1)), &mut out);
        seen(&out)
    }

    #[test]
    fn each_resource_that_the_kernel_tells_of_has_a_row() {
        let host = FakeHost::new();
        host.write("proc/pressure/cpu", "some avg10=1.50 avg60=2.00 avg300=3.00 total=7\n");
        host.write("proc/pressure/irq", "full avg10=0.25 avg60=0.00 avg300=0.00 total=9\n");
        let mut reader = Psi::boxed(&host.env());
        assert_eq!(reader.missing(), Vec::<String>::new());
        let rows = read(reader.as_mut());
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].label("resource"), rows[0].get("waiting_seconds_total")),
            (Some("cpu"), Some(7000.0))
        );
        assert_eq!((rows[0].get("waiting_avg300"), rows[0].get("stalled_avg10")), (Some(3.0), None));
        assert_eq!(
            (rows[1].get("stalled_seconds_total"), rows[1].get("stalled_avg10")),
            (Some(9000.0), Some(0.25))
        );
    }

    #[test]
    fn a_kernel_without_it_is_said() {
        let mut reader = Psi::boxed(&FakeHost::new().env());
        assert!(reader.missing()[0].contains("psi=0"));
    }
}
