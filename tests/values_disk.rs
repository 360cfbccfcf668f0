//! Disks are what `iostat` says and file systems what `df` says, with I/O that the test itself makes.

use gopher_e2e::bracket::{Moment, Seen, each_between};
use gopher_e2e::process::{bin_dir, text_of};
use gopher_e2e::{Scrape, Setup, SmallDisk, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

/// Totals of each device since boot: what `iostat` prints (kB read, kB written), and of /proc/diskstats what it
/// does not print (writes, ms of writes, ms busy, ms weighted).
type Totals = BTreeMap<String, [f64; 6]>;

fn totals() -> Totals {
    let text = std::fs::read_to_string("/proc/diskstats").expect("/proc/diskstats");
    let mut kernel: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<f64>().expect("a number");
        // Fields of Documentation/admin-guide/iostats.rst, which counts from the name on.
        kernel.insert(words[2], [number(7), number(10), number(12), number(13)]);
    }
    let iostat: Value = serde_json::from_str(&text_of("iostat", &["-d", "-k", "-o", "JSON"])).expect("JSON");
    let disks = &iostat["sysstat"]["hosts"][0]["statistics"][0]["disk"];
    let of = |disk: &Value| {
        let name = disk["disk_device"].as_str()?;
        let [writes, write_ms, busy, weighted] = *kernel.get(name)?;
        let kib = |key: &str| disk[key].as_f64();
        Some((name.to_owned(), [kib("kB_read")?, kib("kB_wrtn")?, writes, write_ms, busy, weighted]))
    };
    disks.as_array().expect("a list of disks").iter().filter_map(of).collect()
}

/// Least and most that each total grew by between two moments that both lie between two readings.
fn growth([a, b, c, d]: [&Totals; 4], disk: &str) -> Option<[[f64; 2]; 6]> {
    let [a, b, c, d] = [a.get(disk)?, b.get(disk)?, c.get(disk)?, d.get(disk)?];
    Some(std::array::from_fn(|index| [c[index] - b[index], d[index] - a[index]]))
}

#[test]
fn rates_are_between_what_iostat_allows() {
    let setup = Setup::new();
    let daemon = setup.start();
    // Where the binaries are there is a disk; a temporary folder may be memory.
    let mut file = tempfile::tempfile_in(bin_dir()).expect("a file on a disk");
    let block = vec![0x5a; 256 * 1024];
    let rate = "gala_gopher_disk_wspeed_kB";
    let cpu = "gala_gopher_cpu_user_msec";
    eventually("a reading of a disk that was written to", || {
        let (before, start) = (totals(), Instant::now());
        let first = daemon.reading(json!({"cmd": {"probe": ["cpu", "disk"]}}), cpu);
        let (begun, begin) = (totals(), Moment { from: start, to: Instant::now() });
        if first.all(rate).next().is_some() {
            return None; // the second reading came before the first was seen
        }
        let mut last = (begun.clone(), begin.to);
        let scrape: Scrape = loop {
            file.write_all(&block).and_then(|()| file.sync_data()).expect("written to the disk");
            let look = (totals(), Instant::now());
            let scrape = daemon.scrape("/metrics");
            if scrape.all(rate).next().is_some() {
                break scrape;
            }
            last = look;
        };
        let (end, ended) = (totals(), Instant::now());
        let seconds = begin.until(Moment { from: last.1, to: ended });
        let mut written = false;
        for sample in scrape.all(rate) {
            let disk = sample.label("disk_name").expect("a disk");
            let Some(grown) = growth([&before, &begun, &last.0, &end], disk) else { continue };
            written |= grown[1][0] >= 1024.0;
            let value =
                |name: &str| scrape.value(&format!("gala_gopher_disk_{name}"), &[("disk_name", disk)]);
            let per_second = |[least, most]: [f64; 2], unit: f64| {
                [(least - 1.0).max(0.0) * unit / seconds[1], (most + 1.0) * unit / seconds[0]]
            };
            for (name, grown, unit) in [
                ("rspeed_kB", grown[0], 1.0),
                ("wspeed_kB", grown[1], 1.0),
                ("wspeed", grown[2], 1.0),
                ("util", grown[4], 0.1),
                ("aqu", grown[5], 0.001),
            ] {
                let [least, most] = per_second(grown, unit);
                let value = value(name).unwrap_or_else(|| panic!("{disk} has no {name}"));
                let least = if name == "util" { least.min(100.0) } else { least };
                assert!(
                    least <= value && value <= most,
                    "{disk} {name}: {value} is not in {least} to {most}"
                );
            }
            for (name, grown_sum) in [("wareq", grown[1]), ("w_await", grown[3])] {
                let Some(value) = value(name) else {
                    assert_eq!(grown[2][0], 0.0, "{disk} has no {name} and completed writes");
                    continue;
                };
                let least = (grown_sum[0] - 1.0) / grown[2][1];
                let most = (grown_sum[1] + 1.0) / grown[2][0].max(1.0);
                assert!(
                    least <= value && value <= most,
                    "{disk} {name}: {value} is not in {least} to {most}"
                );
            }
        }
        // Without a mebibyte between the readings nothing was compared; the next try writes again.
        written.then_some(())
    });
}

