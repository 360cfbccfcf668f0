//! Who this host is, in metrics and events.
//!
//! Owns the choice (configured, saved, firmware, /etc/machine-id, random), the saved file and the address
//! that the label adds. The answer is fixed while the daemon runs: whoever asks gets it from the start.

use crate::{atomic, input_file};
use probe_core::Env;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// The saved file's name in the state directory.
const NAME: &str = "machine_id";
/// Longest identity in bytes.
const MAX_LEN: usize = 64;
/// What mainboards carry whose maker did not give them a number: many hosts share it.
const UNSET_UUIDS: &[&str] =
    &["03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"];

/// Where an identity came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdSource {
    /// `global.machine_id`.
    Configured,
    /// An earlier start.
    Saved,
    /// The firmware.
    Firmware,
    /// `/etc/machine-id`.
    System,
    /// Made up.
    Random,
}

/// This host's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineId {
    /// The identity itself, as Kafka's metric records carry it.
    pub id: String,
    /// Where it came from.
    pub source: IdSource,
    /// With the host's address, as the `machine_id` label and entity ids carry it.
    pub label: String,
}

/// What there is to choose from; a text that cannot be an identity does not count.
#[derive(Clone, Copy, Debug, Default)]
struct Candidates<'c> {
    configured: &'c str,
    saved: &'c str,
    firmware: &'c str,
    system: &'c str,
}

fn choose(from: Candidates<'_>) -> Option<(String, IdSource)> {
    let firmware = Some(from.firmware).filter(|uuid| is_own_uuid(uuid.trim())).unwrap_or_default();
    [
        (from.configured, IdSource::Configured),
        (from.saved, IdSource::Saved),
        (firmware, IdSource::Firmware),
        (from.system, IdSource::System),
    ]
    .into_iter()
    .map(|(id, source)| (id.trim(), source))
    .find(|(id, _)| is_id(id))
    .map(|(id, source)| (id.to_owned(), source))
}

/// Whether `id` can stand in a label and in an entity id: the rule of `global.machine_id`.
fn is_id(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether the firmware's number tells this host from others: a UUID that is not a placeholder.
fn is_own_uuid(uuid: &str) -> bool {
    let mut digits = uuid.bytes().filter(|byte| *byte != b'-');
    let first = digits.next();
    uuid.len() == 36
        && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        && digits.any(|digit| Some(digit) != first)
        && !UNSET_UUIDS.iter().any(|unset| unset.eq_ignore_ascii_case(uuid))
}

/// Finds the identity and saves it unless it was configured or saved already. The second value says what is
/// wrong when it could not be saved: the daemon works, but may have another identity after a restart.
pub fn obtain(configured: &str, state: &Path, host: &Env) -> (MachineId, Option<String>) {
    let path = state.join(NAME);
    let saved = read_short(&path);
    let firmware = read_short(&host.sys.join("class/dmi/id/product_uuid"));
    let system = read_short(&host.root.join("etc/machine-id"));
    let from = Candidates { configured, saved: &saved, firmware: &firmware, system: &system };
    let (id, source) = choose(from).unwrap_or_else(|| (random_uuid(), IdSource::Random));
    let problem = match source {
        IdSource::Configured | IdSource::Saved => None,
        _ => save(&path, &id).err().map(|error| {
            format!(
                "the machine id cannot be saved and may change at the next start: {error}; \
                 make {} writable, or set global.machine_id",
                state.display()
            )
        }),
    };
    let label = format!("{id}-{}", own_address());
    (MachineId { id, source, label }, problem)
}

fn save(path: &Path, id: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    }
    atomic::replace(path, format!("{id}\n").as_bytes())
}

