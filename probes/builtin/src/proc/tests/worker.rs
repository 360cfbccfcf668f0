//! A process that does what it is told, a known number of times, and says when it is done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

const ASKED: &str = "GOPHER_PROC_WORKER";
const ANSWER: &str = "worker: ";

/// Such a process; ended when dropped.
pub(super) struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    #[allow(clippy::disallowed_methods)] // another process is what is observed
    pub(super) fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let name = format!("{}::be_the_worker", module_path!().split_once("::").expect("a crate").1);
        let mut child = Command::new(program)
            .args(["--exact", &name, "--nocapture", "--test-threads=1"])
            .env(ASKED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut worker = Self { child, answers };
        assert_eq!(worker.answer(), "ready");
        worker
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it do `what`, and returns what it says of it.
    pub(super) fn does(&mut self, what: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(format!("{what}\n").as_bytes()).expect("told");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.answers.read_line(&mut line).expect("an answer") > 0, "the worker ended");
            if let Some(at) = line.find(ANSWER) {
                return line[at + ANSWER.len()..].trim_end().to_owned();
            }
        }
    }

    /// Ends it and waits for that.
    pub(super) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("ended").success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn say(text: &str) {
    // Not through the test harness's own output.
    rustix::io::write(std::io::stdout().as_fd(), format!("{ANSWER}{text}\n").as_bytes()).expect("said");
}

/// The worker itself, when a test has started this program as one.
#[test]
fn be_the_worker() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    say("ready");
    loop {
        let (mut line, mut byte) = (Vec::new(), [0]);
        let begun = Instant::now();
        let mut waited = begun.elapsed();
        // Byte by byte: each is one read of a known number.
        loop {
            let got = rustix::io::read(std::io::stdin().as_fd(), &mut byte).expect("told");
            if line.is_empty() {
                waited = begun.elapsed();
            }
            match byte {
                _ if got == 0 => return,
                [b'\n'] => break,
                [other] => line.push(other),
            }
        }
        let line = String::from_utf8(line).expect("text");
        let (what, times) = line.split_once(' ').expect("what and how often");
        let times: u32 = times.parse().expect("a number");
        if what == "waited" {
            say(&waited.as_nanos().to_string());
            continue;
        }
        work(what, times);
        say("done");
    }
}

/// Does one thing `times` times.
fn work(what: &str, times: u32) {
    let zero = std::fs::File::open("/dev/zero").expect("opened");
    let null = std::fs::File::create("/dev/null").expect("opened");
    let file = || tempfile::tempfile().expect("a file");
    let (a, b) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut threads = Vec::new();
    let kept = (what == "fsync").then(file);
    for _ in 0..times {
        match what {
            "read" => drop(rustix::io::read(&zero, &mut [0; 8])),
            "write" => drop(rustix::io::write(&null, b"12345678")),
            "fsync" => rustix::fs::fsync(kept.as_ref().expect("made")).expect("synced"),
            "fail" => assert!(rustix::fs::stat("/no/such/file").is_err()),
            "yield" => std::thread::yield_now(),
            "ioctl" => drop(rustix::fs::ioctl_getflags(&zero)),
            "message" => message(&a, &b),
            "process" => process(),
            "sleep" => std::thread::sleep(std::time::Duration::from_millis(30)),
            "find" => assert!(lookup("127.1").is_ok()),
            "miss" => assert!(lookup(&missing()).is_err()),
            "thread" => threads.push(std::thread::Builder::new().spawn(|| ()).expect("a thread")),
            other => panic!("what is {other}?"),
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("joined"));
}

fn message(a: &std::os::unix::net::UnixStream, b: &std::os::unix::net::UnixStream) {
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg};
    let sent =
        sendmsg(a, &[std::io::IoSlice::new(b"x")], &mut SendAncillaryBuffer::default(), SendFlags::empty());
    let mut byte = [0];
    let mut place = [std::io::IoSliceMut::new(&mut byte)];
    let received = recvmsg(b, &mut place, &mut RecvAncillaryBuffer::default(), RecvFlags::empty());
    assert_eq!((sent.expect("sent"), received.expect("received").bytes), (1, 1));
}

/// Through the C library: the address is in a form that it takes and Rust does not.
fn lookup(name: &str) -> std::io::Result<usize> {
    use std::net::ToSocketAddrs as _;
    Ok((name, 0).to_socket_addrs()?.count())
}

/// A name that no server is asked for, because a part of it is too long; and that is no good label.
pub(super) fn missing() -> String {
    format!("q\"\\\n{}.example", "\u{e9}".repeat(40))
}

#[allow(clippy::disallowed_methods)] // a short process is what is observed
fn process() {
    let mut child = Command::new("true").stdin(Stdio::null()).spawn().expect("true runs");
    assert!(child.wait().expect("ended").success());
}
