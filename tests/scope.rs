//! Scope on real processes: what is selected shows with its labels, what is not does not, the reason is told,
//! and a change while the probe runs costs no count.

use gopher_e2e::process::{Background, command};
use gopher_e2e::{Daemon, Scrape, Setup, eventually};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;

/// A process that this test owns; `name` is its command line's first word, so that a test finds its own among
/// those of tests beside it.
fn child(setup: &Setup, name: &str) -> Background {
    let mut program = command("sleep");
    program.arg0(name).arg("600");
    Background::start(program, &setup.path("child.log"))
}

fn observe(daemon: &Daemon<'_>, selection: &Value) {
    let mut body =
        json!({"cmd": {"probe": ["proc"]}, "params": {"report_period": 5, "smaps": 0}, "state": "running"});
    for (key, value) in selection.as_object().expect("an object") {
        body[key] = value.clone();
    }
    daemon.put("baseinfo", &body.to_string());
}

const THREADS: &str = "gala_gopher_proc_num_threads";

fn shows(scrape: &Scrape, pid: u32) -> bool {
    scrape.value(THREADS, &[("tgid", &pid.to_string())]).is_some()
}

fn label(scrape: &Scrape, pid: u32, name: &str) -> Option<String> {
    let pid = pid.to_string();
    let sample = scrape.all(THREADS).find(|sample| sample.label("tgid") == Some(&pid));
    sample.expect("the process").label(name).map(str::to_owned)
}

/// Whether the daemon observes `pid`, and why.
fn verdict(daemon: &Daemon<'_>, pid: u32) -> (bool, String) {
    let page = daemon.rest().get(&format!("/api/v1/targets?feature=baseinfo&pid={pid}")).expect(200).json();
    assert_eq!(page["verdict"]["pid"], pid, "{page}");
    let reason = page["verdict"]["reason"].as_str().expect("a reason").to_owned();
    (page["verdict"]["observed"].as_bool().expect("a verdict"), reason)
}

#[test]
fn a_process_chosen_by_name_has_the_label_of_its_entry_and_the_others_do_not_show() {
    let setup = Setup::new();
    let daemon = setup.start();
    let [chosen, other] = ["e2e-by-name", "e2e-beside"].map(|name| child(&setup, name));
    observe(
        &daemon,
        &json!({"snoopers": {"proc_name": [
            {"comm": "^nosuch$"},
            {"comm": "^sleep$", "cmdline": "^e2e-by-name 6", "label": {"role": "a \"b\"\\\nü"}},
        ]}}),
    );
    let scrape =
        daemon.scrape_until("the chosen one", |scrape| shows(scrape, chosen.pid()).then(|| scrape.clone()));
    assert_eq!(scrape.all(THREADS).count(), 1, "nothing else is in scope");
    assert_eq!(label(&scrape, chosen.pid(), "role").as_deref(), Some("a \"b\"\\\nü"));
    assert_eq!(label(&scrape, chosen.pid(), "comm").as_deref(), Some("sleep"));

    let (observed, why) = verdict(&daemon, chosen.pid());
    assert!(observed && why.contains("proc_name[1]") && why.contains("/^e2e-by-name 6/"), "{why}");
    let (observed, why) = verdict(&daemon, other.pid());
    assert!(!observed && why.contains("proc_name[0]") && why.contains("/^nosuch$/"), "{why}");
    let (observed, why) = verdict(&daemon, 4_194_303);
    assert!(!observed && why.contains("4194303"), "{why}");
    let list = daemon.rest().get("/api/v1/targets?feature=baseinfo").expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["items"][0]["pid"], chosen.pid());
    assert_eq!(list["items"][0]["selector"], "proc_name[1] (comm /^sleep$/, cmdline /^e2e-by-name 6/)");

    // A process that begins later is found without being asked for again, and one that ends is let go.
    let later = child(&setup, "e2e-by-name");
    eventually("the later one to be a target", || verdict(&daemon, later.pid()).0.then_some(()));
    let pid = chosen.pid();
    chosen.kill();
    eventually("the ended one to be no target", || (!verdict(&daemon, pid).0).then_some(()));
    daemon.scrape_until("the later one instead of the ended one", |scrape| {
        (shows(scrape, later.pid()) && !shows(scrape, pid)).then_some(())
    });
}

