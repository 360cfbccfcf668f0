//! Garbage collections of CPython: the programs at work, and the rows of what they counted.

use super::PYGC;
use super::census::{Census, Time, begin_reading, counts, end_period, forget_ended, read, reading, remove};
use super::files::Files;
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::ProcPygc;
use libbpf_rs::Link;
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way, attach_to_function, attach_to_probe};
use probe_kit::kernel::{AttachKind, Requirement};
use std::io;
use std::path::Path;

probe_kit::bpf_object!("proc_pygc");

use bpf::{OpenProcPygcSkel, ProcPygcSkel, ProcPygcSkelBuilder, proc_pygc};

counts!(proc_pygc, bpf::proc_time, |counts| counts.collection.count);

/// The function that collects, in the interpreters of 3.8 and later and before that. It is not exported, so only an
/// interpreter with symbols tells where it is.
const FUNCTIONS: [&str; 2] = ["gc_collect_main", "collect"];

macro_rules! job {
    ($program:literal, [$($need:expr),*]) => {
        Job {
            name: $program,
            sub_probes: &[PYGC],
            helps: &[],
            ways: &[Way { program: $program, needs: &[$($need),*], maps: &[] }],
        }
    };
}

/// The only one that is attached for good.
const ENDS: &str = "ended";

static JOBS: &[Job] = &[
    job!("ended", [Requirement::Attach(AttachKind::TpBtf)]),
    job!("collection_begins", []),
    job!("collection_ends", []),
    job!("collection_begins_usdt", []),
    job!("collection_ends_usdt", []),
];

/// The interpreter itself, or the library that it is in.
fn is_python(name: &[u8]) -> bool {
    let version = name.strip_prefix(b"libpython").or_else(|| name.strip_prefix(b"python"));
    version.is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
}

struct Pygc<'o> {
    files: Files,
    end: Option<Link>,
    object: Bpf<ProcPygcSkel<'o>>,
    losses: Losses,
    census: Census,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_pygc", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcPygcSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object =
        Bpf::load::<ProcPygcSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    let (files, losses, census) = (Files::default(), Losses::default(), Census::default());
    Ok(Box::new(Pygc { files, end: None, object, losses, census }))
}

fn attach(object: &Bpf<ProcPygcSkel<'_>>, path: &Path) -> Result<Vec<Link>, String> {
    let program = |name: &str| {
        object.skel().object().progs_mut().find(|found| found.name() == name).ok_or("not in the object")
    };
    // The return first: what begins must be seen to end.
    for function in FUNCTIONS {
        let Ok(end) = attach_to_function(&program("collection_ends")?, path, function, true) else {
            continue;
        };
        let begin = attach_to_function(&program("collection_begins")?, path, function, false)?;
        return Ok(vec![end, begin]);
    }
    let Ok(end) = attach_to_probe(&program("collection_ends_usdt")?, path, "python", "gc__done") else {
        // The program `python3` where the interpreter is in the library.
        return Ok(Vec::new());
    };
    Ok(vec![end, attach_to_probe(&program("collection_begins_usdt")?, path, "python", "gc__start")?])
}

impl Part for Pygc<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let mut outcome = self.object.plan().outcome(wanted);
        self.end = None;
        if wanted.has(PYGC) {
            let ends = self.object.skel().object().progs_mut().find(|program| program.name() == ENDS);
            let _raised = probe_kit::bpf::raised();
            match ends.map(|program| program.attach()) {
                Some(Ok(link)) => self.end = Some(link),
                Some(Err(error)) => outcome.miss(PYGC, format!("program {ENDS}: {error}")),
                None => {}
            }
        }
        if wanted.has(PYGC) {
            forget_ended::<proc_pygc>(&self.object.skel().maps.processes, look);
        }
        self.meet(wanted, look, true);
        if let Some(reason) = self.files.refused() {
            outcome.miss(PYGC, format!("uprobes on CPython: {reason}"));
        }
        outcome
    }

    fn meet(&mut self, wanted: &SubProbes, look: &Look<'_>, all: bool) {
        let object = &self.object;
        if wanted.has(PYGC) {
            self.files.meet(look, all, is_python, &mut |path| attach(object, path));
        } else {
            self.files.leave();
        }
    }

    #[allow(clippy::cast_precision_loss)] // milliseconds
    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(PYGC) {
            return Ok(());
        }
        self.meet(wanted, look, true);
        self.files.tell(out);
        let (entries, period, gone) = reading!(self, look, |_: &proc_pygc| ());
        for entry in &entries {
            let Some(mut rows) = self.census.rows(entry.key(), look, out) else { continue };
            let time = Time::from(entry.counts.collection);
            rows.push(ProcPygc {
                tgid: rows.tgid(),
                python_gc: Some(time.count),
                latency_sum: Some(time.total_ns / 1_000_000),
                latency_max: time.longest(period).map(|ns| ns / 1e6),
            });
        }
        out.complete::<ProcPygc>();
        remove(&self.object.skel().maps.processes, &gone);
        self.losses.tell(self.object.skel().object(), &[], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        let attached = if self.files.refused().is_some() { "loaded" } else { "attached" };
        self.object.plan().programs().map(|program| format!("pygc/{program}: {program} {attached}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_known_by_its_name() {
        for (name, expected) in [
            ("python3.11", true),
            ("libpython3.11.so.1.0", true),
            ("python3", true),
            ("python2.7", true),
            ("libpythonic.so", false),
            ("pythonw", false),
            ("python", false),
        ] {
            assert_eq!(is_python(name.as_bytes()), expected, "{name}");
        }
    }
}
