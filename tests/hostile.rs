//! Hostile input at the listeners: any sequence of bytes gets an answer or a closed connection, memory stays
//! where it was, and scrapes and probes go on.

use gopher_e2e::daemon::proc_file;
use gopher_e2e::{Daemon, Setup, eventually};
use std::io::{Read, Write};

fn resident_kib(daemon: &Daemon<'_>) -> u64 {
    let status = proc_file(daemon.pid(), "status").expect("the daemon's status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of kB")
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Small, fast and the same in every run: xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).expect("a small bound")).expect("below the bound")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[test]
fn no_body_ends_the_daemon() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"state":"running"}"#);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let valid = br#"json={"cmd":{"probe":["cpu"]},"snoopers":{"proc_name":[{"comm":"^a$"}]},"params":{"report_period":9}}"#;
    for round in 0..600 {
        let mut body = match round % 3 {
            0 => (0..random.below(300)).map(|_| random.byte()).collect(),
            1 => [b"json=".to_vec(), (0..random.below(300)).map(|_| random.byte()).collect()].concat(),
            _ => valid.to_vec(),
        };
        if round % 3 == 2 {
            for _ in 0..=random.below(4) {
                let at = random.below(body.len());
                body[at] = random.byte();
            }
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = daemon.rest().send("PUT", "/baseinfo", &[], body);
        assert!(matches!(answer.status, 200 | 400), "{}: {shown:?}", answer.status);
        answer.json();
    }
    daemon.rest().get("/healthz").expect(200);
    // Some of the bodies were good ones, for other sub-probes.
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"state":"running"}"#);
    daemon.scrape_until("memory after all that", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
}

#[test]
fn an_announced_body_above_the_limit_is_refused_before_it_comes_and_costs_no_memory() {
    let setup = Setup::new();
    let daemon = setup.start();
    let before = resident_kib(&daemon);
    let mut stream = daemon.rest().connect();
    write!(
        stream,
        "PUT /baseinfo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\njson=",
        1_u64 << 40
    )
    .expect("a head");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("an answer to the head alone");
    assert_eq!(status_of(&status), Some(413), "{}", String::from_utf8_lossy(&status));
    // What comes all the same is thrown away for a moment, so that the client can read the answer; then the
    // connection is cut, long before all that was announced has come.
    let chunk = vec![b' '; 64 * 1024];
    let mut chunks = 0_u64;
    while stream.write_all(&chunk).is_ok() {
        chunks += 1;
        assert!(chunks < 1 << 24, "a tebibyte was taken");
    }
    let after = resident_kib(&daemon);
    assert!(after < before + 16 * 1024, "resident memory went from {before} to {after} kB");
}

#[test]
fn a_body_above_the_limit_is_413_in_one_piece_or_in_chunks() {
    let setup = Setup::new();
    let daemon = setup.start();
    let spaces = " ".repeat(1024 * 1024);
    assert_eq!(daemon.rest().put("/baseinfo", &spaces).status, 413);
    let mut chunked =
        b"PUT /baseinfo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 0x8000));
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = daemon.rest().raw(&chunked);
    assert!(matches!(status_of(&answer), None | Some(413)), "{}", String::from_utf8_lossy(&answer));
    daemon.rest().get("/healthz").expect(200);
}

#[test]
fn broken_requests_are_answered_or_closed() {
    let setup = Setup::new();
    let daemon = setup.start();
    for listener in [daemon.rest(), daemon.metrics()] {
        for request in [
            &b"\0\0\0\0\r\n\r\n"[..],
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: -5\r\nHost: localhost\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nHost: localhost\r\n\r\n",
            b"PUT /baseinfo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ] {
            let answer = listener.raw(request);
            let status = status_of(&answer);
            assert!(status.is_none_or(|status| (400..600).contains(&status)), "{status:?} to {request:?}");
        }
        let header = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let status = status_of(&listener.raw(header.as_bytes()));
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?} to a header of 1 MiB");
        listener.get("/healthz").expect(200);
    }
}

#[test]
fn idle_and_half_sent_connections_block_nobody() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut held = Vec::new();
    for listener in [daemon.rest(), daemon.metrics()] {
        for number in 0..100 {
            let mut stream = listener.connect();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: lo").expect("half a head");
            }
            held.push(stream);
        }
        listener.get("/healthz").expect(200);
    }
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"state":"running"}"#);
    daemon.scrape_until("memory", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
    let open = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("descriptors").count();
    let during = open();
    drop(held);
    eventually("the descriptors of closed connections to be given back", || {
        (open() + 150 < during).then_some(())
    });
}
