//! Each event on all four ways at once: Kafka, the log, a webhook and the live stream say the same, byte for byte, when it
//! begins and when it is over. What happens is real: a file system that fills, a process without descriptors, a listening
//! socket that is overrun, segments that are lost.

use crate::clock;
use crate::server::Server;
use gopher_e2e::daemon::free_port;
use gopher_e2e::kafka::{Broker, PATIENCE, shared};
use gopher_e2e::lossy::Lossy;
use gopher_e2e::pki::Authority;
use gopher_e2e::process::{Background, command};
use gopher_e2e::stream::{Following, Sent};
use gopher_e2e::{Daemon, Setup, SmallDisk, within};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

/// A daemon's configuration with all four ways, and what is at their ends.
struct Ways {
    setup: Setup,
    server: Server,
    topic: &'static str,
}

impl Ways {
    fn new(broker: &Broker, topic: &'static str) -> Self {
        let authority = Authority::new("webhook authority");
        let server = Server::start(&authority);
        let setup = Setup::new();
        std::fs::write(setup.path("ca.pem"), authority.pem()).expect("written");
        let hook = format!(
            "url = \"https://localhost:{}/\"\nca_file = \"{}\"",
            server.port,
            setup.path("ca.pem").display()
        );
        let setup = setup
            .section(
                "event",
                &format!(
                    "out_channel = [\"kafka\", \"logs\"]\nkafka_topic = \"{topic}\"\nrecovery = true\ntimeout = 5"
                ),
            )
            .section("kafka", &format!("kafka_broker = \"{}\"", broker.address()))
            .section("[webhook]", &hook);
        Self { setup, server, topic }
    }

    /// What each way has of the events that `wanted` takes, once all of them have `count`: Kafka, the log, the webhook and
    /// the stream, in the order of the log.
    #[track_caller]
    fn each(
        &self,
        broker: &Broker,
        stream: &Following,
        wanted: &dyn Fn(&Value) -> bool,
        count: usize,
    ) -> [Vec<String>; 4] {
        let look = || {
            let kafka = broker.read(self.topic);
            let kafka = kafka.iter().map(|read| {
                let text = read.envelope["payload"].as_str().expect("a payload");
                assert_eq!(read.key(), read.document["Attributes"]["entity_id"], "{text}");
                text.to_owned()
            });
            let log = std::fs::read_to_string(self.setup.path("log/event/gopher_event.log"));
            let log = log.unwrap_or_default();
            let posted = self.server.got().into_iter().map(|got| String::from_utf8(got.body).expect("text"));
            let sent = stream.messages().into_iter().filter(|sent| sent.kind.is_empty());
            let ways: [Vec<String>; 4] = [
                kafka.collect(),
                log.lines().map(str::to_owned).collect(),
                posted.collect(),
                sent.map(|sent| sent.data).collect(),
            ];
            ways.map(|texts| {
                let is_wanted = |text: &String| serde_json::from_str(text).is_ok_and(|event| wanted(&event));
                texts.into_iter().filter(is_wanted).collect::<Vec<_>>()
            })
        };
        let mut last = Default::default();
        let all = within(PATIENCE, || {
            last = look();
            last.iter().all(|way: &Vec<String>| way.len() >= count).then_some(())
        });
        assert!(all.is_some(), "fewer than {count}: {last:#?}");
        last
    }

