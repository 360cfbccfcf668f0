//! `network`: the devices of the container's network namespace, read through its process.
//!
//! A namespace is read once a pass, however many containers are in it (those of a pod are). A container with the
//! host's namespace has no network of its own, and the host's numbers are not its: it has no row.

use super::tables::Network;
use probe_kit::net_dev::{Counts, devices};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

/// A network namespace: device and inode of `/proc/<pid>/ns/net`.
pub(super) type Namespace = (u32, u32, u64);

/// The namespace of the process whose directory this is.
pub(super) fn namespace(process: impl AsFd) -> Result<Namespace, Errno> {
    let stat = statx(process, "ns/net", AtFlags::empty(), StatxFlags::INO)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

/// The text of a namespace with a thousand devices.
const MAX_TEXT: usize = 256 << 10;

/// What one pass has read.
#[derive(Debug, Default)]
pub(super) struct Pass {
    read: HashMap<Namespace, Option<Network>>,
    buf: Vec<u8>,
}

impl Pass {
    /// Begins a pass.
    pub(super) fn begin(&mut self) {
        self.read.clear();
        self.buf.resize(MAX_TEXT, 0);
    }

    /// The counts of `namespace`, through the directory of a process that is in it. Nothing of the namespace is kept
    /// open: that would keep it, and its devices with it.
    pub(super) fn read(
        &mut self,
        namespace: Namespace,
        process: impl FnOnce() -> Option<OwnedFd>,
    ) -> Option<Network> {
        let buf = &mut self.buf;
        self.read.entry(namespace).or_insert_with(|| read(process()?, buf)).clone()
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.buf.capacity() + self.read.capacity() * size_of::<(Namespace, Option<Network>)>()) as u64
    }
}

fn read(process: impl AsFd, buf: &mut [u8]) -> Option<Network> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(process, "net/dev", flags, Mode::empty()).ok()?;
    let mut filled = 0;
    // A line for each device, handed out in pages.
    loop {
        match rustix::io::pread(&file, buf.get_mut(filled..)?, filled as u64) {
            Ok(0) => return buf.get(..filled).map(sum),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// All devices but the loopback. One whose column is no number makes the sum absent.
fn sum(text: &[u8]) -> Network {
    let zero = Counts {
        rx_bytes: Some(0),
        rx_packets: Some(0),
        rx_errs: Some(0),
        rx_dropped: Some(0),
        tx_bytes: Some(0),
        tx_packets: Some(0),
        tx_errs: Some(0),
        tx_dropped: Some(0),
    };
    let add = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
    let all = devices(text).filter(|(name, _)| *name != b"lo").fold(zero, |sum, (_, one)| Counts {
        rx_bytes: add(sum.rx_bytes, one.rx_bytes),
        rx_errs: add(sum.rx_errs, one.rx_errs),
        rx_dropped: add(sum.rx_dropped, one.rx_dropped),
        tx_bytes: add(sum.tx_bytes, one.tx_bytes),
        tx_errs: add(sum.tx_errs, one.tx_errs),
        tx_dropped: add(sum.tx_dropped, one.tx_dropped),
        ..sum
    });
    Network {
        network_receive_bytes_total: all.rx_bytes,
        network_receive_errors_total: all.rx_errs,
        network_receive_packets_dropped_total: all.rx_dropped,
        network_transmit_bytes_total: all.tx_bytes,
        network_transmit_errors_total: all.tx_errs,
        network_transmit_packets_dropped_total: all.tx_dropped,
        ..Network::default()
    }
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    sum(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_devices_but_the_loopback_are_added_up() {
        let text = b"  face |bytes packets errs drop\n lo: 9 9 9 9 0 0 0 0 9 9 9 9\n eth0: 1 2 3 4 0 0 0 0 5 6 7 8\n eth1: 10 0 0 0 0 0 0 0 1 0 0 0\n";
        let row = sum(text);
        assert_eq!((row.network_receive_bytes_total, row.network_transmit_bytes_total), (Some(11), Some(6)));
        assert_eq!(
            (row.network_receive_errors_total, row.network_receive_packets_dropped_total),
            (Some(3), Some(4))
        );
        assert_eq!(
            (row.network_transmit_errors_total, row.network_transmit_packets_dropped_total),
            (Some(7), Some(8))
        );
        assert_eq!(sum(b"eth0: 1 2 x 4\n").network_receive_errors_total, None);
        assert_eq!(sum(b"").network_receive_bytes_total, Some(0), "a namespace may have no device");
    }
}
