//! `host`: one row whose labels describe the host.
//!
//! Owns the table and reads the files. What the files say is decided in `facts`, which addresses are the
//! host's in `addresses`. All but name and addresses is read once: it does not change while the system runs.

pub(super) mod addresses;
pub(super) mod facts;

use super::rtnl::Rtnl;
use super::{Reader, netns};
use facts::{Dmi, UNKNOWN};
use probe_core::{Batch, Capability, Env, Label, Order, Row, SmolStr, Tick, params, table};
use probe_kit::kept::read_once;
use probe_kit::scan::text;
use std::path::Path;

table! {
    /// The host.
    pub(crate) struct HostRow = "system_os", entity "host", sub_probe "host" {
        keys { os_version }
        labels { hostname, kversion, cpu_num, memory_MB, ip_addr, host_type, clock_ticks, os_btime }
        gauge value: None = "Always 1: the labels say what the host is (os-release, uname, /proc/stat, /proc/meminfo, DMI); ip_addr has the addresses of the devices in dev_name, or of all that are up but the loopback device.";
    }
}

/// Longest label in bytes that one of the host's files can make.
const MAX_LABEL: usize = 256;

/// Reads the first bytes of a file as a label; `None` if there is no such file or nothing in it.
fn line(path: &Path) -> Option<Label> {
    let mut buf = Vec::new();
    let content = read_once(path, &mut buf).ok()?.trim_ascii();
    let cut = content.get(..MAX_LABEL).unwrap_or(content);
    (!cut.is_empty()).then(|| text(cut))
}

/// What does not change while the system runs.
#[derive(Clone, Debug)]
struct Fixed {
    os_version: Label,
    kversion: Label,
    cpu_num: Label,
    memory_mb: Label,
    host_type: Label,
    clock_ticks: Label,
    os_btime: Label,
}

impl Fixed {
    fn read(env: &Env) -> Self {
        let file = |path: &Path| {
            let mut buf = Vec::new();
            read_once(path, &mut buf).map(<[u8]>::to_vec).unwrap_or_default()
        };
        let stat = file(&env.proc.join("stat"));
        let dmi = |name: &str| line(&env.sys.join("class/dmi/id").join(name)).unwrap_or_default();
        let dmi = Dmi { vendor: dmi("sys_vendor"), product: dmi("product_name"), bios: dmi("bios_vendor") };
        let xen_control = file(&env.proc.join("xen/capabilities"));
        let is_vm = facts::is_vm(
            &file(&env.proc.join("cpuinfo")),
            &dmi,
            line(&env.sys.join("hypervisor/type")).as_deref(),
            facts::contains(&xen_control, b"control_d"),
            env.proc.join("device-tree/hypervisor").exists(),
        );
        let number = |n: Option<u64>| n.map_or(UNKNOWN, |n| smol_str::format_smolstr!("{n}"));
        Self {
            os_version: os_version(&env.root, file).unwrap_or(UNKNOWN),
            kversion: line(&env.proc.join("sys/kernel/osrelease")).unwrap_or(UNKNOWN),
            cpu_num: number(
                facts::list_length(&file(&env.sys.join("devices/system/cpu/present")))
                    .or_else(|| facts::cpus(&stat)),
            ),
            memory_mb: number(facts::memory_mb(&file(&env.proc.join("meminfo")))),
            host_type: Label::new_static(if is_vm { "vm" } else { "pm" }),
            clock_ticks: smol_str::format_smolstr!("{}", rustix::param::clock_ticks_per_second()),
            os_btime: number(facts::boot_time(&stat)),
        }
    }
}

/// The name of the system and its version. openEuler and EulerOS have the exact release in a file of their
/// own; everything else has its pretty name in os-release.
fn os_version(root: &Path, file: impl Fn(&Path) -> Vec<u8>) -> Option<SmolStr> {
    let release = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .map(|path| file(&root.join(path)))
        .find(|content| !content.is_empty())?;
    let id = facts::os_release(&release, b"ID").unwrap_or_default().to_lowercase();
    let latest = match id.as_str() {
        "openeuler" => Some("etc/openEuler-latest"),
        "euleros" => Some("etc/euleros-latest"),
        _ => None,
    };
    latest
        .and_then(|path| facts::euler_version(&file(&root.join(path))))
        .or_else(|| facts::os_release(&release, b"PRETTY_NAME"))
        .or_else(|| facts::os_release(&release, b"NAME"))
}

/// The host's name. Below another root (in a container) the kernel would tell the container's name, so the
/// host's own file goes first there.
fn hostname(env: &Env) -> Option<Label> {
    let kernel = env.proc.join("sys/kernel/hostname");
    let file = env.root.join("etc/hostname");
    if env.root == Path::new("/") { line(&kernel) } else { line(&file).or_else(|| line(&kernel)) }
}

/// The reader of `host`.
pub(crate) struct Host {
    env: Env,
    netlink: Option<Rtnl>,
    fixed: Option<Fixed>,
    chosen: Vec<String>,
}

impl Host {
    /// Reads through `env`.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self { env: env.clone(), netlink: netns::rtnl(env), fixed: None, chosen: Vec::new() })
    }
}