/// The start of a file that holds one short line; empty if there is none, or if it is no text.
fn read_short(path: &Path) -> String {
    let read = input_file::read(path, 256).ok();
    read.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> String {
    let mut bytes = [0_u8; 16];
    // The kernel's generator gives 16 bytes at once or, before it is seeded at boot, waits until it can.
    let _filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

/// The address that the label adds, for the interfaces of this host.
fn own_address() -> Ipv4Addr {
    // A host whose addresses cannot be listed is shown like one that has none.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    first_address(interfaces.iter().map(|interface| (interface.index, interface.ip())))
}

/// The first IPv4 address other than loopback, by interface index; 127.0.0.1 if there is none. Within one
/// interface the kernel's order counts.
fn first_address(addresses: impl Iterator<Item = (Option<u32>, IpAddr)>) -> Ipv4Addr {
    addresses
        .filter_map(|(index, address)| match address {
            IpAddr::V4(v4) if !v4.is_loopback() => Some((index.unwrap_or(u32::MAX), v4)),
            _ => None,
        })
        .min_by_key(|(index, _)| *index)
        .map_or(Ipv4Addr::LOCALHOST, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4c4c4544-0043-3610-8052-b4c04f4d3132";

    #[test]
    fn the_first_that_can_be_an_identity_is_taken() {
        let all = Candidates { configured: "mine", saved: "saved\n", firmware: UUID, system: "0123abcd\n" };
        let pick = |from| choose(from).map(|(id, _)| id);
        assert_eq!(pick(all).as_deref(), Some("mine"));
        assert_eq!(pick(Candidates { configured: "", ..all }).as_deref(), Some("saved"));
        assert_eq!(pick(Candidates { configured: "", saved: "a b", ..all }).as_deref(), Some(UUID));
        for firmware in [
            "",
            "Not Settable",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
        ] {
            let rest = Candidates { firmware, system: all.system, ..Candidates::default() };
            assert_eq!(choose(rest), Some(("0123abcd".into(), IdSource::System)), "{firmware}");
        }
        assert_eq!(choose(Candidates::default()), None);
        let long = "x".repeat(65);
        assert_eq!(choose(Candidates { saved: &long, ..Candidates::default() }), None);
    }

    fn host(root: &Path) -> Env {
        Env { proc: root.join("proc"), sys: root.join("sys"), root: root.to_owned() }
    }

    #[test]
    fn what_was_found_once_stays_although_the_host_says_something_else_later() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (root, state) = (dir.path().join("root"), dir.path().join("var/state"));
        std::fs::create_dir_all(root.join("etc")).expect("etc");
        std::fs::write(root.join("etc/machine-id"), "abc123\n").expect("write");
        let (first, problem) = obtain("", &state, &host(&root));
        assert_eq!((first.id.as_str(), first.source, problem), ("abc123", IdSource::System, None));
        std::fs::create_dir_all(root.join("sys/class/dmi/id")).expect("dmi");
        std::fs::write(root.join("sys/class/dmi/id/product_uuid"), UUID).expect("write");
        let (second, _) = obtain("", &state, &host(&root));
        assert_eq!((second.id.as_str(), second.source), ("abc123", IdSource::Saved));
        let (configured, _) = obtain("mine", &state, &host(&root));
        assert_eq!((configured.id.as_str(), configured.source), ("mine", IdSource::Configured));
        assert_eq!(std::fs::read_to_string(state.join(NAME)).expect("saved"), "abc123\n");
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_is_a_problem_and_no_failure() {
        let dir = tempfile::tempdir().expect("tempdir");
        let state = dir.path().join("file");
        std::fs::write(&state, "in the way").expect("write");
        let (found, problem) = obtain("", &state, &host(dir.path()));
        assert_eq!(found.source, IdSource::Random);
        assert!(problem.expect("not saved").contains("set global.machine_id"));
    }

    #[test]
    fn a_random_identity_is_a_version_4_uuid_and_never_the_same() {
        let (one, two) = (random_uuid(), random_uuid());
        assert!(is_own_uuid(&one) && is_id(&one));
        assert_ne!(one, two);
        assert_eq!(one.get(14..15), Some("4"));
        assert!(matches!(one.get(19..20), Some("8" | "9" | "a" | "b")));
    }

    #[test]
    fn the_label_has_the_first_address_that_is_not_loopback() {
        let v4 = |text: &str| IpAddr::V4(text.parse().expect("an address"));
        let v6 = IpAddr::V6("fe80::1".parse().expect("an address"));
        let list = [
            (Some(1), v4("127.0.0.1")),
            (Some(3), v4("172.17.0.1")),
            (Some(2), v6),
            (Some(2), v4("10.0.0.5")),
            (Some(2), v4("10.0.0.6")),
            (None, v4("10.9.9.9")),
        ];
        assert_eq!(first_address(list.into_iter()).to_string(), "10.0.0.5");
        assert_eq!(first_address(list.into_iter().take(1)).to_string(), "127.0.0.1");
        let (found, _) = obtain("m", Path::new("/nonexistent"), &Env::default());
        assert_eq!(found.label, format!("m-{}", own_address()));
    }
}
