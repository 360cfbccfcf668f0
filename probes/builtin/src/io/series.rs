//! Everything that is known by device, and the rows of it. A partition's numbers are its disk's as well. Pure: the
//! kernel's counts come in, rows go out, and names come from whoever calls.

use super::Groups;
use super::account::{Account, Peaks, Totals, newest_failure};
use super::bpf::{IO_DEVICE, IO_DRIVER, IO_REQUEST, io_counts, io_pages};
use super::devices::{Place, major_minor};
use super::failure::{Numbering, errno};
use super::jobs::Gives;
use super::tables::{IoCount, IoErr, IoLatency, IoPagecache};
use probe_core::{Baseline, Batch, Label, Row, Subject};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A device that no name is found for is forgotten when nothing has moved for so long.
const IDLE: Duration = Duration::from_secs(600);

/// Page cache counts of a device, in the order of `io_pages`.
type Pages = [u64; 4];

#[derive(Debug)]
struct Device {
    /// `None` as long as it was not found.
    place: Option<Place>,
    before: Account,
    totals: Totals,
    peaks: Peaks,
    failure: Option<(u64, i32)>,
    pages_before: Pages,
    pages: Option<Pages>,
    /// A request or bio of it was seen, its own or a partition's.
    worked: bool,
    moved: Instant,
}

impl Device {
    fn new(now: Instant) -> Self {
        Self {
            place: None,
            before: Account::default(),
            totals: Totals::default(),
            peaks: Peaks::default(),
            failure: None,
            pages_before: [0; 4],
            pages: None,
            worked: false,
            moved: now,
        }
    }

    /// Another device has its number: the kernel's counts go on, these begin anew.
    fn anew(&mut self, place: Place) {
        let next = Self {
            place: Some(place),
            before: std::mem::take(&mut self.before),
            pages_before: self.pages_before,
            ..Self::new(self.moved)
        };
        *self = next;
    }

    fn shown(&self) -> bool {
        self.worked || self.pages.is_some()
    }
}

/// What a reading shows.
pub(super) struct Showing<'s> {
    pub(super) groups: Groups,
    pub(super) gives: Gives,
    pub(super) numbering: Numbering,
    /// Names of devices to show; none are all.
    pub(super) only: &'s [String],
}

/// Where devices are found.
pub(super) struct Names<'n> {
    /// What the host calls it now.
    pub(super) find: &'n dyn Fn(u32) -> Option<Place>,
    /// What the kernel called it once.
    pub(super) once: &'n dyn Fn(u32) -> Option<String>,
}

/// All devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    known: HashMap<u32, Device>,
}

impl Devices {
    /// Finds each device among those that have counts, with its disk.
    fn meet(&mut self, device: u32, names: &Names<'_>, now: Instant) -> Option<u32> {
        let found = self.known.entry(device).or_insert_with(|| Device::new(now));
        if found.place.is_none() {
            found.place = (names.find)(device);
        }
        let parent = found.place.as_ref().and_then(|place| place.parent);
        if let Some(parent) = parent {
            let disk = self.known.entry(parent).or_insert_with(|| Device::new(now));
            if disk.place.is_none() {
                disk.place = (names.find)(parent);
            }
        }
        parent
    }

    /// Takes in what the kernel counted; `ended` is the period that has just ended, if one has.
    pub(super) fn count(
        &mut self,
        counts: &[(u32, Vec<io_counts>)],
        ended: Option<u64>,
        names: &Names<'_>,
        now: Instant,
    ) {
        if ended.is_some() {
            self.known.values_mut().for_each(|device| device.peaks = Peaks::default());
        }
        for (device, cpus) in counts {
            let parent = self.meet(*device, names, now);
            let account = Account::of(cpus);
            let before = self.known.get(device).map(|known| known.before.clone()).unwrap_or_default();
            let peaks = ended.map(|period| Peaks::of(cpus, period)).unwrap_or_default();
            let failure = newest_failure(cpus);
            for at in parent.into_iter().chain([*device]) {
                let Some(known) = self.known.get_mut(&at) else { continue };
                if known.totals.add(&before, &account) {
                    known.moved = now;
                }
                known.worked = true;
                known.peaks.merge(&peaks);
                if account.failed_since(&before) {
                    known.failure = known.failure.max(failure);
                }
            }
            if let Some(known) = self.known.get_mut(device) {
                known.before = account;
            }
        }
    }

    /// Takes in what the kernel counted of page caches.
    pub(super) fn cache(&mut self, counts: &[(u32, io_pages)], names: &Names<'_>, now: Instant) {
        for (device, pages) in counts {
            let parent = self.meet(*device, names, now);
            let account = [pages.accessed, pages.buffers_dirtied, pages.loaded, pages.dirtied];
            let before = self.known.get(device).map(|known| known.pages_before).unwrap_or_default();
            for at in parent.into_iter().chain([*device]) {
                let Some(known) = self.known.get_mut(&at) else { continue };
                let total = known.pages.get_or_insert_default();
                for (total, (now, before)) in total.iter_mut().zip(account.iter().zip(before)) {
                    *total += now.saturating_sub(before);
                }
                if account != before {
                    known.moved = now;
                }
            }
            if let Some(known) = self.known.get_mut(device) {
                known.pages_before = account;
            }
        }
    }