impl Reader for Host {
    fn lacks(&mut self) -> Vec<Capability> {
        netns::lacks(self.netlink.as_ref())
    }

    fn apply(&mut self, order: &Order) {
        self.chosen = order.params.words(&params::DEV_NAME).to_vec();
    }

    fn read(&mut self, _: Tick, out: &mut Batch) {
        let env = &self.env;
        let fixed = self.fixed.get_or_insert_with(|| Fixed::read(env)).clone();
        let found = self.netlink.as_mut().map(|socket| addresses::read(socket, &self.chosen));
        let ip_addr = match found {
            Some(Ok(found)) => {
                let (label, left_out) = addresses::label(&found);
                out.skip("ip_addr_too_long", left_out);
                label
            }
            Some(Err(_)) => {
                out.skip("unreadable", 1);
                Label::default()
            }
            None => Label::default(),
        };
        HostRow {
            os_version: fixed.os_version,
            hostname: hostname(env).unwrap_or(UNKNOWN),
            kversion: fixed.kversion,
            cpu_num: fixed.cpu_num,
            memory_MB: fixed.memory_mb,
            ip_addr,
            host_type: fixed.host_type,
            clock_ticks: fixed.clock_ticks,
            os_btime: fixed.os_btime,
            value: Some(1.0),
        }
        .host(out);
        out.complete::<HostRow>();
    }

    fn memory(&self) -> u64 {
        self.netlink.as_ref().map_or(0, Rtnl::memory) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, SeenRow, seen};
    use std::time::SystemTime;

    fn read(env: &Env) -> SeenRow {
        let mut out = Batch::new(SystemTime::now());
        Host::boxed(env).read(Tick { index: 0, elapsed: None, missed: 0 }, &mut out);
        seen(&out).pop().expect("a row")
    }

    #[test]
    fn the_labels_are_what_the_hosts_files_say() {
        let host = FakeHost::new();
        host.write(
            "etc/os-release",
            "NAME=\"Debian GNU/Linux\"\nID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
        )
        .write("etc/hostname", "node-7\n")
        .write("proc/sys/kernel/hostname", "container-1\n")
        .write("proc/sys/kernel/osrelease", "6.1.0-9\n")
        .write("proc/stat", "cpu 1\ncpu0 1\nbtime 1700000000\n")
        .write("proc/meminfo", "MemTotal: 2097151 kB\n")
        .write("proc/cpuinfo", "processor: 0\nflags\t\t: fpu hypervisor sse\n")
        .write("sys/devices/system/cpu/present", "0-2,5\n");
        let row = read(&host.env());
        let expected = [
            ("os_version", "Debian GNU/Linux 12 (bookworm)"),
            ("hostname", "node-7"),
            ("kversion", "6.1.0-9"),
            ("cpu_num", "4"),
            ("memory_MB", "2047"),
            ("ip_addr", ""),
            ("host_type", "vm"),
            ("os_btime", "1700000000"),
        ];
        for (label, value) in expected {
            assert_eq!(row.label(label), Some(value), "{label}");
        }
        assert_eq!(row.get("value"), Some(1.0));
    }

    #[test]
    fn openeuler_has_its_release_in_a_file_of_its_own() {
        let host = FakeHost::new();
        host.write("usr/lib/os-release", "ID=\"openEuler\"\nPRETTY_NAME=\"openEuler 22.03 (LTS-SP4)\"\n");
        assert_eq!(read(&host.env()).label("os_version"), Some("openEuler 22.03 (LTS-SP4)"));
        host.write("etc/openEuler-latest", "openeulerversion=openEuler-22.03-LTS-SP4\ncompiletime=2024\n");
        assert_eq!(read(&host.env()).label("os_version"), Some("openEuler-22.03-LTS-SP4"));
    }

    #[test]
    fn nothing_to_read_is_unknown_and_a_huge_file_makes_no_huge_label() {
        let host = FakeHost::new();
        let row = read(&host.env());
        for label in ["os_version", "hostname", "kversion", "cpu_num", "memory_MB", "os_btime"] {
            assert_eq!(row.label(label), Some("unknown"), "{label}");
        }
        assert_eq!(row.label("host_type"), Some("pm"));
        host.write("etc/hostname", vec![b'h'; 100_000]);
        assert_eq!(read(&host.env()).label("hostname").map(str::len), Some(MAX_LABEL));
    }

    #[test]
    fn this_hosts_labels_are_the_kernels() {
        let row = read(&Env::default());
        let uname = rustix::system::uname();
        assert_eq!(row.label("kversion"), uname.release().to_str().ok());
        assert_eq!(row.label("hostname"), uname.nodename().to_str().ok());
        let ticks = rustix::param::clock_ticks_per_second().to_string();
        assert_eq!(row.label("clock_ticks"), Some(ticks.as_str()));
        let cpus: usize = row.label("cpu_num").and_then(|n| n.parse().ok()).expect("a number");
        assert!(cpus >= std::thread::available_parallelism().map_or(1, usize::from));
    }
}
