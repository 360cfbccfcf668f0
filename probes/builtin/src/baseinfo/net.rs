//! `net`: the host's TCP and UDP totals.
//!
//! Owns the two tables and reads /proc/net/snmp, where each protocol has a line of names and a line of
//! values; columns are matched by name, for kernels add some in between.

use super::{Reader, netns};
use probe_core::{Batch, Env, Row, Tick, table};
use probe_kit::kept::KeptFile;
use probe_kit::scan::{lines, number, words};

table! {
    /// TCP of the host's network namespace.
    pub(crate) struct TcpRow = "system_tcp", entity "net", sub_probe "net" {
        keys { origin }
        labels { }
        gauge tcp_curr_estab: Count = "Connections that are established or wait for the peer's close now, /proc/net/snmp Tcp CurrEstab.";
        counter tcp_in_segs: Count = "Segments received, bad ones included, Tcp InSegs.";
        counter tcp_out_segs: Count = "Segments sent, without retransmitted ones, Tcp OutSegs.";
        counter tcp_retrans_segs: Count = "Segments sent again, Tcp RetransSegs.";
        counter tcp_in_errs: Count = "Bad segments received, Tcp InErrs.";
    }
}

table! {
    /// UDP of the host's network namespace.
    pub(crate) struct UdpRow = "system_udp", entity "net", sub_probe "net" {
        keys { origin }
        labels { }
        counter udp_indata_grams: Count = "Datagrams delivered to programs, /proc/net/snmp Udp InDatagrams.";
        counter udp_outdata_grams: Count = "Datagrams sent, Udp OutDatagrams.";
    }
}

/// The reader of `net`.
pub(crate) struct Net {
    snmp: KeptFile,
    buf: Vec<u8>,
}

impl Net {
    /// Reads through `env`.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self { snmp: KeptFile::new(netns::proc_net(env).join("snmp")), buf: Vec::new() })
    }
}

impl Reader for Net {
    fn missing(&mut self) -> Vec<String> {
        super::unreadable(&mut self.snmp, &mut self.buf)
    }

    fn read(&mut self, _: Tick, out: &mut Batch) {
        match self.snmp.read(&mut self.buf) {
            Ok(text) => {
                tcp(text).host(out);
                udp(text).host(out);
            }
            Err(_) => out.skip("unreadable", 1),
        }
    }

    fn memory(&self) -> u64 {
        self.buf.capacity() as u64
    }
}

const ORIGIN: &str = "/proc/net/snmp";

/// Names and values of one protocol; `head` is its word at the line's begin, with the colon. A value that
/// is no plain number (`MaxConn` is -1) is left out.
fn columns<'a>(text: &'a [u8], head: &'a [u8]) -> impl Iterator<Item = (&'a [u8], u64)> {
    let mut of_protocol = lines(text).filter_map(move |line| line.strip_prefix(head));
    let names = of_protocol.next().unwrap_or_default();
    let values = of_protocol.next().unwrap_or_default();
    words(names).zip(words(values)).filter_map(|(name, value)| Some((name, number(value)?)))
}

#[allow(clippy::cast_precision_loss)] // a number of connections is far below 2^52
fn tcp(text: &[u8]) -> TcpRow {
    let mut row = TcpRow { origin: ORIGIN.into(), ..TcpRow::default() };
    for (name, value) in columns(text, b"Tcp:") {
        match name {
            b"CurrEstab" => row.tcp_curr_estab = Some(value as f64),
            b"InSegs" => row.tcp_in_segs = Some(value),
            b"OutSegs" => row.tcp_out_segs = Some(value),
            b"RetransSegs" => row.tcp_retrans_segs = Some(value),
            b"InErrs" => row.tcp_in_errs = Some(value),
            _ => {}
        }
    }
    row
}

fn udp(text: &[u8]) -> UdpRow {
    let mut row = UdpRow { origin: ORIGIN.into(), ..UdpRow::default() };
    for (name, value) in columns(text, b"Udp:") {
        match name {
            b"InDatagrams" => row.udp_indata_grams = Some(value),
            b"OutDatagrams" => row.udp_outdata_grams = Some(value),
            _ => {}
        }
    }
    row
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let _ = (tcp(bytes), udp(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, SeenRow, seen};
    use proptest::prelude::*;
    use std::net::UdpSocket;
    use std::time::SystemTime;

    fn read(env: &Env) -> Vec<SeenRow> {
        let mut out = Batch::new(SystemTime::now());
        Net::boxed(env).read(Tick { index: 0, elapsed: None, missed: 0 }, &mut out);
        seen(&out)
    }

    #[test]
    fn columns_are_found_by_name_whatever_their_order() {
        let host = FakeHost::new();
        host.write("proc/1/net/dev", "")
            .write(
                "proc/1/net/snmp",
                "Ip: Forwarding DefaultTTL\nIp: 1 64\nUdpLite: InDatagrams\nUdpLite: 99\n\
             Tcp: MaxConn OutSegs InSegs New CurrEstab InErrs RetransSegs\nTcp: -1 20 10 7 3 2 1\n\
             Udp: InDatagrams OutDatagrams\nUdp: 5 18446744073709551615\n",
            )
            .write("proc/net/snmp", "Tcp: InSegs\nTcp: 12345\n");
        let rows = read(&host.env());
        assert_eq!(rows[0].label("origin"), Some("/proc/net/snmp"));
        assert_eq!(
            ["tcp_curr_estab", "tcp_in_segs", "tcp_out_segs", "tcp_retrans_segs", "tcp_in_errs"]
                .map(|c| rows[0].get(c)),
            [Some(3.0), Some(10.0), Some(20.0), Some(1.0), Some(2.0)]
        );
        assert_eq!(rows[1].values[1].1, probe_core::Value::Counter(u64::MAX));
    }

    #[test]
    fn a_protocol_without_values_is_absent() {
        let row = tcp(b"Tcp: InSegs OutSegs\nUdp: InDatagrams\n");
        assert_eq!((row.tcp_in_segs, row.tcp_curr_estab), (None, None));
        assert_eq!(tcp(b"Tcp: InSegs OutSegs\nTcp: 4\n").tcp_out_segs, None);
    }

    #[test]
    fn datagrams_that_this_host_sends_are_counted_between_two_readings_of_the_kernels_file() {
        let kernel = || {
            let text = std::fs::read("/proc/net/snmp").expect("snmp");
            udp(&text).udp_outdata_grams.expect("a count")
        };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let to = socket.local_addr().expect("address");
        let before = kernel();
        (0..100).for_each(|_| assert_eq!(socket.send_to(b"x", to).expect("sent"), 1));
        let rows = read(&Env::default());
        let after = kernel();
        let probe_core::Value::Counter(seen) = rows[1].values[1].1 else { panic!("a counter") };
        assert!(before + 100 <= seen && seen <= after, "{before} {seen} {after}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(bytes: Vec<u8>, text in "(Tcp:|Udp:| InSegs| [0-9-]{0,21}|\n){0,40}") {
            for text in [&bytes[..], text.as_bytes()] {
                let _ = tcp(text);
                let _ = udp(text);
            }
        }
    }
}
