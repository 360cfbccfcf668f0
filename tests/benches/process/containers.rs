//! What a thousand known containers cost: memory and CPU while nothing happens, beside a daemon that
//! knows none.
//!
//! A thousand real ones do not fit a small machine, so the runtime is a stand-in that answers Docker's API.

use crate::Length;
use crate::measure::{cpu, memory};
use crate::report::Report;
use gopher_e2e::{Setup, eventually};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const COUNT: usize = 1000;

/// Past the start and the list.
const SETTLE: Duration = Duration::from_secs(5);

/// A pod's container with the labels that kubelet writes, every other one the sandbox with the pod's own.
fn container(number: usize) -> Value {
    let pod = number / 2;
    let mut labels = json!({
        "io.kubernetes.pod.name": format!("checkout-service-7d9c5b8f6d-{pod:05}"),
        "io.kubernetes.pod.namespace": "production-checkout",
        "io.kubernetes.pod.uid": format!("6f9f7c1e-0b1c-4f6e-9a52-{pod:012}"),
    });
    let own = if number.is_multiple_of(2) {
        json!({
            "io.kubernetes.docker.type": "podsandbox",
            "app.kubernetes.io/name": "checkout-service",
            "app.kubernetes.io/instance": format!("checkout-service-{pod}"),
            "app.kubernetes.io/version": "2024.11.24-1",
            "pod-template-hash": "7d9c5b8f6d",
        })
    } else {
        json!({"io.kubernetes.docker.type": "container", "io.kubernetes.container.name": "checkout-service"})
    };
    if let (Value::Object(labels), Value::Object(own)) = (&mut labels, own) {
        labels.extend(own);
    }
    let name = format!("/k8s_checkout-service_{pod}_0");
    json!({"Id": format!("{number:064x}"), "Names": [name], "Labels": labels,
        "Image": "registry.example.com/production/checkout-service:2024.11.24-1", "State": "running"})
}

fn answer(mut stream: UnixStream, list: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let body = match first.split(' ').nth(1) {
        Some("/version") => r#"{"Version":"20.10"}"#,
        Some("/containers/json") => list,
        _ => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            // Silent until the daemon goes.
            lines.for_each(drop);
            return Ok(());
        }
    };
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let list = std::sync::Arc::new(Value::Array((0..COUNT).map(container).collect()).to_string());
    let accepting = std::thread::Builder::new().name("stand-in".into()).spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let list = std::sync::Arc::clone(&list);
            // A daemon that has gone is the only error there is.
            let answering = std::thread::Builder::new().name("answer".into());
            answering.spawn(move || drop(answer(stream, &list))).expect("a thread for an answer");
        }
    });
    accepting.expect("a thread for the stand-in");
}

/// Adds memory and CPU.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let window = Duration::from_secs(length.pick(60, 10));
    let (mut added, mut share) = (Vec::new(), Vec::new());
    for _ in 0..length.pick(3, 1) {
        let empty = Setup::new();
        let full = Setup::new();
        let socket = full.path("docker.sock");
        serve(&socket);
        let full = full.section("containers", &format!("docker = [\"{}\"]", socket.display()));
        let (empty, full) = (empty.start(), full.start());
        eventually("all containers", || {
            let known = full.scrape("/metrics").value("gopherd_containers", &[("runtime", "docker")]);
            (known == Some(COUNT as f64)).then_some(())
        });
        // The other one was scraped as well.
        empty.scrape("/metrics");
        sleep(SETTLE);
        added.push(memory(full.pid()).anonymous - memory(empty.pid()).anonymous);
        let spent = || [&full, &empty].map(|daemon| cpu(daemon.pid()).as_secs_f64());
        let (start, before) = (Instant::now(), spent());
        sleep(window);
        let [full, empty] = spent();
        let added = (full - before[0]) - (empty - before[1]);
        share.push(100.0 * added / start.elapsed().as_secs_f64());
    }
    report.limited("1,000 known containers: added memory", "MB", 5.0, added);
    report.limited("1,000 known containers: added CPU, nothing happens", "% of a core", 0.02, share);
}