    /// All four say of `metric` of an entity with `part` in its id that it began and that it is over, in the same words.
    #[track_caller]
    fn agree(&self, broker: &Broker, stream: &Following, metric: &str, part: &str) {
        let of = |event: &Value, kind: &str| {
            event["Resource"]["metric"] == format!("gala_gopher_{metric}").as_str()
                && event["Attributes"]["event_type"] == kind
                && event["Attributes"]["entity_id"].as_str().is_some_and(|id| id.contains(part))
        };
        for kind in ["sys", "recovered"] {
            let [kafka, log, posted, sent] = self.each(broker, stream, &|event| of(event, kind), 1);
            // One that is told again meanwhile may have come on one way and not yet on another.
            assert_eq!((&kafka[0], &posted[0], &sent[0]), (&log[0], &log[0], &log[0]), "{metric} {kind}");
            let event: Value = serde_json::from_str(&log[0]).expect("a document");
            let severity = if kind == "sys" { "WARN" } else { "INFO" };
            assert_eq!(event["SeverityText"], severity, "{event}");
            let id = event["Attributes"]["entity_id"].as_str().expect("an id");
            assert_eq!(event["event_id"], format!("{}_{id}", event["Timestamp"]), "{event}");
            eprintln!("{metric} {kind}: the same on four ways, {}", event["Body"]);
        }
    }
}

fn of<'a>(metric: &'a str, part: &'a str, kind: &'a str) -> impl Fn(&Sent) -> bool + 'a {
    move |sent| {
        sent.kind.is_empty() && {
            let event = sent.json();
            event["Resource"]["metric"] == format!("gala_gopher_{metric}").as_str()
                && event["Attributes"]["event_type"] == kind
                && event["Attributes"]["entity_id"].as_str().is_some_and(|id| id.contains(part))
        }
    }
}

fn watch(daemon: &Daemon<'_>, feature: &str, order: Value, params: &Value) {
    let mut order = order;
    order["state"] = "running".into();
    order["params"] = json!({"report_period": 5, "report_event": 1});
    for (name, value) in params.as_object().expect("an object") {
        order["params"][name] = value.clone();
    }
    daemon.put(feature, &order.to_string());
}

#[test]
fn what_baseinfo_tells_is_the_same_everywhere_and_so_is_its_end() {
    let broker = shared();
    let ways = Ways::new(&broker, "alike_baseinfo");
    let Some(disk) = SmallDisk::mount(&ways.setup.path("small"), "1m", 100) else { return };
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![b'x'; 900 << 10]).expect("it fits");
    let opened: String = (3..10).map(|fd| format!("exec {fd}</dev/null; ")).collect();
    let mut poor = command("sh");
    poor.args(["-c", &format!("ulimit -n 14; {opened} exec sleep 600")]);
    let poor = Background::start(poor, &ways.setup.path("poor.log"));
    let pid = poor.pid().to_string();
    let daemon = ways.setup.start();
    let stream = Following::start(&daemon.rest(), "", None);
    let scope = json!({"cmd": {"probe": ["fs", "proc"]}, "snoopers": {"proc_id": [poor.pid()]}});
    watch(&daemon, "baseinfo", scope, &json!({"res_upper_thr": 60}));
    stream.wait("a full file system", of("fs_UsePer", ":small", "sys"));
    stream.wait("a process without descriptors", of("proc_fd_free_per", &pid, "sys"));
    std::fs::remove_file(&filler).expect("room again");
    drop(poor);
    ways.agree(&broker, &stream, "fs_UsePer", ":small");
    ways.agree(&broker, &stream, "proc_fd_free_per", &pid);
    assert!(daemon.terminate().success());
    // Once nothing more can come: everything that was told is everywhere.
    let [mut kafka, mut log, mut posted, mut sent] = ways.each(&broker, &stream, &|_| true, 4);
    [&mut kafka, &mut log, &mut posted, &mut sent].into_iter().for_each(|way| way.sort());
    assert_eq!((&kafka, &posted, &sent), (&log, &log, &log));
}

