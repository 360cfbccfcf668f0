//! `baseinfo`: what /proc, /sys, netlink and statvfs say about the host and about chosen processes.
//!
//! Owns the descriptor and the list of readers, one file a sub-probe. Each reader owns its tables, its
//! kept descriptors and its parsing; none knows labels beyond its own. `probe` is the loop, and `trouble` and
//! `runqueue` have the sub-probes that are told by the kernel instead of reading.

mod blind;
mod con;
mod cpu;
mod disk;
mod fs;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod host;
mod idle;
mod lockup;
mod mem;
#[cfg(test)]
mod namespace;
mod needs;
mod net;
mod netns;
mod nic;
mod probe;
mod proc;
mod psi;
mod rtnl;
mod runqueue;
#[cfg(test)]
mod stage;
mod stuck;
mod triggers;
mod trouble;

use crate::params::params;
use blind::Blind;
use probe_core::{
    Batch, Capability, Descriptor, Env, Order, Outcome, Poll, ProbeError, Row, ScopeUse, SubProbe, Tick,
    Trigger, params, without,
};
use probe_kit::charge::Stopwatch;
use probe_kit::kept::KeptFile;

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "baseinfo",
    summary: "Levels, rates and totals of the host's CPUs, memory, network, disks and file systems, and of chosen processes.",
    sub_probes: &[
        always(
            "cpu",
            "Time, softirqs, packet backlog and clock rate of each CPU, and the busy share of all.",
        ),
        always("mem", "Memory by use, swap, and the directory entry cache."),
        always("nic", "Traffic, errors, drops and egress queue of each physical network device."),
        always("net", "TCP segments and UDP datagrams of the host."),
        always("disk", "Rate, size, wait and queue of reads and writes of each block device."),
        always("fs", "Used and free space and inodes of each mounted file system."),
        SubProbe {
            needs_scope: true,
            ..always("proc", "Descriptors, I/O, page faults, memory and CPU time of each process in scope.")
        },
        always("host", "System, kernel, size and addresses of the host, as labels of a constant."),
        SubProbe {
            needs_scope: true,
            needs_param: Some(&params::ELF_PATH),
            containers: true,
            ..always("con", "Growth of a directory inside each container in scope.")
        },
        on_request("psi", "Time that tasks waited for CPU, memory and I/O."),
        on_request("lockup", "CPUs that the kernel found stuck."),
        on_request("oom", "Processes that were killed for want of memory, with who wanted it."),
        on_request("hung_task", "Tasks that the kernel found hung."),
        on_request("reclaim", "Time that tasks waited while memory was made free, by cgroup."),
        on_request("runqueue", "Time that tasks could have run and did not, by cgroup."),
    ],
    scope: ScopeUse::ProcessesAndContainers,
    params: params![DEV_NAME, ELF_PATH, SMAPS],
    tables: &[
        cpu::CpuRow::TABLE,
        cpu::TotalRow::TABLE,
        mem::MemRow::TABLE,
        mem::DentryRow::TABLE,
        nic::NicRow::TABLE,
        net::TcpRow::TABLE,
        net::UdpRow::TABLE,
        disk::SystemIostat::TABLE,
        fs::SystemDf::TABLE,
        proc::SystemProc::TABLE,
        host::HostRow::TABLE,
        con::SystemConIo::TABLE,
        psi::SystemPsi::TABLE,
        lockup::SystemLockup::TABLE,
        trouble::SystemOom::TABLE,
        trouble::SystemHungTask::TABLE,
        trouble::SystemReclaim::TABLE,
        runqueue::SystemRunqueue::TABLE,
    ],
    triggers: triggers::TRIGGERS,
    needs: needs::NEEDS,
    build: Some(|env| Box::new(Baseinfo::new(env))),
};

const fn always(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe::new(name, summary)
}

/// What is told by the sub-probe itself.
static LOCKED_UP: &Trigger = &lockup::TRIGGER;
static KILLED: &Trigger = &trouble::OOM_TRIGGER;
static HUNG: &Trigger = &trouble::HUNG_TASK_TRIGGER;

/// Beyond what gala-gopher's `baseinfo` shows: who asks for nothing gets what it always gave, with the rights that it
/// always took.
const fn on_request(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe { default: false, ..SubProbe::new(name, summary) }
}

