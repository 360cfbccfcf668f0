//! The fuzz targets on the stable toolchain: each with its corpus in the tree, and with mutants of it.
//!
//! With `GOPHERD_FUZZ_SECONDS` all targets together take so long (`make fuzz-short`: two minutes); without it each has a
//! few hundred mutants. `GOPHERD_FUZZ_SEED` takes other mutants than the usual ones. An input that breaks something is
//! written to `target/fuzz`, and belongs into the target's corpus once it is mended.

use gopher_e2e::mutate::Mutator;
use gopherd::fuzz::TARGETS;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Mutants of each target where no time is given.
const FEW: u64 = 300;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

/// The files of a target's corpus, in an order that stays.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = workspace().join("fuzz/corpus").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Where the time of one target ends.
fn end() -> Option<Instant> {
    let all = Duration::from_secs(number("GOPHERD_FUZZ_SECONDS")?);
    Some(Instant::now() + all / u32::try_from(TARGETS.len()).unwrap_or(1))
}

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    let check = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| (target.check)(input))).is_err() {
            let folder = workspace().join("target/fuzz");
            fs::create_dir_all(&folder).expect("a folder");
            let path = folder.join(format!("{name}-{}", std::process::id()));
            fs::write(&path, input).expect("written");
            panic!("{name} does not hold for {}: {}", path.display(), input.escape_ascii());
        }
    };
    corpus.iter().for_each(|input| check(input));
    let seed = number("GOPHERD_FUZZ_SEED").unwrap_or(1);
    let (mut mutator, end, begin) = (Mutator::new(seed), end(), Instant::now());
    let mut mutants = 0;
    while end.map_or(mutants < FEW, |end| Instant::now() < end) {
        check(&mutator.mutant(&corpus));
        mutants += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "fuzz: {name}: {} files, {mutants} mutants in {seconds:.1} s, seed {seed}: all hold",
        corpus.len()
    );
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })*

        #[test]
        fn each_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(run));
        }
    };
}

targets!(
    compat_body,
    apply_body,
    request_head,
    configuration,
    probes_init,
    credentials,
    metric_text,
    client,
    cgroup_paths,
    runtimes,
    spool,
    process_text,
    kernel_text,
    kernel_log,
    netlink,
    bpf_records
);
