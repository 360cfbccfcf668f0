//! Name lookups through the C library: the programs at work, and the rows of what they counted.

use super::DNS;
use super::files::Files;
use super::labels;
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::ProcDns;
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{Link, MapCore as _};
use probe_core::{Baseline, Batch, Label, Outcome, ProbeError, ProcKey, SubProbes, Subject};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way, attach_to_function, raised, snapshot};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes as _;

probe_kit::bpf_object!("proc_dns");

use bpf::{OpenProcDnsSkel, ProcDnsSkel, ProcDnsSkelBuilder, proc_lookup_key, proc_lookups};

/// A name that was not looked up for so long has no row any more.
const IDLE: Duration = Duration::from_secs(600);

/// The functions, each with its two programs.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("getaddrinfo", "getaddrinfo_begins", "getaddrinfo_ends"),
    ("gethostbyname", "gethostbyname_begins", "gethostbyname_ends"),
    ("gethostbyname2", "gethostbyname2_begins", "gethostbyname2_ends"),
];

macro_rules! jobs {
    ($($program:literal),*) => {
        &[$(Job {
            name: $program,
            sub_probes: &[DNS],
            helps: &[],
            ways: &[Way { program: $program, needs: &[], maps: &[] }],
        }),*]
    };
}

static JOBS: &[Job] = jobs!(
    "getaddrinfo_begins",
    "getaddrinfo_ends",
    "gethostbyname_begins",
    "gethostbyname_ends",
    "gethostbyname2_begins",
    "gethostbyname2_ends"
);

/// glibc's, under its old name and its new one, and musl's.
fn is_libc(name: &[u8]) -> bool {
    name == b"libc.so.6"
        || (name.starts_with(b"libc-2.") && name.ends_with(b".so"))
        || name.starts_with(b"ld-musl-")
        || name.starts_with(b"libc.musl-")
}

/// What was known of a name at the reading before.
struct Known {
    counts: proc_lookups,
    touched: Instant,
    shown: bool,
}

struct Dns<'o> {
    files: Files,
    object: Bpf<ProcDnsSkel<'o>>,
    losses: Losses,
    known: HashMap<proc_lookup_key, Known>,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_dns", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcDnsSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object =
        Bpf::load::<ProcDnsSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    let (files, losses) = (Files::default(), Losses::default());
    Ok(Box::new(Dns { files, object, losses, known: HashMap::new() }))
}

fn attach(object: &Bpf<ProcDnsSkel<'_>>, path: &Path) -> Result<Vec<Link>, String> {
    let program = |name: &str| {
        object.skel().object().progs_mut().find(|found| found.name() == name).ok_or("not in the object")
    };
    let (mut links, mut reason) = (Vec::new(), None);
    for (function, begins, ends) in FUNCTIONS {
        // The return first: what begins must be seen to end.
        let both = attach_to_function(&program(ends)?, path, function, true)
            .and_then(|end| Ok([end, attach_to_function(&program(begins)?, path, function, false)?]));
        match both {
            Ok(both) => links.extend(both),
            Err(why) => reason = Some(why),
        }
    }
    // A library may lack one of them.
    match reason {
        Some(why) if links.is_empty() => Err(why),
        _ => Ok(links),
    }
}

impl Part for Dns<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let mut outcome = self.object.plan().outcome(wanted);
        self.meet(wanted, look, true);
        if let Some(reason) = self.files.refused() {
            outcome.miss(DNS, format!("uprobes on the C library: {reason}"));
        }
        outcome
    }

    fn meet(&mut self, wanted: &SubProbes, look: &Look<'_>, all: bool) {
        let object = &self.object;
        if wanted.has(DNS) {
            self.files.meet(look, all, is_libc, &mut |path| attach(object, path));
        } else {
            self.files.leave();
        }
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(DNS) {
            return Ok(());
        }
        self.meet(wanted, look, true);
        self.files.tell(out);
        let entries = snapshot::<proc_lookup_key, proc_lookups>(&self.object.skel().maps.lookups)?.entries;
        let mut period = None;
        if let Some(data) = self.object.skel_mut().maps.data_data.as_deref_mut() {
            period = look.closes.then_some(data.period);
            data.period += u64::from(look.closes);
        }
        let gone = self.show(&entries, look, period, Instant::now(), out);
        let _raised = raised();
        for key in &gone {
            // Absent is as good as removed.
            let _ = self.object.skel().maps.lookups.delete(key.as_bytes());
        }
        self.losses.tell(self.object.skel().object(), &[], out)
    }

    fn memory(&self) -> u64 {
        let known = self.known.capacity() * size_of::<(proc_lookup_key, Known)>();
        known as u64
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        let attached = if self.files.refused().is_some() { "loaded" } else { "attached" };
        self.object.plan().programs().map(|program| format!("dns/{program}: {program} {attached}")).collect()
    }
}