/// Fills the tables of one sub-probe.
pub(crate) trait Reader: Send {
    /// What this host lacks for the reader to work, one sentence each; empty if it works. Asked once, after
    /// the first [`Reader::apply`].
    fn missing(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// The capabilities for want of which it leaves something out here; what that is says [`needs::NEEDS`].
    fn lacks(&mut self) -> Vec<Capability> {
        Vec::new()
    }
    /// Takes note of scope and parameters, at the start and whenever they change.
    fn apply(&mut self, _order: &Order) {}
    /// Reads once. What cannot be read now is left out and counted with [`Batch::skip`].
    fn read(&mut self, tick: Tick, out: &mut Batch);
    /// Memory held for data.
    fn memory(&self) -> u64 {
        0
    }
}

/// A sub-probe's name and its reader.
type Make = (&'static str, fn(&Env) -> Box<dyn Reader>);

/// Every reader, in the order of the descriptor.
const READERS: &[Make] = &[
    ("cpu", cpu::Cpu::boxed),
    ("mem", mem::Mem::boxed),
    ("nic", nic::Nic::boxed),
    ("net", net::Net::boxed),
    ("disk", disk::Disk::boxed),
    ("fs", fs::Fs::boxed),
    ("proc", proc::Proc::boxed),
    ("host", host::Host::boxed),
    ("con", con::Con::boxed),
    ("psi", psi::Psi::boxed),
    ("lockup", lockup::Lockup::boxed),
];

/// What [`Reader::missing`] says of the one file that a reader cannot do without.
fn unreadable(file: &mut KeptFile, buf: &mut Vec<u8>) -> Vec<String> {
    match file.read(buf) {
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("{} cannot be read: {error}", file.path().display())],
    }
}

/// A sub-probe that runs.
struct Active {
    name: &'static str,
    reader: Box<dyn Reader>,
    blind: Blind,
}

impl Active {
    /// Reads once; whether what is to be said of it has changed.
    fn read(&mut self, tick: Tick, out: &mut Batch) -> bool {
        let (rows, before) = (out.rows().len(), out.skipped().to_vec());
        self.reader.read(tick, out);
        let left_out = out.skipped().iter().filter(|now| !before.contains(now)).map(|(reason, _)| *reason);
        self.blind.note(out.rows().len().saturating_sub(rows), left_out)
    }
}

struct Baseinfo {
    env: Env,
    active: Vec<Active>,
    /// Something is to be said that [`Poll::apply`] did not say yet.
    news: bool,
}

impl Baseinfo {
    fn new(env: &Env) -> Self {
        Self { env: env.clone(), active: Vec::new(), news: false }
    }
}

impl Poll for Baseinfo {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        self.active.retain(|active| order.sub_probes.has(active.name));
        let mut outcome = Outcome::all(&order.sub_probes);
        for (name, make) in READERS {
            if !order.sub_probes.has(name) {
                continue;
            }
            if !self.active.iter().any(|active| active.name == *name) {
                let mut reader = make(&self.env);
                reader.apply(order);
                let missing = reader.missing();
                if !missing.is_empty() {
                    missing.into_iter().for_each(|what| outcome.miss(name, what));
                    continue;
                }
                self.active.push(Active { name, reader, blind: Blind::default() });
            }
        }
        for Active { name, reader, blind } in &mut self.active {
            reader.apply(order);
            for sentence in without(needs::NEEDS, name, &reader.lacks()) {
                outcome.lack(name, sentence);
            }
            if let Some(sentence) = blind.sentence() {
                outcome.blind(name, sentence);
            }
        }
        Ok(outcome)
    }

    fn poll(&mut self, tick: Tick, out: &mut Batch) -> Result<(), ProbeError> {
        let mut watch = Stopwatch::start();
        for active in &mut self.active {
            self.news |= active.read(tick, out);
            out.charge(active.name, watch.lap());
        }
        Ok(())
    }

    fn changed(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn memory(&self) -> u64 {
        self.active.iter().map(|active| active.reader.memory()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, order, poll, seen, tick};
    use std::time::Duration;

    #[test]
    fn a_reader_without_its_file_is_missing_and_says_which_file() {
        let host = FakeHost::new();
        let mut probe = Baseinfo::new(&host.env());
        let outcome = probe.apply(&order(&["cpu", "mem", "net"])).expect("applies");
        assert!(outcome.none_runs());
        assert!(outcome.missing()[0].contains("proc/stat cannot be read"), "{:?}", outcome.missing());
    }

    #[test]
    fn a_reader_that_is_refused_everywhere_is_said_while_it_lasts() {
        let host = FakeHost::new();
        host.write("proc/1/root/x", "").write("proc/1/mountinfo", "no line of it is a mount\n");
        let mut probe = Baseinfo::new(&host.env());
        let order = order(&["fs"]);
        let read = |probe: &mut Baseinfo, index| {
            poll(probe, tick(index, Duration::from_secs(1)));
            probe.changed()
        };
        assert!(!probe.apply(&order).expect("applies").missing().concat().contains("nothing"));
        assert!(!read(&mut probe, 0), "once may be bad luck");
        assert!(read(&mut probe, 1));
        let outcome = probe.apply(&order).expect("applies");
        let all = outcome.missing().concat();
        assert!(all.contains("fs: nothing of what it reads could be read (mount_line)"), "{all}");
        assert!(outcome.degraded() && !outcome.none_runs());
        assert!(!read(&mut probe, 2), "it is said");
        host.write("proc/1/mountinfo", "");
        assert!(read(&mut probe, 3));
        assert!(!probe.apply(&order).expect("applies").missing().concat().contains("nothing"));
    }

    #[test]
    fn sub_probes_come_and_go_while_the_others_keep_what_they_know() {
        let mut probe = Baseinfo::new(&Env::default());
        let tables = |probe: &mut Baseinfo, index| {
            let batch = poll(probe, tick(index, Duration::from_secs(1)));
            seen(&batch).iter().map(|row| row.table).collect::<std::collections::BTreeSet<_>>()
        };
        probe.apply(&order(&["cpu"])).expect("applies");
        assert_eq!(tables(&mut probe, 0).into_iter().collect::<Vec<_>>(), ["system_cpu", "system_cpu_util"]);
        probe.apply(&order(&["cpu", "net"])).expect("applies");
        assert!(tables(&mut probe, 1).contains("system_tcp"));
        probe.apply(&order(&["net"])).expect("applies");
        assert!(!tables(&mut probe, 2).contains("system_cpu"));
        assert!(probe.memory() > 0);
    }

    #[test]
    fn every_row_belongs_to_a_table_of_the_descriptor_and_every_reader_to_a_sub_probe() {
        for (name, _) in READERS {
            assert!(DESCRIPTOR.sub_probe(name).is_some(), "{name}");
        }
        let mut probe = Baseinfo::new(&Env::default());
        let built: Vec<_> = READERS.iter().map(|(name, _)| *name).collect();
        probe.apply(&order(&built)).expect("applies");
        for row in poll(&mut probe, tick(0, Duration::from_secs(1))).rows() {
            assert!(DESCRIPTOR.tables.iter().any(|table| table.name == row.table.name), "{}", row.table.name);
        }
    }
}