#[test]
fn lost_segments_and_an_overrun_listening_socket_are_the_same_everywhere_and_so_is_their_end() {
    let broker = shared();
    let ways = Ways::new(&broker, "alike_tcp");
    let daemon = ways.setup.start();
    let stream = Following::start(&daemon.rest(), "", None);
    let scope = || json!({"snoopers": {"proc_id": [std::process::id()]}});
    watch(&daemon, "tcp", scope(), &json!({"sample_period": 100, "drops_thr": 10}));
    watch(&daemon, "socket", json!({"blacklist": {}}), &json!({}));

    let port = free_port();
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = || socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let listening = socket();
    bind(&listening, &at).expect("bound");
    listen(&listening, 1).expect("listens");
    let server = port.to_string();
    // Its first report, so that what comes now is growth.
    daemon.scrape_until("the listening socket", |scrape| {
        let mut rows = scrape.all("gala_gopher_endpoint_tcp_listendrop");
        rows.any(|row| row.label("server_port") == Some(&server)).then_some(())
    });
    let clients: Vec<OwnedFd> = (0..40)
        .map(|_| {
            let client = socket();
            let under_way = connect(&client, &at);
            assert!(matches!(under_way, Ok(()) | Err(rustix::io::Errno::INPROGRESS)), "{under_way:?}");
            client
        })
        .collect();
    let lossy = Lossy::start();
    let (overrun, lost) = (format!("_{server}_"), format!("_{}_", lossy.port));
    stream.wait("dropped requests", of("endpoint_tcp_listendrop", &overrun, "sys"));
    stream.wait("segments that were sent again", of("tcp_link_retran_packets", &lost, "sys"));
    drop(clients);
    lossy.heal();
    ways.agree(&broker, &stream, "endpoint_tcp_listendrop", &overrun);
    ways.agree(&broker, &stream, "tcp_link_retran_packets", &lost);
    drop((lossy, listening));
    assert!(daemon.terminate().success());
    let [mut kafka, mut log, mut posted, mut sent] = ways.each(&broker, &stream, &|_| true, 4);
    [&mut kafka, &mut log, &mut posted, &mut sent].into_iter().for_each(|way| way.sort());
    assert_eq!((&kafka, &posted, &sent), (&log, &log, &log));
}

#[test]
fn with_the_clock_set_back_an_event_and_its_end_are_told_all_the_same() {
    let broker = shared();
    let mut ways = Ways::new(&broker, "alike_clock");
    let Some(disk) = SmallDisk::mount(&ways.setup.path("small"), "1m", 100) else { return };
    let filler = disk.path().join("filler");
    let file = ways.setup.path("clock");
    for (name, value) in clock::clock(&file) {
        ways.setup = ways.setup.env(name, value);
    }
    let daemon = ways.setup.start();
    let stream = Following::start(&daemon.rest(), "", None);
    watch(&daemon, "baseinfo", json!({"cmd": {"probe": ["fs"]}}), &json!({"res_upper_thr": 60}));
    let mut stamps = Vec::new();
    for (count, offset) in [(1, "-2h"), (2, "-50d")] {
        std::fs::write(&filler, vec![b'x'; 900 << 10]).expect("it fits");
        let kinds = ["sys", "recovered"];
        for kind in kinds {
            let is = |event: &Value| {
                event["Resource"]["metric"] == "gala_gopher_fs_UsePer"
                    && event["Attributes"]["event_type"] == kind
                    && event["Attributes"]["entity_id"].as_str().is_some_and(|id| id.ends_with(":small"))
            };
            let [kafka, log, posted, sent] = ways.each(&broker, &stream, &is, count);
            assert_eq!((&kafka, &posted, &sent), (&log, &log, &log));
            let event: Value = serde_json::from_str(log.last().expect("one")).expect("a document");
            stamps.push(event["Timestamp"].as_i64().expect("a number"));
            if kind == "sys" {
                clock::set(&file, offset);
                std::fs::remove_file(&filler).expect("room again");
            }
        }
    }
    // Two hours back under the first condition, seven weeks under the second: each says when its own clock said it was.
    let hours: Vec<i64> = stamps.windows(2).map(|pair| (pair[1] - pair[0]) / 3_600_000).collect();
    assert!(hours[0] == -1 && hours[1] == 0 && hours[2] < -1190, "{hours:?} {stamps:?}");
    assert!(daemon.terminate().success());
}
