//! Reading maps: in batches where the kernel has them for the kind of map, one by one where not.

use super::privilege::raised;
use super::sys::{self, Cursor};
use crate::fault;
use libbpf_rs::{MapCore, MapFlags};
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of a batch. It must be larger than the fullest bucket of a hash; if it is not, it is doubled.
const BATCH: u32 = 1024;

/// How often it may be doubled: up to 256 Ki entries.
const DOUBLINGS: u32 = 8;

/// What a reading of a map gave.
#[derive(Debug, Default)]
pub struct Drained<K, V> {
    /// The entries, in no order.
    pub entries: Vec<(K, V)>,
    /// The kernel has no batches for this map; they were read one by one.
    pub one_by_one: bool,
}

/// A key or a value as C and Rust share it.
pub trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> Plain for T {}

/// Takes every entry out of the hash `map`. An entry that a program writes meanwhile is taken or stays, it is
/// never lost.
pub fn drain<K: Plain, V: Plain>(map: &dyn MapCore) -> io::Result<Drained<K, V>> {
    read(map, true)
}

/// The entries of the hash or array `map`, which stay.
pub fn snapshot<K: Plain, V: Plain>(map: &dyn MapCore) -> io::Result<Drained<K, V>> {
    read(map, false)
}

fn check<K, V>(map: &dyn MapCore) -> io::Result<()> {
    let sizes = (map.key_size() as usize, map.value_size() as usize);
    if sizes == (size_of::<K>(), size_of::<V>()) {
        return Ok(());
    }
    let text = format!(
        "map {}: keys and values have {sizes:?} bytes, not {:?}",
        map.name().display(),
        (size_of::<K>(), size_of::<V>())
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

fn read<K: Plain, V: Plain>(map: &dyn MapCore, remove: bool) -> io::Result<Drained<K, V>> {
    check::<K, V>(map)?;
    fault::at("bpf.read", "")?;
    let _raised = raised();
    let mut entries = Vec::new();
    match read_batches(map, remove, &mut entries) {
        Ok(()) => Ok(Drained { entries, one_by_one: false }),
        // EINVAL, or the kernel's ENOTSUPP that libc has not: no batches for this kind of map.
        Err(error) if entries.is_empty() && matches!(error.raw_os_error(), Some(libc::EINVAL | 524)) => {
            read_one_by_one(map, remove, &mut entries)?;
            Ok(Drained { entries, one_by_one: true })
        }
        Err(error) => Err(error),
    }
}

fn read_batches<K: Plain, V: Plain>(
    map: &dyn MapCore,
    remove: bool,
    entries: &mut Vec<(K, V)>,
) -> io::Result<()> {
    let mut count = BATCH.min(map.max_entries().max(1));
    let mut doublings = 0;
    let room = |count: u32, size: usize| vec![0u8; count as usize * size];
    let (mut keys, mut values) = (room(count, size_of::<K>()), room(count, size_of::<V>()));
    let mut cursor = Cursor::new(size_of::<K>());
    // Programs may add entries as fast as they are taken: end after as many as the map can hold.
    while entries.len() <= map.max_entries() as usize {
        match sys::batch(map.as_fd(), &mut cursor, &mut keys, &mut values, count, remove) {
            Ok((got, end)) => {
                let keys = keys.chunks_exact(size_of::<K>());
                let values = values.chunks_exact(size_of::<V>());
                entries.extend(keys.zip(values).take(got).filter_map(|(key, value)| {
                    Some((K::read_from_bytes(key).ok()?, V::read_from_bytes(value).ok()?))
                }));
                if end {
                    return Ok(());
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && doublings < DOUBLINGS => {
                doublings += 1;
                count *= 2;
                (keys, values) = (room(count, size_of::<K>()), room(count, size_of::<V>()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_one_by_one<K: Plain, V: Plain>(
    map: &dyn MapCore,
    remove: bool,
    entries: &mut Vec<(K, V)>,
) -> io::Result<()> {
    // The keys first: removing while walking would begin the walk anew.
    let keys: Vec<_> = map.keys().take(map.max_entries() as usize).collect();
    for key in keys {
        let value = map.lookup(&key, MapFlags::ANY).map_err(io::Error::other)?;
        if remove && value.is_some() {
            map.delete(&key).map_err(io::Error::other)?;
        }
        let value = value.and_then(|value| V::read_from_bytes(&value).ok());
        entries.extend(K::read_from_bytes(&key).ok().zip(value));
    }
    Ok(())
}

/// The value of `key`; `None` if there is none.
pub fn lookup<K: Plain, V: Plain>(map: &dyn MapCore, key: &K) -> io::Result<Option<V>> {
    check::<K, V>(map)?;
    fault::at("bpf.read", "")?;
    let _raised = raised();
    let value = map.lookup(key.as_bytes(), MapFlags::ANY).map_err(io::Error::other)?;
    Ok(value.and_then(|value| V::read_from_bytes(&value).ok()))
}

/// The values of `key` in a per-CPU map, one for each possible CPU; empty if there is no such key.
pub fn per_cpu<K: Plain, V: Plain>(map: &dyn MapCore, key: &K) -> io::Result<Vec<V>> {
    check::<K, V>(map)?;
    fault::at("bpf.read", "")?;
    let _raised = raised();
    let values = map.lookup_percpu(key.as_bytes(), MapFlags::ANY).map_err(io::Error::other)?;
    // The kernel rounds each value up to eight bytes.
    let value = |bytes: &Vec<u8>| V::read_from_prefix(bytes).ok().map(|(value, _)| value);
    Ok(values.unwrap_or_default().iter().filter_map(value).collect())
}
