//! Questions to the kernel over netlink, routing and netfilter, asked and answered without ever blocking.
//!
//! Owns the socket and the framing of messages and attributes (`netlink-packet-core` checks the lengths).
//! Leaves the meaning of a message to whoever asks. The kernel answers while it handles the request, so a
//! read that would have to wait means that there is no answer.

use crate::fault;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NlaBuffer, NlasIterator,
};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::OwnedFd;

/// Message types, linux/netlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const HEADER: usize = 16;

/// The kernel makes dump packets as large as the largest buffer it was ever given, up to this.
const BUFFER: usize = 32 << 10;

/// Times that an answer is asked for anew because what it lists changed while it was made.
const TRIES: u32 = 3;

/// A netlink socket.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    buf: Vec<u8>,
}

/// What a packet said about the answer that it is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Progress {
    /// That was all.
    done: bool,
    /// What is listed changed meanwhile, so the list may lack something or have it twice.
    changed: bool,
}

impl Netlink {
    /// Opens a routing socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Self::with(None)
    }

    /// Opens a netfilter socket there; what it is asked takes `CAP_NET_ADMIN` each time.
    pub fn netfilter() -> io::Result<Self> {
        Self::with(Some(netlink::NETFILTER))
    }

    fn with(family: Option<Protocol>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, family)?;
        Ok(Self { fd, sequence: 0, buf: vec![0; BUFFER] })
    }

    /// Bytes held for answers.
    pub fn memory(&self) -> usize {
        self.buf.capacity()
    }

    /// Every object of a kind: `request` is the body of the question, `parse` makes of one answer's body
    /// what is wanted of it, or nothing.
    pub fn list<T>(
        &mut self,
        kind: u16,
        request: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        self.ask(kind, NLM_F_DUMP, request, parse)
    }

    /// One object, named by `request`.
    pub fn get<T>(
        &mut self,
        kind: u16,
        request: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        Ok(self.ask(kind, 0, request, parse)?.pop())
    }

    fn ask<T>(
        &mut self,
        kind: u16,
        flags: u16,
        request: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..TRIES {
            self.send(kind, flags, request)?;
            match self.answer(flags == 0, &parse) {
                Ok((found, false)) => return Ok(found),
                Ok((_, true)) => {}
                Err(error) => {
                    self.drain();
                    return Err(error);
                }
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// What was found, and whether it changed meanwhile.
    fn answer<T>(&mut self, single: bool, parse: &impl Fn(&[u8]) -> Option<T>) -> io::Result<(Vec<T>, bool)> {
        let mut found = Vec::new();
        let mut changed = false;
        loop {
            fault::at("netlink", "")?;
            let (_, len) = rustix::net::recv(&self.fd, &mut self.buf[..], RecvFlags::DONTWAIT)?;
            let packet = self.buf.get(..len).unwrap_or_default();
            let progress = messages(packet, self.sequence, single, |body| found.extend(parse(body)))?;
            changed |= progress.changed;
            if progress.done {
                return Ok((found, changed));
            }
        }
    }

    /// Throws away what is left of an answer that was not understood: the kernel refuses the next question
    /// as long as it is not through with this one.
    fn drain(&mut self) {
        for _ in 0..1024 {
            if rustix::net::recv(&self.fd, &mut self.buf[..], RecvFlags::DONTWAIT).is_err() {
                return;
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, request: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = vec![0; HEADER + request.len()];
        let length = u32::try_from(message.len()).map_err(|_| Errno::MSGSIZE)?;
        let mut header = NetlinkBuffer::new(&mut message);
        header.set_length(length);
        header.set_message_type(kind);
        header.set_flags(NLM_F_REQUEST | flags);
        header.set_sequence_number(self.sequence);
        header.payload_mut().copy_from_slice(request);
        rustix::net::sendto(&self.fd, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(())
    }
}

/// Hands the body of each message of `packet` that answers question `sequence` to `each`. `single` says
/// that the answer is one message, without an end mark after it.
fn messages(packet: &[u8], sequence: u32, single: bool, mut each: impl FnMut(&[u8])) -> io::Result<Progress> {
    let mut progress = Progress::default();
    let mut rest = packet;
    while !rest.is_empty() && !progress.done {
        let message = NetlinkBuffer::new_checked(rest).map_err(|_| Errno::BADMSG)?;
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        let body = rest.get(HEADER..length).ok_or(Errno::BADMSG)?;
        // What an earlier question left behind is passed over.
        if message.sequence_number() == sequence {
            progress.changed |= message.flags() & NLM_F_DUMP_INTR != 0;
            match message.message_type() {
                // Both carry a negative errno, 0 for none.
                NLMSG_DONE | NLMSG_ERROR => match i32_at(body, 0) {
                    Some(code) if code < 0 => {
                        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
                    }
                    _ => progress.done = true,
                },
                _ => {
                    each(body);
                    progress.done = single;
                }
            }
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(progress)
}

/// The attributes in `bytes` with their types; a broken one ends them.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).filter_map(|attribute: NlaBuffer<&[u8]>| {
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(4..length)?))
    })
}

/// The number at byte `at`, in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The signed number at byte `at`, in the machine's order.
pub fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().copied().map(i32::from_ne_bytes)
}

/// What holds of any bytes as a packet: no body and no attribute has more than there is.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let sequence = u32_at(bytes, 8).unwrap_or(0);
    for single in [false, true] {
        let mut told = 0;
        // A packet that is refused has nothing to hold.
        let _ = messages(bytes, sequence, single, |body| {
            told += body.len();
            let inside: usize = attributes(body).map(|(_, value)| value.len()).sum();
            assert!(inside <= body.len());
        });
        assert!(told <= bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let length = u32::try_from(HEADER + body.len()).expect("short");
        out.extend(length.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend([0; 4]);
        out.extend(body);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn bodies(packet: &[u8], single: bool) -> (io::Result<Progress>, Vec<Vec<u8>>) {
        let mut seen = Vec::new();
        let progress = messages(packet, 7, single, |body| seen.push(body.to_vec()));
        (progress, seen)
    }

    #[test]
    fn a_list_ends_at_its_end_mark_and_leaves_out_answers_to_older_questions() {
        let mut packet = message(16, 2, 6, b"old!");
        packet.extend(message(16, 2, 7, b"one"));
        packet.extend(message(16, 2 | NLM_F_DUMP_INTR, 7, b"two."));
        let (progress, seen) = bodies(&packet, false);
        assert_eq!(progress.expect("understood"), Progress { done: false, changed: true });
        assert_eq!(seen, [b"one".to_vec(), b"two.".to_vec()]);
        let (progress, _) = bodies(&message(NLMSG_DONE, 2, 7, &0i32.to_ne_bytes()), false);
        assert!(progress.expect("understood").done);
    }

    #[test]
    fn a_single_answer_is_done_at_once_and_a_refusal_is_its_error() {
        let (progress, seen) = bodies(&message(16, 0, 7, b"one."), true);
        assert!(progress.expect("understood").done);
        assert_eq!(seen.len(), 1);
        let (progress, _) = bodies(&message(NLMSG_ERROR, 0, 7, &(-19i32).to_ne_bytes()), true);
        assert_eq!(progress.expect_err("refused").raw_os_error(), Some(19));
    }

    /// Message types, linux/rtnetlink.h.
    const RTM_GETLINK: u16 = 18;
    const RTM_GETADDR: u16 = 22;

    #[test]
    fn the_kernel_lists_the_loopback_device_and_says_no_to_an_unknown_one() {
        let mut socket = Netlink::open().expect("a socket");
        let names = socket
            .list(RTM_GETLINK, &[0; 16], |body| {
                let (_, name) = attributes(body.get(16..)?).find(|(kind, _)| *kind == 3)?;
                Some(name.to_vec())
            })
            .expect("listed");
        assert!(names.contains(&b"lo\0".to_vec()), "{names:?}");
        let mut unknown = [0; 16];
        unknown[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let refused = socket.get(RTM_GETLINK, &unknown, |_| Some(())).expect_err("no such device");
        assert_eq!(refused.raw_os_error(), Some(Errno::NODEV.raw_os_error()));
        assert!(socket.list(RTM_GETADDR, &[0; 8], |_| Some(())).is_ok(), "goes on after a refusal");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_framing_panic(bytes: Vec<u8>, single: bool) {
            let _ = bodies(&bytes, single);
            let _ = attributes(&bytes).count();
        }

        #[test]
        fn a_wrong_length_is_never_read_past_the_packet(length: u32, body in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut packet = message(16, 0, 7, &body);
            packet[..4].copy_from_slice(&length.to_ne_bytes());
            let (_, seen) = bodies(&packet, false);
            prop_assert!(seen.iter().map(Vec::len).sum::<usize>() <= packet.len());
        }
    }
}
