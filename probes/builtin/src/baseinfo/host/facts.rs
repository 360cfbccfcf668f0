//! What the host's files say about it. Pure; a file that says nothing useful yields `None`.

use probe_core::Label;
use probe_kit::scan::{lines, number, pair, words};

/// Stands for what could not be found out, in labels.
pub(super) const UNKNOWN: Label = Label::new_static("unknown");

/// Names out of the firmware's tables, /sys/class/dmi/id.
#[derive(Clone, Debug, Default)]
pub(super) struct Dmi {
    pub(super) vendor: Label,
    pub(super) product: Label,
    pub(super) bios: Label,
}

/// Whether `text` contains `what`.
pub(super) fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len().max(1)).any(|window| window == what)
}

/// The value of `key` in an os-release file, without quotes and escapes, of at most 256 characters.
pub(super) fn os_release(text: &[u8], key: &[u8]) -> Option<Label> {
    let (_, value) = lines(text).filter_map(|line| pair(line, b'=')).find(|(k, _)| *k == key)?;
    let value = String::from_utf8_lossy(value);
    let value = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(&value);
    let mut escaped = false;
    let plain: String = value
        .chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .take(super::MAX_LABEL)
        .collect();
    (!plain.is_empty()).then(|| plain.into())
}

/// The release that an `*euler…version=` line of /etc/openEuler-latest or /etc/euleros-latest names.
pub(super) fn euler_version(text: &[u8]) -> Option<Label> {
    let of_release = |key: &[u8]| {
        let key = key.to_ascii_lowercase();
        key.ends_with(b"version") && contains(&key, b"euler")
    };
    let (key, _) = lines(text).filter_map(|line| pair(line, b'=')).find(|(key, _)| of_release(key))?;
    os_release(text, key)
}

/// How many numbers a list like `0-3,8` names.
pub(super) fn list_length(text: &[u8]) -> Option<u64> {
    text.trim_ascii().split(|b| *b == b',').try_fold(0u64, |sum, part| {
        let length = match pair(part, b'-') {
            Some((first, last)) => number(last)?.checked_sub(number(first)?)?.checked_add(1)?,
            None => number(part).map(|_| 1)?,
        };
        sum.checked_add(length)
    })
}

/// Online CPUs by /proc/stat.
pub(super) fn cpus(stat: &[u8]) -> Option<u64> {
    let online = lines(stat)
        .filter_map(|line| line.strip_prefix(b"cpu"))
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .count();
    u64::try_from(online).ok().filter(|n| *n > 0)
}

/// When the system started, in seconds since 1970, by /proc/stat.
pub(super) fn boot_time(stat: &[u8]) -> Option<u64> {
    lines(stat).find_map(|line| number(line.strip_prefix(b"btime ")?.trim_ascii()))
}

/// Memory in MiB, by /proc/meminfo.
pub(super) fn memory_mb(meminfo: &[u8]) -> Option<u64> {
    let (_, total) =
        lines(meminfo).filter_map(|line| pair(line, b':')).find(|(key, _)| *key == b"MemTotal")?;
    words(total).next().and_then(number).map(|kb| kb / 1024)
}

/// How names in the firmware's tables begin on virtual machines.
const VIRTUAL: &[&str] = &[
    "QEMU",
    "KVM",
    "VMware",
    "VMW",
    "innotek GmbH",
    "VirtualBox",
    "Xen",
    "Bochs",
    "Parallels",
    "BHYVE",
    "OpenStack",
    "KubeVirt",
    "Virtual Machine",
    "Google Compute Engine",
    "Alibaba Cloud ECS",
    "Apple Virtualization",
    "Amazon EC2",
];

/// Whether the host is a virtual machine. x86 processors say so in their flags; elsewhere the firmware's
/// names, Xen's own files or the device tree do. Xen's control domain and a cloud's bare-metal machines are
/// physical.
pub(super) fn is_vm(
    cpuinfo: &[u8],
    dmi: &Dmi,
    hypervisor: Option<&str>,
    controls_xen: bool,
    device_tree: bool,
) -> bool {
    if controls_xen {
        return false;
    }
    let flags = lines(cpuinfo).filter_map(|line| pair(line, b':')).find(|(key, _)| *key == b"flags");
    if flags.is_some_and(|(_, flags)| words(flags).any(|flag| flag == b"hypervisor")) {
        return true;
    }
    let bare_metal = dmi.product.to_ascii_lowercase().contains("metal");
    let amazon_x86 = flags.is_some() && dmi.vendor == "Amazon EC2";
    let named = [&dmi.vendor, &dmi.product, &dmi.bios]
        .iter()
        .any(|name| VIRTUAL.iter().any(|known| name.starts_with(known)));
    hypervisor.is_some() || device_tree || (named && !bare_metal && !amazon_x86)
}

