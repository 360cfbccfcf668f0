//! `lockup`: CPUs that the kernel found stuck, from its log.
//!
//! There is no tracepoint for these. What user space writes into the log carries another facility, so nobody can
//! make a lockup up. The log is read from where it is when the sub-probe begins.

use super::Reader;
use probe_core::{
    Batch, Capability, Env, Occurrence, Row, Severity, Subject, Text, Tick, Trigger, When, table,
};
use probe_kit::clock::Clock;
use probe_kit::privilege::{lacking, raise};
use probe_kit::scan::{self, lines, number};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

table! {
    /// One kind of lockup.
    pub(crate) struct SystemLockup = "system_lockup", entity "lockup", sub_probe "lockup" {
        keys { kind }
        labels { }
        counter count: Count = "Reports of CPUs that do not get on since the sub-probe began, by kind: soft (no other task), hard (no interrupt), rcu (no quiescent state), /dev/kmsg.";
    }
}

/// A CPU is stuck.
pub(crate) const TRIGGER: Trigger = Trigger {
    table: SystemLockup::TABLE,
    metric: "count",
    when: When::Told,
    severity: Severity::Error,
    text: Text {
        en: "The kernel reports a {kind} lockup: {message}.",
        zh: "内核报告 {kind} 类型的锁死：{message}。",
    },
    ip: "",
    device: "",
};

/// Raised while the log is opened: where kernel.dmesg_restrict is 1 it is not for everybody.
const NEEDED: [Capability; 1] = [Capability::Syslog];

/// Records of one reading; the log may fill as fast as it is read.
const MAX_RECORDS: usize = 10_000;

/// The kernel gives at most 8 KiB at a time.
const RECORD: usize = 8192;

const KINDS: [&str; 3] = ["soft", "hard", "rcu"];

/// A record of the kernel that tells of a lockup: kind, message, and when it was, since the boot.
fn lockup(record: &[u8]) -> Option<(usize, &[u8], Duration)> {
    let at = record.iter().position(|b| *b == b';')?;
    let mut head = record.get(..at)?.split(|b| *b == b',');
    let priority = number(head.next()?)?;
    let since_boot = Duration::from_micros(number(head.nth(1)?)?);
    // The facility of the kernel is 0; the level is in the lower three bits.
    let message = lines(record.get(at + 1..)?).next().filter(|_| priority >> 3 == 0)?;
    let has = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
    let kind = if has("BUG: soft lockup - CPU#") {
        0
    } else if has("hard LOCKUP on cpu") {
        1
    } else if has("rcu: INFO: rcu_") && has("detected") && has("stall") {
        2
    } else {
        return None;
    };
    Some((kind, message, since_boot))
}

/// The reader.
pub(super) struct Lockup {
    path: PathBuf,
    log: Option<OwnedFd>,
    counts: [u64; KINDS.len()],
    buf: Vec<u8>,
}

impl Lockup {
    /// The reader for the list of readers.
    pub(super) fn boxed(env: &Env) -> Box<dyn Reader> {
        let path = env.root.join("dev/kmsg");
        Box::new(Self { path, log: None, counts: [0; KINDS.len()], buf: vec![0; RECORD] })
    }

    fn tell(&mut self, read: usize, out: &mut Batch) {
        // One record, whose further lines begin with a blank.
        let Some(record) = self.buf.get(..read) else { return };
        let Some((kind, message, since_boot)) = lockup(record) else { return };
        self.counts[kind] += 1;
        out.tell(Occurrence {
            trigger: super::LOCKED_UP,
            subject: Subject::Host,
            labels: vec![KINDS[kind].into()],
            args: vec![("message", scan::text(message))],
            at: Clock::now().at(since_boot.as_nanos().try_into().unwrap_or(u64::MAX)),
        });
    }
}

impl Reader for Lockup {
    fn missing(&mut self) -> Vec<String> {
        let opened = {
            let _raised = raise(&NEEDED);
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            rustix::fs::open(&self.path, flags, Mode::empty())
        };
        let opened = opened.and_then(|log| rustix::fs::seek(&log, SeekFrom::End(0)).map(|_| log));
        match opened {
            Ok(log) => {
                self.log = Some(log);
                Vec::new()
            }
            Err(error) => vec![format!("{} cannot be read: {error}", self.path.display())],
        }
    }

