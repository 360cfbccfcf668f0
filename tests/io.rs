//! `io` in the daemon: a disk of the test's own under real work, beside what the kernel has counted of it.

use gopher_e2e::bpf::{KINDS, existing, held};
use gopher_e2e::disk::LoopDisk;
use gopher_e2e::process::text_of;
use gopher_e2e::stream::Following;
use gopher_e2e::{Daemon, Scrape, Setup, eventually, tries};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

const BLOCK: usize = 4096;

/// Starts `io` with a report every five seconds.
#[track_caller]
fn observe(daemon: &Daemon<'_>) {
    let params = json!({"report_period": 5, "sample_period": 100, "report_event": 1});
    let order = json!({"state": "running", "params": params});
    daemon.put("io", &order.to_string());
    for sub in daemon.probe("io")["status"]["sub_probes"].as_array().expect("sub-probes") {
        assert_ne!(sub["state"], "unavailable", "{sub:#}");
    }
}

/// Its major and its minor number.
fn number(disk: &LoopDisk) -> (String, String) {
    let text = fs::read_to_string(format!("/sys/block/{}/dev", disk.name())).expect("a number");
    let (major, minor) = text.trim().split_once(':').expect("two");
    (major.to_owned(), minor.to_owned())
}

/// `gala_gopher_block_FIELD` of a device.
fn value(scrape: &Scrape, field: &str, device: &str) -> Option<f64> {
    let name = format!("gala_gopher_block_{field}");
    let mut rows = scrape.all(&name);
    rows.find(|row| row.label("blk_name") == Some(device)).map(|row| row.value)
}

