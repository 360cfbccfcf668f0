//! `nic`: traffic, errors and egress queue of the host's physical network devices, or of exactly those that
//! `dev_name` lists.
//!
//! Owns the table and what is known of each device. Queues are asked for over netlink by `qdisc`.

pub(super) mod qdisc;
#[cfg(test)]
mod tests;

use super::rtnl::Rtnl;
use super::{Reader, netns};
use probe_core::{Batch, Capability, Env, Label, Order, Row, Tick, params, table};
use probe_kit::kept::KeptFile;
use probe_kit::net_dev::{Counts, devices};
use probe_kit::scan::{number, text};
use qdisc::Egress;
use std::collections::HashMap;
use std::path::PathBuf;

table! {
    /// One network device.
    pub(crate) struct NicRow = "nic", entity "nic", sub_probe "nic" {
        keys { dev_name }
        labels { status }
        counter rx_bytes: Bytes = "Bytes received, /proc/net/dev; devices under /sys/devices/virtual/net are left out unless dev_name lists them.";
        counter rx_packets: Count = "Packets received, /proc/net/dev.";
        counter rx_errs: Count = "Receive errors, /proc/net/dev.";
        counter rx_dropped: Count = "Received packets that were dropped or missed, /proc/net/dev.";
        counter tx_bytes: Bytes = "Bytes sent, /proc/net/dev.";
        counter tx_packets: Count = "Packets sent, /proc/net/dev.";
        counter tx_errs: Count = "Send errors, /proc/net/dev.";
        counter tx_dropped: Count = "Packets to send that were dropped, /proc/net/dev.";
        gauge rxspeed_KB: KibibytesPerSecond = "Bytes received a second since the last reading.";
        gauge txspeed_KB: KibibytesPerSecond = "Bytes sent a second since the last reading.";
        counter tc_sent_drop: Count = "Packets dropped by the root queueing discipline, netlink.";
        counter tc_sent_overlimits: Count = "Packets that came while the root queueing discipline was at its rate or length limit, netlink.";
        gauge tc_backlog: Count = "Packets waiting in the root queueing discipline now, netlink.";
        counter tc_ecn_mark: Count = "Packets that the queueing discipline marked as congested, netlink; absent for disciplines that do not count it.";
    }
}

/// What is known of a device from one reading to the next.
struct Device {
    is_virtual: bool,
    operstate: KeptFile,
    ifindex: KeptFile,
    /// Bytes received and sent at the last reading.
    bytes: Option<(u64, u64)>,
    round: u64,
}

/// Most devices that are looked at; those beyond it are left out and counted.
const MAX_DEVICES: usize = 16_384;

/// The reader of `nic`.
pub(crate) struct Nic {
    dev: KeptFile,
    class: PathBuf,
    virtual_devices: PathBuf,
    netlink: Option<Rtnl>,
    /// From `dev_name`; empty means every physical device.
    chosen: Vec<String>,
    known: HashMap<Label, Device>,
    round: u64,
    buf: Vec<u8>,
    small: Vec<u8>,
}

impl Nic {
    /// Reads through `env`.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self {
            dev: KeptFile::new(netns::proc_net(env).join("dev")),
            class: env.sys.join("class/net"),
            virtual_devices: env.sys.join("devices/virtual/net"),
            netlink: netns::rtnl(env),
            chosen: Vec::new(),
            known: HashMap::new(),
            round: 0,
            buf: Vec::new(),
            small: Vec::new(),
        })
    }

    /// The root queueing disciplines of all devices, by device index.
    fn egress(&mut self, out: &mut Batch) -> HashMap<u32, Egress> {
        match self.netlink.as_mut().map(qdisc::read) {
            Some(Ok(by_index)) => by_index,
            Some(Err(_)) => {
                out.skip("unreadable", 1);
                HashMap::new()
            }
            None => HashMap::new(),
        }
    }

    /// Takes note of a device that is there now; `None` if as many are known as may be.
    fn device(&mut self, name: &str) -> Option<&mut Device> {
        if !self.known.contains_key(name) {
            if self.known.len() >= MAX_DEVICES {
                return None;
            }
            let class = self.class.join(name);
            let directory = &self.virtual_devices;
            let device = Device {
                // Where nothing can be said, every device is virtual, and reported only if it was named.
                is_virtual: !directory.is_dir() || directory.join(name).exists(),
                operstate: KeptFile::new(class.join("operstate")),
                ifindex: KeptFile::new(class.join("ifindex")),
                bytes: None,
                round: 0,
            };
            self.known.insert(name.into(), device);
        }
        let device = self.known.get_mut(name)?;
        device.round = self.round;
        Some(device)
    }
}