/// Columns of `df`, by mount point.
fn df(args: &[&str]) -> BTreeMap<String, Vec<f64>> {
    text_of("df", args)
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (mount, numbers) = words.split_last().expect("columns");
            let numbers = numbers.iter().map(|word| word.trim_end_matches('%').parse().unwrap_or(f64::NAN));
            ((*mount).to_owned(), numbers.collect())
        })
        .collect()
}

/// What df says of `mount`, by our names, with the sizes that are labels of ours.
fn df_of(mount: &str) -> (BTreeMap<&'static str, f64>, [f64; 2]) {
    let blocks = df(&["-k", "--output=size,used,avail,pcent,target", mount]);
    let inodes = df(&["--output=itotal,iused,iavail,ipcent,target", mount]);
    let (blocks, inodes) = (&blocks[mount], &inodes[mount]);
    let names = ["Used", "Free", "UsePer"].into_iter().zip(blocks[1..].iter().copied());
    let inode_names = ["IUsed", "IFree", "IUsePer"].into_iter().zip(inodes[1..].iter().copied());
    (names.chain(inode_names).collect(), [blocks[0], inodes[0]])
}

#[test]
fn file_systems_are_what_df_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let config = json!({"cmd": {"probe": ["fs"]}});
    each_between(|| {
        let (before, _) = df_of("/");
        let scrape = daemon.reading(config.clone(), "gala_gopher_fs_Used");
        let (after, [blocks, inodes]) = df_of("/");
        let root = scrape.all("gala_gopher_fs_Used").find(|sample| sample.label("MountOn") == Some("/"));
        let root = root.expect("the root file system");
        assert_eq!(root.label("Blocks"), Some(blocks.to_string().as_str()));
        assert_eq!(root.label("Inodes"), Some(inodes.to_string().as_str()));
        let seen = |(name, one): (&&str, &f64)| Seen {
            name: (*name).to_owned(),
            value: scrape.must(&format!("gala_gopher_fs_{name}"), &[("MountOn", "/")]),
            other: [*one, after[name]],
        };
        before.iter().map(seen).collect()
    });
}

#[test]
fn a_file_system_that_nobody_else_writes_is_exactly_what_df_says() {
    let setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup.path("a b"), "4m", 64) else { return };
    std::fs::write(disk.path().join("file"), vec![1; 1_500_000]).expect("a file");
    let daemon = setup.start();
    // df ends a line with the mount point, whose blank our reader of columns would split.
    let text = text_of(
        "df",
        &["-k", "--output=used,avail,pcent,iused,iavail,ipcent", disk.path().to_str().expect("text")],
    );
    let expected: Vec<f64> = text
        .lines()
        .nth(1)
        .expect("a line of numbers")
        .split_whitespace()
        .map(|word| word.trim_end_matches('%').parse().expect("a number"))
        .collect();
    let scrape = daemon.reading(json!({"cmd": {"probe": ["fs"]}}), "gala_gopher_fs_Used");
    let at =
        [("MountOn", disk.path().to_str().expect("text")), ("Fstype", "tmpfs"), ("Fsname", "gopherd-e2e")];
    let names = ["Used", "Free", "UsePer", "IUsed", "IFree", "IUsePer"];
    let ours = names.map(|name| scrape.must(&format!("gala_gopher_fs_{name}"), &at));
    assert_eq!(ours.as_slice(), expected);
}