    /// The name of a device, for an event.
    pub(super) fn place(&self, device: u32, names: &Names<'_>) -> Place {
        let known = self.known.get(&device).and_then(|known| known.place.clone());
        known.or_else(|| (names.find)(device)).unwrap_or_else(|| unnamed(device, names))
    }

    /// Puts the rows into `out`. Devices that are gone have their last ones; they are returned.
    pub(super) fn show(
        &mut self,
        showing: &Showing<'_>,
        names: &Names<'_>,
        now: Instant,
        out: &mut Batch,
    ) -> Vec<u32> {
        let mut gone = Vec::new();
        for (number, device) in &mut self.known {
            let found = (names.find)(*number);
            let idle = now.saturating_duration_since(device.moved) >= IDLE;
            let place = device.place.clone().unwrap_or_else(|| unnamed(*number, names));
            let (last, next) = match (&device.place, found) {
                (Some(known), Some(found)) if *known != found => (true, Some(found)),
                (_, Some(_)) => (false, None),
                (Some(_), None) => (true, None),
                (None, None) => (idle, None),
            };
            if device.shown() && place.is_among(showing.only) {
                rows(*number, device, &place, showing, last, out);
            }
            match next {
                Some(next) => device.anew(next),
                None if last => gone.push(*number),
                None => {}
            }
        }
        gone.iter().for_each(|number| drop(self.known.remove(number)));
        gone
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.known.capacity() * (size_of::<(u32, Device)>() + 1)) as u64
    }
}

fn unnamed(device: u32, names: &Names<'_>) -> Place {
    (names.once)(device).map_or_else(|| Place::unknown(device), |name| Place::disk(&name))
}

fn rows(number: u32, device: &Device, place: &Place, showing: &Showing<'_>, last: bool, out: &mut Batch) {
    let (major, minor) = major_minor(number);
    let (major, minor): (Label, Label) = (major.to_string().into(), minor.to_string().into());
    let (blk_name, disk_name) = (place.name.clone(), place.disk.clone());
    /// A row's labels, which are the same in every table.
    macro_rules! row {
        ($table:ident { $($field:ident: $value:expr),* $(,)? }) => {
            add(out, last, $table {
                major: major.clone(),
                first_minor: minor.clone(),
                blk_name: blk_name.clone(),
                disk_name: disk_name.clone(),
                $($field: $value),*
            })
        };
    }
    if showing.groups.trace && device.totals.requests(IO_REQUEST as usize).is_some() {
        let [req, driver, dev] =
            [IO_REQUEST, IO_DRIVER, IO_DEVICE].map(|stage| Stage::of(device, stage as usize));
        row!(IoLatency {
            latency_req_max: req.max,
            latency_req_last: req.last,
            latency_req_sum: req.sum,
            latency_req_jitter: req.jitter,
            count_latency_req: req.count,
            latency_driver_max: driver.max,
            latency_driver_last: driver.last,
            latency_driver_sum: driver.sum,
            latency_driver_jitter: driver.jitter,
            count_latency_driver: driver.count,
            latency_device_max: dev.max,
            latency_device_last: dev.last,
            latency_device_sum: dev.sum,
            latency_device_jitter: dev.jitter,
            count_latency_device: dev.count,
            req_latency_ns: req.distribution,
            driver_latency_ns: driver.distribution,
            device_latency_ns: dev.distribution,
        });
    }
    if showing.groups.err && device.worked {
        let code = device.failure.map(|(_, code)| f64::from(errno(code, showing.numbering)));
        row!(IoErr { err_code: code, err_count: Some(device.totals.failed) });
    }
    if showing.groups.count && device.worked {
        row!(IoCount {
            read_bytes: Some(device.totals.read_bytes),
            write_bytes: Some(device.totals.write_bytes),
        });
    }
    if let (true, Some([accessed, buffers, loaded, dirtied])) = (showing.groups.cache, device.pages) {
        row!(IoPagecache {
            access_pagecache: showing.gives.accesses.then_some(accessed),
            mark_buffer_dirty: showing.gives.buffers.then_some(buffers),
            load_page_cache: Some(loaded),
            mark_page_dirty: Some(dirtied),
        });
    }
}

fn add<R: Row>(out: &mut Batch, last: bool, row: R) {
    if last {
        out.push_last(Subject::Host, Baseline::Zero, row);
    } else {
        out.push(Subject::Host, Baseline::Zero, row);
    }
}

/// A stage's columns.
struct Stage {
    max: Option<f64>,
    last: Option<f64>,
    sum: Option<u64>,
    jitter: Option<f64>,
    count: Option<u64>,
    distribution: Option<probe_core::Histogram>,
}

impl Stage {
    #[allow(clippy::cast_precision_loss)] // nanoseconds of one request
    fn of(device: &Device, stage: usize) -> Self {
        let peak = device.peaks.0[stage];
        let count = device.totals.requests(stage);
        Self {
            max: peak.max.map(|ns| ns as f64),
            last: peak.last.map(|(_, ns)| ns as f64),
            sum: count.map(|_| device.totals.sum[stage]),
            jitter: peak.jitter.map(|ns| ns as f64),
            count,
            distribution: device.totals.distribution(stage, peak.max),
        }
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