impl Dns<'_> {
    /// Adds the rows, and says which entries may go.
    fn show(
        &mut self,
        entries: &[(proc_lookup_key, proc_lookups)],
        look: &Look<'_>,
        period: Option<u64>,
        now: Instant,
        out: &mut Batch,
    ) -> Vec<proc_lookup_key> {
        let mut before = std::mem::take(&mut self.known);
        let mut gone = Vec::new();
        let mut ended = HashSet::new();
        for (key, counts) in entries {
            let process = ProcKey { tgid: key.tgid, start_ticks: key.start_ticks };
            let was = before.remove(key);
            let base = was.as_ref().map_or_else(proc_lookups::default, |was| was.counts);
            let quiet = was.is_some() && base.count == counts.count;
            let touched = was.as_ref().filter(|_| quiet).map_or(now, |was| was.touched);
            let has_ended = ended.contains(&process) || (quiet && !look.runs(process));
            let was_shown = was.is_some_and(|was| was.shown);
            if has_ended {
                ended.insert(process);
            }
            let idle = now.saturating_duration_since(touched) >= IDLE;
            let shown = if has_ended { was_shown } else { look.scope.contains(&process) && !idle };
            if shown {
                let row = row(key, counts, &base, period);
                if has_ended {
                    out.push_last(Subject::Process(process), Baseline::Zero, row);
                } else {
                    out.push(Subject::Process(process), Baseline::Zero, row);
                }
            }
            if has_ended || idle {
                gone.push(*key);
            } else {
                // Until a period ends, what it has is still to be told.
                let counts = if period.is_some() { *counts } else { base };
                self.known.insert(*key, Known { counts, touched, shown });
            }
        }
        out.complete::<ProcDns>();
        gone
    }
}

/// The domain as it was asked for. The end of a name in the DNS may be a full stop, which says nothing.
fn domain(name: &[u8]) -> Label {
    let label = labels::text(name);
    if label.is_empty() { Label::new_static(".") } else { label }
}

#[allow(clippy::cast_precision_loss)] // milliseconds and small counts
fn row(key: &proc_lookup_key, counts: &proc_lookups, base: &proc_lookups, period: Option<u64>) -> ProcDns {
    let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
    let (count, errors) = (grown(counts.count, base.count), grown(counts.errors, base.errors));
    let found = count.saturating_sub(errors);
    let total = grown(counts.total_ns, base.total_ns);
    let ms = |ns: u64| ns as f64 / 1e6;
    let closes = period.is_some();
    ProcDns {
        tgid: labels::number(key.tgid),
        domain: domain(&key.name),
        delay_avg: (closes && found > 0).then(|| ms(total) / found as f64),
        max_delay: (Some(counts.period) == period).then(|| ms(counts.max_ns)),
        error_ratio: (closes && count > 0).then(|| errors as f64 / count as f64),
        count: Some(counts.count),
        error_count: Some(counts.errors),
    }
}

/// What holds of any entry: a domain that can be shown, and numbers that are.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let (key, counts) = bytes.split_at(bytes.len().min(size_of::<proc_lookup_key>()));
    let (now, base) = counts.split_at(counts.len().min(size_of::<proc_lookups>()));
    let counts: proc_lookups = probe_kit::fuzz::record(now);
    let key = probe_kit::fuzz::record(key);
    for period in [None, Some(counts.period)] {
        let row = row(&key, &counts, &probe_kit::fuzz::record(base), period);
        assert!(!row.domain.is_empty() && !row.domain.contains('\0'), "{:?}", row.domain);
        let numbers = [row.delay_avg, row.max_delay, row.error_ratio];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{numbers:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_c_library_is_known_by_its_name() {
        for (name, expected) in [
            ("libc.so.6", true),
            ("libc-2.31.so", true),
            ("ld-musl-x86_64.so.1", true),
            ("libc++.so.1", false),
            ("libcrypto.so.3", false),
            ("", false),
        ] {
            assert_eq!(is_libc(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn averages_and_ratios_are_of_the_period_and_absent_without_one() {
        let mut name = [0; 256];
        name[..5].copy_from_slice(b"a\"b\n\xc3");
        let key = proc_lookup_key { start_ticks: 1, tgid: 7, zero: 0, name };
        let counts =
            |count, errors, total_ns| proc_lookups { count, errors, total_ns, max_ns: 4_000_000, period: 3 };
        let (base, now) = (counts(10, 2, 8_000_000), counts(14, 3, 14_000_000));
        let row_of_period = row(&key, &now, &base, Some(3));
        assert_eq!(row_of_period.domain, "a\"b\n\u{fffd}");
        assert_eq!(row_of_period.delay_avg, Some(2.0), "6 ms of 3 that found something");
        assert_eq!(row_of_period.error_ratio, Some(0.25));
        assert_eq!((row_of_period.count, row_of_period.error_count), (Some(14), Some(3)));
        assert_eq!(row_of_period.max_delay, Some(4.0));
        assert_eq!(row(&key, &now, &now, Some(4)).delay_avg, None);
        assert_eq!(row(&key, &now, &now, Some(4)).error_ratio, None);
        assert_eq!(row(&key, &now, &base, None).error_ratio, None);
    }
}
