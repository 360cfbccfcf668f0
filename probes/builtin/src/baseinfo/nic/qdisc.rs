//! The egress queueing discipline of each device, from the routing socket.
//!
//! `tc -s qdisc show` lists every discipline of a device; what is sent passes the root one. Its counts are
//! the whole truth: the kernel sums those of a multi-queue root's children into it when asked. Only marks
//! are kept per kind of discipline, so those of a multi-queue root are summed here.

use super::super::rtnl::{RTM_GETQDISC, Rtnl, attributes, u32_at};
use std::collections::HashMap;
use std::io;

/// What the root discipline of a device says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Egress {
    /// Packets in it now.
    pub(super) packets: u32,
    /// Dropped so far.
    pub(super) drops: u32,
    /// Times it was over its limit so far.
    pub(super) overlimits: u32,
    /// ECN marks so far; `None` if this kind does not count them.
    pub(super) ecn_marks: Option<u64>,
}

/// One discipline as the kernel tells it.
#[derive(Clone, Debug, PartialEq)]
struct Qdisc {
    device: u32,
    handle: u32,
    parent: u32,
    queue: Egress,
}

/// Parent of a root discipline, linux/pkt_sched.h TC_H_ROOT.
const ROOT: u32 = 0xFFFF_FFFF;
/// The part of a handle that a discipline's classes share with it, TC_H_MAJ_MASK.
const MAJOR: u32 = 0xFFFF_0000;

/// Every device's root discipline, by device index. A device that is down may have none.
pub(super) fn read(socket: &mut Rtnl) -> io::Result<HashMap<u32, Egress>> {
    // struct tcmsg, all zero: any device.
    Ok(roots(&socket.list(RTM_GETQDISC, &[0; TCMSG], parse)?))
}

fn roots(all: &[Qdisc]) -> HashMap<u32, Egress> {
    let mut roots: HashMap<u32, (u32, Egress)> = all
        .iter()
        .filter(|qdisc| qdisc.parent == ROOT)
        .map(|qdisc| (qdisc.device, (qdisc.handle, qdisc.queue)))
        .collect();
    for child in all.iter().filter(|qdisc| qdisc.parent != ROOT) {
        let Some(marks) = child.queue.ecn_marks else { continue };
        if let Some((handle, root)) = roots.get_mut(&child.device)
            && child.parent & MAJOR == *handle & MAJOR
        {
            *root.ecn_marks.get_or_insert(0) += marks;
        }
    }
    roots.into_iter().map(|(device, (_, root))| (device, root)).collect()
}

/// Length of struct tcmsg, linux/rtnetlink.h: family and padding, ifindex, handle, parent, info.
const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_STATS2: u16 = 7;
/// Inside TCA_STATS2, linux/gen_stats.h.
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_APP: u16 = 4;

fn parse(body: &[u8]) -> Option<Qdisc> {
    let mut kind: &[u8] = &[];
    let mut queue = None;
    let mut own: &[u8] = &[];
    for (attribute, value) in attributes(body.get(TCMSG..)?) {
        match attribute {
            TCA_KIND => kind = value.strip_suffix(&[0]).unwrap_or(value),
            TCA_STATS2 => {
                for (attribute, value) in attributes(value) {
                    match attribute {
                        TCA_STATS_QUEUE => queue = queue_stats(value),
                        TCA_STATS_APP => own = value,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Qdisc {
        device: u32_at(body, 4)?,
        handle: u32_at(body, 8)?,
        parent: u32_at(body, 12)?,
        queue: Egress { ecn_marks: ecn_marks(kind, own).map(u64::from), ..queue? },
    })
}

/// struct gnet_stats_queue: qlen, backlog in bytes, drops, requeues, overlimits.
fn queue_stats(value: &[u8]) -> Option<Egress> {
    Some(Egress {
        packets: u32_at(value, 0)?,
        drops: u32_at(value, 8)?,
        overlimits: u32_at(value, 16)?,
        ecn_marks: None,
    })
}

/// Where each kind of discipline has its `ecn_mark` in its own statistics, linux/pkt_sched.h. Those of
/// fq_codel begin with a word that says whether they are the discipline's (0) or a class's.
fn ecn_marks(kind: &[u8], own: &[u8]) -> Option<u32> {
    match kind {
        b"fq_codel" if u32_at(own, 0) == Some(0) => u32_at(own, 12),
        b"codel" => u32_at(own, 24),
        b"pie" => u32_at(own, 36),
        b"fq_pie" => u32_at(own, 16),
        _ => None,
    }
}

/// What holds of any bytes as an answer: it has a meaning or none.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    parse(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = u16::try_from(4 + value.len()).expect("short").to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
    }

    fn body(kind: &str, handle: u32, parent: u32, queue: [u32; 5], own: &[u32]) -> Vec<u8> {
        let mut out = numbers(&[0, 3, handle, parent, 0]);
        out.extend(attribute(TCA_KIND, format!("{kind}\0").as_bytes()));
        let stats = [
            attribute(1, &[0; 12]),
            attribute(TCA_STATS_QUEUE, &numbers(&queue)),
            attribute(TCA_STATS_APP, &numbers(own)),
        ];
        out.extend(attribute(TCA_STATS2, &stats.concat()));
        out
    }

    #[test]
    fn the_root_discipline_is_what_counts_and_its_children_add_their_marks() {
        let queue = [5, 7000, 11, 0, 13];
        let fq_codel = |marks| [0, 1500, 0, marks, 0, 0, 0, 0, 0, 0];
        let all: Vec<_> = [
            body("mq", 0x8001_0000, ROOT, queue, &[]),
            body("fq_codel", 0, 0x8001_0001, [1, 0, 2, 0, 0], &fq_codel(20)),
            body("fq_codel", 0, 0x8001_0002, [4, 0, 9, 0, 0], &fq_codel(22)),
            body("ingress", 0xFFFF_0000, 0xFFFF_FFF1, [0, 0, 99, 0, 0], &[]),
        ]
        .iter()
        .map(|body| parse(body).expect("understood"))
        .collect();
        let egress = Egress { packets: 5, drops: 11, overlimits: 13, ecn_marks: Some(42) };
        assert_eq!(roots(&all), HashMap::from([(3, egress)]));
    }

    #[test]
    fn each_kind_has_its_marks_at_its_own_place_and_others_have_none() {
        let marks =
            |kind, own: &[u32]| parse(&body(kind, 0, ROOT, [0; 5], own)).and_then(|q| q.queue.ecn_marks);
        let counted: Vec<u32> = (0..12).collect();
        assert_eq!(marks("codel", &counted), Some(6));
        assert_eq!(marks("pie", &counted), Some(9));
        assert_eq!(marks("fq_pie", &counted), Some(4));
        assert_eq!(marks("fq_codel", &counted), Some(3));
        assert_eq!(marks("fq_codel", &[1, 2, 3, 4]), None, "a class's");
        assert_eq!(marks("pfifo_fast", &counted), None);
        assert_eq!(marks("pie", &counted[..9]), None, "too short");
    }

    #[test]
    fn the_kernels_own_answer_is_understood() {
        let mut socket = Rtnl::open().expect("a socket");
        let understood = socket.list(RTM_GETQDISC, &[0; TCMSG], |body| Some(parse(body).is_some()));
        assert!(understood.expect("answered").into_iter().all(|ok| ok));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, cut in 0usize..120) {
            let _ = parse(&bytes);
            let whole = body("fq_codel", 1, ROOT, [1; 5], &[0; 10]);
            let _ = parse(whole.get(..cut).unwrap_or(&whole));
        }
    }
}
