//! A kill for want of memory, from the kernel to Kafka: who was killed, who wanted memory, and how much there was.

use gopher_e2e::kafka::shared;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Setup, eventually};
use std::fs;
use std::path::{Path, PathBuf};

const LIMIT: u64 = 48 << 20;

/// A cgroup with a memory limit, of v1 or v2, removed when it is dropped.
struct Small {
    dir: PathBuf,
    path: String,
}

impl Small {
    fn new() -> Self {
        let name = format!("gopherd-oom-{}", std::process::id());
        let root = |mount: &str| Path::new("/sys/fs/cgroup").join(mount);
        for (mount, limit) in [("memory", "memory.limit_in_bytes"), ("", "memory.max")] {
            let dir = root(mount).join(&name);
            if fs::create_dir(&dir).is_err() {
                continue;
            }
            if fs::write(dir.join(limit), LIMIT.to_string()).is_ok() {
                return Self { dir, path: format!("/{name}") };
            }
            drop(fs::remove_dir(&dir));
        }
        panic!("no cgroup with a memory limit can be made (run as root, with the controller memory)");
    }

    /// A shell in it.
    fn shell(&self, setup: &Setup, script: &str) -> Background {
        let mut program = command("sh");
        program.args(["-c", &format!("echo $$ >{}/cgroup.procs; {script}", self.dir.display())]);
        Background::start(program, &setup.path("shell.log"))
    }

    fn usage(&self) -> u64 {
        let text =
            ["memory.usage_in_bytes", "memory.current"].map(|name| fs::read_to_string(self.dir.join(name)));
        text.into_iter().flatten().next().and_then(|text| text.trim().parse().ok()).expect("usage")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        eventually("the cgroup to be empty", || fs::remove_dir(&self.dir).is_ok().then_some(()));
    }
}

#[test]
fn an_out_of_memory_kill_arrives_in_kafka_with_both_sides_and_what_memory_there_was() {
    let broker = shared();
    let setup = Setup::new()
        .section("event", "out_channel = \"kafka\"\nkafka_topic = \"oom\"")
        .section("kafka", &format!("kafka_broker = \"{}\"", broker.address()));
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["oom"]},"params":{"report_period":5,"report_event":1},"state":"running"}"#,
    );
    let small = Small::new();
    // Holds some megabytes and is the first to go when another one wants more than there is.
    let held = "x=aaaaaaaaaaaaaaaa; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do x=$x$x; done";
    let victim = small.shell(
        &setup,
        &format!("echo 1000 >/proc/self/oom_score_adj; {held}; while :; do /bin/sleep 1; done"),
    );
    eventually("the victim to hold memory", || (small.usage() > 4 << 20).then_some(()));
    let trigger = small.shell(&setup, "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
    let (victim_pid, trigger_pid) = (victim.pid().to_string(), trigger.pid().to_string());
    let event = eventually("the event in Kafka", || {
        broker.read("oom").into_iter().map(|read| read.document).find(|document| {
            let body = document["Body"].as_str().unwrap_or_default();
            body.contains(&format!("(pid {victim_pid},")) && body.contains(&format!("(pid {trigger_pid},"))
        })
    });
    assert_eq!(event["Resource"]["metric"], "gala_gopher_oom_kill_count", "{event}");
    assert_eq!(event["SeverityText"], "ERROR", "{event}");
    let body = event["Body"].as_str().expect("a text");
    assert_eq!(body.matches(&format!("cgroup {}", small.path)).count(), 2, "both are in it: {body}");
    assert!(body.contains(&format!("of {} kB", LIMIT >> 10)), "the limit: {body}");
    assert!(body.contains("kB available"), "the host's memory: {body}");
    trigger.kill();
    victim.kill();
}
