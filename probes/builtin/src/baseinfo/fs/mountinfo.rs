//! The mount table, `/proc/<pid>/mountinfo`: text to facts. Which of the mounts count is `df`'s decision.

use probe_kit::scan;

/// A device number, major and minor. A super block has one for as long as anything refers to it.
pub(super) type Device = (u32, u32);

/// One mount. Paths and names are bytes: nothing makes them UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) device: Device,
    /// The directory of the file system that is mounted; longer than `/` for a bind mount.
    pub(super) root: Vec<u8>,
    pub(super) point: Vec<u8>,
    /// The mount or its whole file system is read-only: what /proc/mounts shows as its first option.
    pub(super) read_only: bool,
    pub(super) kind: Vec<u8>,
    pub(super) source: Vec<u8>,
}

/// A line of the table: nine fields, any number of optional ones, a lone `-`, three fields. Fields are
/// separated by exactly one blank, and a source may be empty, so that words will not do.
pub(super) fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let id = scan::number(fields.next()?)?;
    let _parent = scan::number(fields.next()?)?;
    let (major, minor) = scan::pair(fields.next()?, b':')?;
    let device = (u32::try_from(scan::number(major)?).ok()?, u32::try_from(scan::number(minor)?).ok()?);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let options = fields.next()?;
    fields.find(|field| *field == b"-")?;
    let kind = unescape(fields.next()?);
    let source = unescape(fields.next()?);
    let super_options = fields.next()?;
    let read_only = is_read_only(options) || is_read_only(super_options);
    (!point.is_empty()).then_some(Mount { id, device, root, point, read_only, kind, source })
}

fn is_read_only(options: &[u8]) -> bool {
    options.split(|b| *b == b',').any(|option| option == b"ro")
}

/// Undoes the kernel's `\040` for blanks, tabs, newlines, backslashes and the like. What is no such escape
/// stays as it is.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        match (first, octal(after)) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.get(..3)?;
    digits.iter().try_fold(0u8, |n, b| {
        let digit = matches!(b, b'0'..=b'7').then(|| b - b'0')?;
        n.checked_mul(8)?.checked_add(digit)
    })
}

/// What holds of any text: a mount that is written as the kernel writes it is the same mount.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    let escaped = |text: &[u8]| -> Vec<u8> {
        let escape = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        };
        text.iter().flat_map(escape).collect()
    };
    for mount in scan::lines(bytes).filter_map(parse) {
        let Mount { id, device: (major, minor), read_only, .. } = mount;
        let line = [
            format!("{id} 0 {major}:{minor}").into_bytes(),
            escaped(&mount.root),
            escaped(&mount.point),
            if read_only { b"ro".to_vec() } else { b"rw".to_vec() },
            b"-".to_vec(),
            escaped(&mount.kind),
            escaped(&mount.source),
            b"rw".to_vec(),
        ];
        assert_eq!(parse(&line.join(&b' ')), Some(mount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_line_with_and_without_optional_fields_is_read() {
        let mount =
            parse(b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue")
                .expect("a mount");
        assert_eq!((mount.id, mount.device, mount.read_only), (36, (98, 0), false));
        assert_eq!((mount.root.as_slice(), mount.point.as_slice()), (&b"/mnt1"[..], &b"/mnt2"[..]));
        assert_eq!((mount.kind.as_slice(), mount.source.as_slice()), (&b"ext3"[..], &b"/dev/root"[..]));
        assert!(parse(b"25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw").is_some());
    }

    #[test]
    fn escapes_are_undone_and_an_empty_source_is_one() {
        let mount = parse(br"25 24 0:23 / /a\040b\011c\134d\0x rw - tmpfs  rw").expect("a mount");
        assert_eq!(mount.point, b"/a b\tc\\d\\0x");
        assert_eq!((mount.source.as_slice(), mount.kind.as_slice()), (&b""[..], &b"tmpfs"[..]));
        assert_eq!(unescape(br"\777\04"), br"\777\04", "no byte and no whole escape");
    }

    #[test]
    fn read_only_is_what_the_mount_or_its_file_system_is() {
        let read_only = |mount: &str, fs: &str| {
            parse(format!("1 0 8:1 / /m {mount} - ext4 /dev/sda1 {fs}").as_bytes())
                .expect("a mount")
                .read_only
        };
        assert!(read_only("ro,relatime", "rw") && read_only("rw", "ro"));
        assert!(!read_only("rw,relatime", "rw,errors=remount-ro"));
    }

    #[test]
    fn what_is_no_mount_is_refused() {
        for bad in [
            "",
            "36",
            "36 35 98 / / rw - a b rw",
            "x 35 98:0 / / rw - a b rw",
            "36 35 98:0 / / rw a b rw",
            "36 35 98:0 / / rw - a",
            "36 35 98:4294967296 / / rw - a b rw",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: Vec<u8>, cut in any::<usize>()) {
            let _ = parse(&line);
            let good = br"36 35 98:0 /mnt1 /m\040nt2 rw master:1 - ext3 /dev/root rw";
            let _ = parse(&good[..cut % good.len()]);
        }

        #[test]
        fn what_the_kernel_escapes_comes_back(path: Vec<u8>) {
            let escaped: Vec<u8> = path
                .iter()
                .flat_map(|b| match b {
                    b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{b:03o}").into_bytes(),
                    b => vec![*b],
                })
                .collect();
            assert_eq!(unescape(&escaped), path);
        }
    }
}