impl Reader for Nic {
    fn lacks(&mut self) -> Vec<Capability> {
        netns::lacks(self.netlink.as_ref())
    }

    fn missing(&mut self) -> Vec<String> {
        let mut missing = super::unreadable(&mut self.dev, &mut self.buf);
        if !self.virtual_devices.is_dir() && self.chosen.is_empty() {
            missing.push(format!(
                "{} cannot be read, so physical devices cannot be told from others; name devices in params.dev_name",
                self.virtual_devices.display()
            ));
        }
        missing
    }

    fn apply(&mut self, order: &Order) {
        self.chosen = order.params.words(&params::DEV_NAME).to_vec();
    }

    fn read(&mut self, tick: Tick, out: &mut Batch) {
        self.round += 1;
        let mut buf = std::mem::take(&mut self.buf);
        let Ok(listing) = self.dev.read(&mut buf) else {
            out.skip("unreadable", 1);
            // The next reading's difference would be over an unknown time.
            self.known.clear();
            self.buf = buf;
            return;
        };
        let queues = self.egress(out);
        let seconds = tick.elapsed.map(|elapsed| elapsed.as_secs_f64());
        let mut small = std::mem::take(&mut self.small);
        let chosen = std::mem::take(&mut self.chosen);
        for (name, counts) in devices(listing) {
            let name = text(name);
            let Some(device) = self.device(&name) else {
                out.skip("too_many_devices", 1);
                continue;
            };
            let wanted = match chosen.as_slice() {
                [] => !device.is_virtual,
                chosen => chosen.iter().any(|chosen| *chosen == name),
            };
            if !wanted {
                continue;
            }
            let status = match device.operstate.read(&mut small) {
                Ok(state) if !state.trim_ascii().is_empty() => text(state.trim_ascii()),
                _ => Label::new_static("unknown"),
            };
            let index = device.ifindex.read(&mut small).ok().and_then(|index| number(index.trim_ascii()));
            let queue = index.and_then(|index| queues.get(&u32::try_from(index).ok()?));
            let (rxspeed_kb, txspeed_kb) = device.speeds(&counts, seconds);
            row(name, status, &counts, (rxspeed_kb, txspeed_kb), queue).host(out);
        }
        self.known.retain(|_, device| device.round == self.round);
        (self.buf, self.small, self.chosen) = (buf, small, chosen);
        out.complete::<NicRow>();
    }

    fn memory(&self) -> u64 {
        let each = size_of::<(Label, Device)>() + 2 * self.class.as_os_str().len() + 40;
        let netlink = self.netlink.as_ref().map_or(0, Rtnl::memory);
        (self.buf.capacity() + self.small.capacity() + self.known.capacity() * each + netlink) as u64
    }
}

impl Device {
    /// Received and sent kB a second since the last reading. A counter that fell was reset: no speed.
    #[allow(clippy::cast_precision_loss)] // bytes of one period
    fn speeds(&mut self, now: &Counts, seconds: Option<f64>) -> (Option<f64>, Option<f64>) {
        let before = self.bytes;
        self.bytes = now.rx_bytes.zip(now.tx_bytes);
        let speed = |now: Option<u64>, before: Option<u64>| {
            let bytes = now?.checked_sub(before?)?;
            seconds.filter(|s| *s > 0.0).map(|s| bytes as f64 / 1024.0 / s)
        };
        (speed(now.rx_bytes, before.map(|b| b.0)), speed(now.tx_bytes, before.map(|b| b.1)))
    }
}

fn row(
    dev_name: Label,
    status: Label,
    counts: &Counts,
    (rxspeed_kb, txspeed_kb): (Option<f64>, Option<f64>),
    queue: Option<&Egress>,
) -> NicRow {
    NicRow {
        dev_name,
        status,
        rx_bytes: counts.rx_bytes,
        rx_packets: counts.rx_packets,
        rx_errs: counts.rx_errs,
        rx_dropped: counts.rx_dropped,
        tx_bytes: counts.tx_bytes,
        tx_packets: counts.tx_packets,
        tx_errs: counts.tx_errs,
        tx_dropped: counts.tx_dropped,
        rxspeed_KB: rxspeed_kb,
        txspeed_KB: txspeed_kb,
        tc_sent_drop: queue.map(|queue| u64::from(queue.drops)),
        tc_sent_overlimits: queue.map(|queue| u64::from(queue.overlimits)),
        tc_backlog: queue.map(|queue| f64::from(queue.packets)),
        tc_ecn_mark: queue.and_then(|queue| queue.ecn_marks),
    }
}