#[test]
fn a_pid_is_that_process_and_not_its_children() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut program = command("sh");
    program.args(["-c", "sleep 600 & wait"]);
    program.process_group(0);
    let parent = Background::start(program, &setup.path("child.log"));
    let kid = eventually("its child", || {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", parent.pid())).ok()?;
        list.split_whitespace().next()?.parse::<u32>().ok()
    });
    observe(&daemon, &json!({"snoopers": {"proc_id": [parent.pid()]}}));
    let scrape =
        daemon.scrape_until("the parent", |scrape| shows(scrape, parent.pid()).then(|| scrape.clone()));
    assert!(!shows(&scrape, kid));
    assert!(verdict(&daemon, parent.pid()).1.contains("proc_id[0]"));
    assert!(!verdict(&daemon, kid).0);
    let group = i32::try_from(parent.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
        .expect("the group of this test");
}

#[test]
fn a_blacklist_shows_everything_but_its_matches() {
    let setup = Setup::new();
    let daemon = setup.start();
    let [hidden, shown] = ["e2e-hidden", "e2e-shown"].map(|name| child(&setup, name));
    observe(&daemon, &json!({"blacklist": {"proc_name": [{"cmdline": "^e2e-hidden"}]}}));
    let scrape =
        daemon.scrape_until("the others", |scrape| shows(scrape, shown.pid()).then(|| scrape.clone()));
    assert!(!shows(&scrape, hidden.pid()));
    assert!(shows(&scrape, std::process::id()), "this test itself is on the host too");
    let (observed, why) = verdict(&daemon, hidden.pid());
    assert!(!observed && why.contains("blacklist") && why.contains("/^e2e-hidden/"), "{why}");
    assert!(verdict(&daemon, shown.pid()).0);
}

#[test]
fn a_new_scope_while_running_keeps_the_counts_and_shows_at_once() {
    let setup = Setup::new();
    let daemon = setup.start();
    let [first, second] = ["e2e-first", "e2e-second"].map(|name| child(&setup, name));
    let faults = |scrape: &Scrape, pid: u32| {
        scrape.value("gala_gopher_proc_minor_pagefault_count", &[("tgid", &pid.to_string())])
    };
    observe(&daemon, &json!({"snoopers": {"proc_id": [first.pid()]}}));
    let before = daemon.scrape_until("the first one", |scrape| faults(scrape, first.pid()));
    let since = daemon.probe("baseinfo")["status"]["since"].clone();
    daemon.put("baseinfo", &json!({"snoopers": {"proc_id": [first.pid(), second.pid()]}}).to_string());
    // In no scrape on the way does the count of the one that stays go back or vanish.
    daemon.scrape_until("the second one too", |scrape| {
        let now = faults(scrape, first.pid());
        assert!(now.is_some_and(|now| now >= before), "{before} became {now:?}");
        faults(scrape, second.pid())
    });
    assert_eq!(daemon.probe("baseinfo")["status"]["since"], since, "the probe was not restarted");
    daemon.put("baseinfo", &json!({"snoopers": {"proc_id": [second.pid()]}}).to_string());
    daemon.scrape_until("the second one alone", |scrape| {
        let stays = faults(scrape, second.pid());
        assert!(stays.is_some());
        faults(scrape, first.pid()).is_none().then_some(())
    });
}

#[test]
fn labels_are_set_changed_and_cleared_while_the_probe_runs() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":600},"state":"running"}"#);
    let total = "gala_gopher_mem_total_kB";
    let task = |scrape: &Scrape| {
        let mut samples = scrape.all(total);
        let sample = samples.next().expect("the memory never goes");
        assert!(samples.next().is_none(), "one series, not one a label: {:?}", scrape.under(total));
        sample.label("task").map(str::to_owned)
    };
    daemon.scrape_until("memory", |scrape| scrape.value(total, &[]));
    for value in ["plain", "q\"uote", "back\\slash", "new\nline", "\\n \\\" {}=,", "ünïcode 漢字 🦀", ""]
    {
        let body = json!({"snoopers": {"custom_labels": {"task": value}}}).to_string();
        daemon.put("baseinfo", &body);
        // At once, though the next report is ten minutes away.
        let shown = daemon.scrape_until("the new label", |scrape| {
            let now = task(scrape);
            (now.as_deref() == Some(value) || (value.is_empty() && now.is_none())).then_some(now)
        });
        let document = daemon.rest().get("/baseinfo").expect(200).json();
        assert_eq!(document["snoopers"]["custom_labels"]["task"], value, "{shown:?}");
    }
    daemon.put("baseinfo", r#"{"snoopers":{"custom_labels":{}}}"#);
    daemon.scrape_until("no label", |scrape| task(scrape).is_none().then_some(()));
}