/// What holds of any text: labels are short.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    for label in [os_release(bytes, b"ID"), euler_version(bytes)].into_iter().flatten() {
        assert!((1..=super::MAX_LABEL).contains(&label.chars().count()), "{label:?}");
    }
    let _ = (list_length(bytes), cpus(bytes), boot_time(bytes), memory_mb(bytes));
    is_vm(bytes, &Dmi::default(), None, false, false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_escapes_are_taken_off() {
        let text =
            b"A=plain\nB=\"two words\"\nC='single'\nD=\"a \\\"quoted\\\" \\\\ word\"\nE=\nPRETTY_NAME_X=no\n";
        let get = |key: &str| os_release(text, key.as_bytes());
        assert_eq!(get("A").as_deref(), Some("plain"));
        assert_eq!(get("B").as_deref(), Some("two words"));
        assert_eq!(get("C").as_deref(), Some("single"));
        assert_eq!(get("D").as_deref(), Some("a \"quoted\" \\ word"));
        assert_eq!((get("E"), get("PRETTY_NAME")), (None, None));
    }

    #[test]
    fn lists_of_numbers_are_counted() {
        assert_eq!(list_length(b"0-3,8\n"), Some(5));
        assert_eq!(list_length(b"0"), Some(1));
        for bad in [&b""[..], b"3-1", b"0-18446744073709551615", b"x", b"1,,2"] {
            assert_eq!(list_length(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn what_is_a_virtual_machine() {
        let dmi = |vendor: &str, product: &str| Dmi {
            vendor: vendor.into(),
            product: product.into(),
            bios: Label::default(),
        };
        let none = Dmi::default();
        let (guest, host) = (&b"flags : fpu hypervisor\n"[..], &b"flags : fpu\n"[..]);
        let arm = b"Features : fp asimd\n";
        let cases = [
            ("x86 says so", guest, &none, None, false, false, true),
            ("x86 does not", host, &none, None, false, false, false),
            ("the flag that others contain", &b"flags : hypervisors\n"[..], &none, None, false, false, false),
            ("Xen's control domain", guest, &none, Some("xen"), true, false, false),
            ("a Xen guest", host, &none, Some("xen"), false, false, true),
            ("ARM under QEMU", arm, &dmi("QEMU", "KVM Virtual Machine"), None, false, false, true),
            (
                "Hyper-V on ARM",
                arm,
                &dmi("Microsoft Corporation", "Virtual Machine"),
                None,
                false,
                false,
                true,
            ),
            ("a Surface", arm, &dmi("Microsoft Corporation", "Surface"), None, false, false, false),
            ("EC2 on ARM", arm, &dmi("Amazon EC2", "m6g.large"), None, false, false, true),
            ("EC2 bare metal on ARM", arm, &dmi("Amazon EC2", "m6g.metal"), None, false, false, false),
            ("EC2 bare metal on x86", host, &dmi("Amazon EC2", "m5.metal"), None, false, false, false),
            ("device tree", arm, &none, None, false, true, true),
            ("a hidden flag", host, &dmi("QEMU", ""), None, false, false, true),
        ];
        for (what, cpuinfo, dmi, hypervisor, control, tree, expected) in cases {
            assert_eq!(is_vm(cpuinfo, dmi, hypervisor, control, tree), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(bytes: Vec<u8>, text in "(ID=|flags:|btime |cpu|MemTotal:|[\"'\\\\]|[0-9,-]{0,21}|euler.*version=|\n){0,40}") {
            for text in [&bytes[..], text.as_bytes()] {
                let _ = os_release(text, b"ID");
                let _ = euler_version(text);
                let _ = list_length(text);
                let _ = (cpus(text), boot_time(text), memory_mb(text));
                let _ = is_vm(text, &Dmi::default(), None, false, false);
                let _ = contains(text, b"");
            }
        }
    }
}
