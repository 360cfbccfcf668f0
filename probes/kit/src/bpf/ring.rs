//! A ring of events, read as the records that it has.

use crate::fault;
use libbpf_rs::{MapCore, RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Records that are taken out before they are handled: bounds the memory, not the drain.
const BATCH: usize = 256;

struct Read<T> {
    records: Vec<T>,
    malformed: u64,
}

/// The reader of an object's ring of `T` records.
///
/// It becomes readable when the ring is a quarter full, not with each record: drain it at each tick as well.
pub struct Ring<'m, T> {
    ring: RingBuffer<'m>,
    read: Rc<RefCell<Read<T>>>,
    capacity: usize,
}

impl<T> fmt::Debug for Ring<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("malformed", &self.malformed()).finish_non_exhaustive()
    }
}

impl<T> Ring<'_, T> {
    /// Records that had not the size of `T`: the program and the reader do not fit, never a matter of load.
    pub fn malformed(&self) -> u64 {
        self.read.borrow().malformed
    }
}

impl<'m, T: FromBytes + Immutable + KnownLayout + 'm> Ring<'m, T> {
    /// Maps the ring `map`.
    pub fn new(map: &'m dyn MapCore) -> io::Result<Self> {
        fault::at("bpf.ring_made", "")?;
        let read = Rc::new(RefCell::new(Read { records: Vec::with_capacity(BATCH), malformed: 0 }));
        let into = Rc::clone(&read);
        let _raised = super::privilege::raised();
        let mut builder = RingBufferBuilder::new();
        builder
            .add(map, move |bytes: &[u8]| {
                let mut read = into.borrow_mut();
                match T::read_from_bytes(bytes) {
                    Ok(record) => read.records.push(record),
                    Err(_) => read.malformed += 1,
                }
                0
            })
            .map_err(io::Error::other)?;
        let ring = builder.build().map_err(io::Error::other)?;
        // A record has a header of eight bytes, so the ring never holds more than this.
        let capacity = usize::try_from(map.max_entries()).unwrap_or(usize::MAX) / (size_of::<T>() + 8) + 1;
        Ok(Self { ring, read, capacity })
    }

    /// What to wait for together with the control channel: `Running::wait(Some(ring.fd()))`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        super::sys::ring_fd(&self.ring)
    }

    /// Takes the records out that are there, each to `handle`, and returns how many. Ends also while the kernel
    /// writes faster than they are handled: after as many as the ring can hold.
    pub fn drain(&mut self, mut handle: impl FnMut(T)) -> io::Result<usize> {
        fault::at("bpf.ring", "")?;
        let mut taken = 0;
        while taken < self.capacity {
            let got = self.ring.consume_raw_n(BATCH);
            let Ok(got) = usize::try_from(got) else { return Err(io::Error::from_raw_os_error(-got)) };
            taken += got;
            // Handled after the call, so that `handle` may do what it likes; the room is kept.
            let mut records = std::mem::take(&mut self.read.borrow_mut().records);
            records.drain(..).for_each(&mut handle);
            self.read.borrow_mut().records = records;
            if got == 0 {
                break;
            }
        }
        Ok(taken)
    }
}