#[test]
fn a_file_system_s_requests_bytes_and_pages_are_what_the_kernel_counts() {
    for mut this in tries() {
        let setup = Setup::new();
        let disk = LoopDisk::new(&setup.path("disk"), 64 << 20, 64 << 20);
        text_of("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk.path()]);
        let daemon = setup.start();
        let before = disk.stat();
        observe(&daemon);
        this.work(|| {
            // Without flushes, of which the kernel counts what asks for them too: each request is one.
            let mounted = disk.mount(&setup.path("mounted"), "barrier=0");
            let of = format!("of={}", mounted.path().join("file").display());
            text_of("dd", &["if=/dev/zero", &of, "bs=64k", "count=128", "conv=fsync"]);
            text_of("dd", &["if=/dev/zero", &of, "bs=4k", "count=256", "oflag=direct", "conv=notrunc"]);
        });
        let stat = disk.stat().since(&before);
        assert!(stat.write_bytes >= (8 << 20) + (1 << 20) && stat.flushes == 0, "the stage is set: {stat:?}");
        let scrape = this.whole(&daemon, &format!("what the kernel has counted: {stat:?}"), |scrape| {
            #[allow(clippy::cast_precision_loss)] // some megabytes
            let all = value(scrape, "write_bytes", disk.name()) == Some(stat.write_bytes as f64)
                && value(scrape, "read_bytes", disk.name()) == Some(stat.read_bytes as f64)
                && value(scrape, "count_latency_req", disk.name()) == Some(stat.requests as f64)
                // 8 MiB through the cache, and the file system's own. A reading in the middle of the work may have
                // been there before the requests.
                && value(scrape, "mark_page_dirty", disk.name()) >= Some(2048.0)
                && value(scrape, "load_page_cache", disk.name()) >= Some(2048.0);
            all.then(|| scrape.clone())
        });
        if let Some(scrape) = scrape {
            shows_a_row_of_each_kind_and_takes_it_away(&daemon, &disk, &scrape);
            return;
        }
    }
}

fn shows_a_row_of_each_kind_and_takes_it_away(daemon: &Daemon<'_>, disk: &LoopDisk, scrape: &Scrape) {
    for stage in ["req", "driver", "device"] {
        let count = value(scrape, &format!("{stage}_latency_ns_count"), disk.name());
        assert_eq!(count, value(scrape, &format!("count_latency_{stage}"), disk.name()), "{stage}");
    }
    assert_eq!(value(scrape, "err_count", disk.name()), Some(0.0));
    let row =
        scrape.all("gala_gopher_block_read_bytes").find(|row| row.label("blk_name") == Some(disk.name()));
    let row = row.expect("a row");
    assert_eq!(row.label("disk_name"), Some(disk.name()));
    let (major, minor) = number(disk);
    assert_eq!((row.label("major"), row.label("first_minor")), (Some(&*major), Some(&*minor)));

    let maps = scrape.value("gopherd_bpf_map_bytes", &[("probe", "io")]).expect("what its maps take");
    assert!((1e6..16e6).contains(&maps), "{maps}");

    // What the operator takes away is gone, and what he keeps stays.
    daemon.put("io", r#"{"cmd":{"probe":["io_count"]}}"#);
    daemon.scrape_until("the end of the latencies", |scrape| {
        let gone = value(scrape, "count_latency_req", disk.name()).is_none();
        (gone && value(scrape, "write_bytes", disk.name()).is_some()).then_some(())
    });
    let objects = KINDS.map(|kind| (kind, held(kind, daemon.pid())));
    assert!(objects.iter().all(|(_, ids)| !ids.is_empty()), "it observes: {objects:?}");
    daemon.put("io", r#"{"state":"stopped"}"#);
    eventually("nothing of it to be left in the kernel", || {
        objects.iter().all(|(kind, ids)| existing(kind, ids).is_empty()).then_some(())
    });
    assert!(value(&daemon.scrape("/metrics"), "write_bytes", disk.name()).is_none());
}

/// Writes a hundred blocks, one by one; how many failed, and the error of the last of those, which is the kernel's choice:
/// before some version a loop device makes EIO of everything.
fn fail(disk: &LoopDisk) -> (u32, std::io::Error) {
    let flags = OFlags::DIRECT.bits().try_into().expect("a flag");
    let file = OpenOptions::new().write(true).custom_flags(flags).open(disk.path()).expect("the disk");
    let room = [0; 2 * BLOCK];
    let from = room.as_ptr().align_offset(BLOCK);
    let write = |block: u64| file.write_all_at(&room[from..from + BLOCK], block * BLOCK as u64);
    let mut errors: Vec<_> = (0..100).filter_map(|block| write(block).err()).collect();
    (errors.len().try_into().expect("few"), errors.pop().expect("writes that fail"))
}

#[test]
fn a_disk_that_fails_and_is_pulled_has_its_errors_counted_and_the_daemon_goes_on() {
    for mut this in tries() {
        let setup = Setup::new();
        // More bytes than there is memory for: writes fail where that ends.
        let disk = LoopDisk::new(&setup.path("disk"), 4 << 20, 256 << 10);
        let number = number(&disk);
        let daemon = setup.start();
        let stream = Following::start(&daemon.rest(), "&feature=io", None);
        observe(&daemon);
        let (failed, error) = this.work(|| fail(&disk));
        assert!(failed > 10, "the stage is set: {failed}");
        disk.detach();
        // The first of them is told at once, the others fall under its suppression.
        let event =
            stream.wait("the event of a failure", |sent| sent.json()["SeverityText"] == "WARN").json();
        tells_what_failed(&event, &disk, &number, &error);
        let code = f64::from(error.raw_os_error().expect("an errno"));
        let counted = this.whole(&daemon, &format!("each of {failed} failures"), |scrape| {
            let all = value(scrape, "err_count", disk.name()) == Some(f64::from(failed));
            (all && value(scrape, "err_code", disk.name()) == Some(code)).then_some(())
        });
        assert_eq!(daemon.state("io"), "running", "{:#}", daemon.probe("io"));
        if counted.is_some() {
            return;
        }
    }
}

fn tells_what_failed(event: &Value, disk: &LoopDisk, number: &(String, String), error: &std::io::Error) {
    assert_eq!(event["Resource"]["metric"], "gala_gopher_block_err_code");
    assert_eq!(event["Resource"]["labels"]["Device"], disk.name());
    let entity = event["Attributes"]["entity_id"].as_str().expect("an id");
    assert!(entity.ends_with(&format!("_block_{}_{}", number.0, number.1)), "{entity}");
    let body = event["Body"].as_str().expect("a text");
    assert!(
        body.contains(&format!("A request of {} (disk {0}) failed: write of 4096 bytes", disk.name())),
        "{body}"
    );
    let code = error.raw_os_error().expect("an errno");
    let text = error.to_string();
    let text = text.split(" (os error").next().expect("a text");
    assert!(body.ends_with(&format!("{text} ({code}).")), "{body}, not {error}");
}
