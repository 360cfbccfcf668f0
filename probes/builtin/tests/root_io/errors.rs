//! Failures: counted, and each told with who asked for what.

use crate::harness::Observer;
use crate::stage::{BLOCK, Direct, Loop, Memory};
use probe_core::{ParamValue, params};

/// A disk on a file that has more bytes than there is memory for: writes fail where it ends.
fn too_large() -> Loop {
    let memory = Memory::of("64k");
    let file = memory.hole(1 << 20);
    Loop::over(memory, &file, &[])
}

/// Writes until `failures` have failed; the error that the last of them gave, which is the device's: before some kernel a
/// loop device makes EIO of everything.
fn fail(device: &str, failures: usize) -> i32 {
    let mut disk = Direct::open(device);
    let failed = (0..200).filter_map(|block| disk.write(BLOCK, block * BLOCK as u64).err()).take(failures);
    let errors: Vec<_> = failed.collect();
    assert_eq!(errors.len(), failures, "the stage is set");
    errors.last().and_then(std::io::Error::raw_os_error).expect("an errno")
}

#[test]
fn root_each_failed_request_is_counted_and_told_with_process_operation_place_and_error() {
    let disk = too_large();
    let mut observer = Observer::start();
    let errno = fail(disk.name(), 1);
    observer.told(1);
    let told = observer.told.remove(0);
    assert_eq!(told.trigger.metric, "err_code");
    let label = |at: usize| told.labels[at].as_str();
    assert_eq!((label(2), label(3)), (disk.name(), disk.name()), "{told:?}");
    let arg = |name: &str| {
        let found = told.args.iter().find(|(arg, _)| *arg == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    assert_eq!((arg("op"), arg("size"), arg("code")), ("write", "4096", &*errno.to_string()), "{told:?}");
    assert!(std::io::Error::from_raw_os_error(errno).to_string().starts_with(arg("error")), "{told:?}");
    assert!(arg("sector").parse::<u64>().is_ok_and(|sector| sector > 0 && sector % 8 == 0), "{told:?}");
    // A kernel that hands requests to a thread of its own names that.
    assert!(!arg("comm").is_empty() && arg("pid").parse::<u32>().is_ok(), "{told:?}");
    let own = arg("pid") == std::process::id().to_string();
    eprintln!("VERDICT io/a failed write is of: {}", if own { "who wrote" } else { arg("comm") });

    fail(disk.name(), 20);
    let rows = observer.read();
    assert_eq!(rows.value("io_err", disk.name(), "err_count"), 21.0);
    assert_eq!(rows.value("io_err", disk.name(), "err_code"), f64::from(errno));
    observer.told(20);
    assert_eq!(observer.lost("failure_ring_full") + observer.lost("occurrences"), 0);
}

#[test]
fn root_without_report_event_failures_are_counted_and_not_told_and_a_healthy_disk_has_none() {
    let (bad, good) = (too_large(), Loop::new(1 << 20));
    let mut observer =
        Observer::with(&["io_err", "io_count"], &[(&params::REPORT_EVENT, ParamValue::Int(0))]);
    fail(bad.name(), 5);
    Direct::open(good.name()).write(BLOCK, 0).expect("written");
    let rows = observer.read();
    assert_eq!(rows.value("io_err", bad.name(), "err_count"), 5.0);
    assert_eq!(rows.value("io_err", good.name(), "err_count"), 0.0);
    assert_eq!(rows.row("io_err", good.name()).get("err_code"), None, "there was none");
    assert!(observer.told.is_empty(), "{:?}", observer.told);
    assert!(rows.find("io_latency", bad.name()).is_none(), "what was not asked for is not shown");
}