    fn lacks(&mut self) -> Vec<Capability> {
        if self.log.is_some() { Vec::new() } else { lacking(&NEEDED) }
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        let mut whole = false;
        for _ in 0..MAX_RECORDS {
            let Some(log) = &self.log else { break };
            match rustix::io::read(log, self.buf.as_mut_slice()) {
                Ok(0) | Err(Errno::AGAIN) => {
                    whole = true;
                    break;
                }
                Ok(read) => self.tell(read, out),
                // The log went over what was not read yet; the next reading goes on after it.
                Err(Errno::PIPE) => out.skip("log_overrun", 1),
                Err(Errno::INTR) => {}
                Err(_) => {
                    out.skip("log_unreadable", 1);
                    whole = true;
                    break;
                }
            }
        }
        out.skip("log_records_left", u64::from(!whole));
        for (kind, count) in KINDS.into_iter().zip(self.counts) {
            let row = SystemLockup { kind: kind.into(), count: Some(count) };
            out.push(Subject::Host, probe_core::Baseline::Zero, row);
        }
        out.complete::<SystemLockup>();
    }

    fn memory(&self) -> u64 {
        self.buf.capacity() as u64
    }
}

/// What holds of any bytes as a record: what is told of it is one line of it.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let Some((kind, message, _)) = lockup(bytes) else { return };
    assert!(kind < KINDS.len() && !message.contains(&b'\n'));
    assert!(bytes.windows(message.len()).any(|window| window == message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::clock::monotonic_ns;
    use probe_kit::testing::{FakeHost, seen, tick};
    use proptest::prelude::*;
    use std::time::SystemTime;

    fn kind(message: &str) -> Option<&'static str> {
        lockup(message.as_bytes()).map(|(kind, _, _)| KINDS[kind])
    }

    #[test]
    fn each_report_of_the_kernel_is_recognised_and_nothing_that_user_space_wrote() {
        for (record, expected) in [
            (
                "0,512,5000000,-;watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [stress:1234]\n SUBSYSTEM=x\n",
                Some("soft"),
            ),
            ("0,513,5000000,-;NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a]b:7]\n", Some("soft")),
            ("0,514,5000000,-;NMI watchdog: Watchdog detected hard LOCKUP on cpu 3\n", Some("hard")),
            ("0,515,5000000,-;watchdog: Watchdog detected hard LOCKUP on cpu 3\n", Some("hard")),
            ("3,516,5000000,-;rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n", Some("rcu")),
            ("3,517,5000000,-;rcu: INFO: rcu_sched self-detected stall on CPU\n", Some("rcu")),
            ("12,518,5000000,-;watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [x:1]\n", None),
            ("6,519,5000000,-;watchdog: enabled\n", None),
            ("6,520,5000000,-;first line\n BUG: soft lockup - CPU#1\n", None),
            ("0,521;BUG: soft lockup - CPU#1\n", None),
            ("", None),
        ] {
            assert_eq!(kind(record), expected, "{record}");
        }
    }

    #[test]
    fn a_report_is_counted_and_told_with_its_text_and_its_time() {
        let host = FakeHost::new();
        host.write("dev/kmsg", "0,1,1,-;BUG: soft lockup - CPU#7 stuck for 1s! [before:1]\n");
        let mut reader = Lockup::boxed(&host.env());
        assert_eq!(reader.missing(), Vec::<String>::new());
        let boot = SystemTime::now() - Duration::from_nanos(monotonic_ns());
        let old = std::fs::read_to_string(host.path("dev/kmsg")).expect("the log");
        let new = "0,2,1000000,-;watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [we\"ird:9]\n";
        host.write("dev/kmsg", format!("{old}{new}"));
        let mut out = Batch::new(SystemTime::now());
        reader.read(tick(0, Duration::from_secs(1)), &mut out);
        let counts: Vec<_> = seen(&out).iter().map(|row| row.get("count")).collect();
        assert_eq!(counts, [Some(1.0), Some(0.0), Some(0.0)], "what was there before is not counted");
        let told = &out.occurrences()[0];
        assert_eq!(told.labels, ["soft"]);
        assert!(told.args[0].1.contains("CPU#1 stuck for 26s! [we\"ird:9]"), "{told:?}");
        let off = told.at.duration_since(boot).unwrap_or_default().abs_diff(Duration::from_secs(1));
        assert!(off < Duration::from_millis(500), "{off:?}");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_said() {
        let mut reader = Lockup::boxed(&FakeHost::new().env());
        assert!(reader.missing()[0].contains("dev/kmsg cannot be read"));
    }

    proptest! {
        #[test]
        fn no_record_makes_the_parser_panic(bytes: Vec<u8>, text in "([0-9]{0,3},|;|-|BUG: soft lockup - CPU#|hard LOCKUP on cpu|\n){0,12}") {
            let _ = (lockup(&bytes), lockup(text.as_bytes()));
        }
    }
}
