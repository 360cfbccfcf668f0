//! Containers and pods in scope and labels, and what `con` says of them: without a container runtime, in cgroups
//! whose paths are those of containers.

use gopher_e2e::cgroup::{Cgroups, container_id};
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Daemon, Scrape, Setup, eventually};
use serde_json::{Value, json};
use std::fs;

/// A process that this test owns.
fn child(setup: &Setup) -> Background {
    let mut program = command("sleep");
    program.arg("600");
    Background::start(program, &setup.path("child.log"))
}

fn body(probe: &str, selection: &Value) -> String {
    let mut body =
        json!({"cmd": {"probe": [probe]}, "params": {"report_period": 5, "smaps": 0}, "state": "running"});
    for (key, value) in selection.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body.to_string()
}

const THREADS: &str = "gala_gopher_proc_num_threads";
const WRITE_RATE: &str = "gala_gopher_container_write_rate";

fn shows(scrape: &Scrape, pid: u32) -> bool {
    scrape.value(THREADS, &[("tgid", &pid.to_string())]).is_some()
}

fn label(scrape: &Scrape, pid: u32, name: &str) -> Option<String> {
    let pid = pid.to_string();
    let sample = scrape.all(THREADS).find(|sample| sample.label("tgid") == Some(&pid));
    sample.expect("the process").label(name).map(str::to_owned)
}

/// The page of targets, with the verdict about `pid`.
fn targets(daemon: &Daemon<'_>, pid: u32) -> Value {
    daemon.rest().get(&format!("/api/v1/targets?feature=baseinfo&pid={pid}")).expect(200).json()
}

fn reason(page: &Value) -> &str {
    page["verdict"]["reason"].as_str().expect("a reason")
}

#[test]
fn a_container_that_begins_after_the_request_shows_with_its_label_and_goes_with_its_processes() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let [outer, inner] = [container_id(), container_id()];
    let [first, nested, outside] = [child(&setup), child(&setup), child(&setup)];
    let selection = json!({"snoopers": {"container_id": [outer]}});
    let answer = daemon.rest().put("/baseinfo", &body("proc", &selection)).expect(200).json();
    assert_eq!(answer.get("warnings"), None, "{answer}");
    let page = targets(&daemon, first.pid());
    assert_eq!(
        (&page["items"], &page["containers"]),
        (&json!([]), &json!([])),
        "nothing is there yet: {page}"
    );
    assert!(reason(&page).contains("the process is in no container"), "{page}");

    cgroups.put(first.pid(), &format!("docker/{outer}"));
    cgroups.put(nested.pid(), &format!("docker/{outer}/docker/{inner}"));
    let both = |scrape: &Scrape| shows(scrape, first.pid()) && shows(scrape, nested.pid());
    let scrape = daemon.scrape_until("both processes", |scrape| both(scrape).then(|| scrape.clone()));
    assert_eq!(scrape.all(THREADS).count(), 2, "nothing else is in scope");
    assert!(!shows(&scrape, outside.pid()));
    // Each has the label of the innermost container, and none that nobody knows.
    for (pid, id) in [(first.pid(), &outer), (nested.pid(), &inner)] {
        assert_eq!(label(&scrape, pid, "container_id").as_deref(), id.get(..12), "{pid}");
        for unknown in ["container_name", "container_image", "pod_id", "pod", "pod_namespace"] {
            assert_eq!(label(&scrape, pid, unknown), None, "{unknown}");
        }
    }
    let count = |kind: &str| scrape.value("gopherd_scope_targets", &[("probe", "baseinfo"), ("kind", kind)]);
    assert_eq!((count("process"), count("container")), (Some(2.0), Some(2.0)));
    let found = daemon.probe("baseinfo")["status"]["targets"].clone();
    assert_eq!(found, json!({"processes": 2, "containers": 2}));
    let page = targets(&daemon, nested.pid());
    let short = outer.get(..12).expect("long enough");
    assert_eq!(page["items"][0]["selector"], format!("container_id[0] ({short})"), "{page}");
    assert_eq!(reason(&page), format!("observed: container_id[0] is container {short}"));
    let listed = page["containers"].as_array().expect("a list");
    assert!(listed.iter().any(|con| con["container_id"] == short && con["processes"] == 1), "{page}");
    let page = targets(&daemon, outside.pid());
    assert!(
        reason(&page).starts_with("not observed: 1 container_id: the process is in no container"),
        "{page}"
    );

    // One ends, the other leaves.
    let ended = nested.pid();
    nested.kill();
    daemon.scrape_until("the first one alone", |scrape| (!shows(scrape, ended)).then_some(()));
    cgroups.release(first.pid());
    daemon.scrape_until("nothing", |scrape| (!shows(scrape, first.pid())).then_some(()));
    assert_eq!(targets(&daemon, first.pid())["containers"], json!([]));
}

#[test]
fn a_process_chosen_by_itself_has_the_label_of_its_container_too() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let id = container_id();
    let [inside, outside] = [child(&setup), child(&setup)];
    cgroups.put(inside.pid(), &format!("docker/{id}"));
    daemon.put("baseinfo", &body("proc", &json!({"snoopers": {"proc_id": [inside.pid(), outside.pid()]}})));
    let scrape = daemon.scrape_until("both", |scrape| {
        (shows(scrape, inside.pid()) && shows(scrape, outside.pid())).then(|| scrape.clone())
    });
    assert_eq!(label(&scrape, inside.pid(), "container_id").as_deref(), id.get(..12));
    assert_eq!(label(&scrape, outside.pid(), "container_id"), None);
    let page = targets(&daemon, inside.pid());
    assert_eq!(page["containers"], json!([]), "no selector chose a container: {page}");
    let items = page["items"].as_array().expect("a list");
    let item = items.iter().find(|item| item["pid"] == inside.pid()).expect("listed");
    assert_eq!(item["container_id"].as_str(), id.get(..12));
    assert!(items.iter().any(|item| item["pid"] == outside.pid() && item.get("container_id").is_none()));
}

#[test]
fn a_blacklist_leaves_out_a_container_with_all_that_runs_inside_it() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let [outer, inner, other] = [container_id(), container_id(), container_id()];
    let [first, nested, beside, outside] = [child(&setup), child(&setup), child(&setup), child(&setup)];
    cgroups.put(first.pid(), &format!("docker/{outer}"));
    cgroups.put(nested.pid(), &format!("docker/{outer}/docker/{inner}"));
    cgroups.put(beside.pid(), &format!("docker/{other}"));
    daemon.put("baseinfo", &body("proc", &json!({"blacklist": {"container_id": [outer]}})));
    let scrape =
        daemon.scrape_until("the others", |scrape| shows(scrape, beside.pid()).then(|| scrape.clone()));
    assert!(shows(&scrape, outside.pid()) && !shows(&scrape, first.pid()) && !shows(&scrape, nested.pid()));
    assert_eq!(label(&scrape, beside.pid(), "container_id").as_deref(), other.get(..12));
    let page = targets(&daemon, nested.pid());
    assert_eq!(page["verdict"]["observed"], false);
    assert!(reason(&page).contains("by the blacklist: container_id[0] is container"), "{page}");
}

#[test]
fn a_pod_is_all_of_its_containers() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let uid = format!("0de8c1f4-4c2f-4f0c-9d2b-{:012x}", std::process::id());
    let [one, two, other] = [container_id(), container_id(), container_id()];
    let [first, second, beside] = [child(&setup), child(&setup), child(&setup)];
    cgroups.put(first.pid(), &format!("kubepods/burstable/pod{uid}/{one}"));
    cgroups.put(second.pid(), &format!("kubepods/burstable/pod{uid}/{two}"));
    cgroups.put(beside.pid(), &format!("kubepods/pod0de8c1f4-4c2f-4f0c-9d2b-ffffffffffff/{other}"));
    daemon.put("baseinfo", &body("proc", &json!({"snoopers": {"pod_id": [uid.replace('-', "")]}})));
    let both = |scrape: &Scrape| shows(scrape, first.pid()) && shows(scrape, second.pid());
    let scrape = daemon.scrape_until("both", |scrape| both(scrape).then(|| scrape.clone()));
    assert_eq!(scrape.all(THREADS).count(), 2);
    for (pid, id) in [(first.pid(), &one), (second.pid(), &two)] {
        assert_eq!(label(&scrape, pid, "container_id").as_deref(), id.get(..12));
        assert_eq!(label(&scrape, pid, "pod_id").as_deref(), Some(uid.as_str()));
        assert_eq!(label(&scrape, pid, "pod"), None, "nobody told its name");
    }
    assert!(
        reason(&targets(&daemon, first.pid())).starts_with("observed: pod_id[0] is the pod of container")
    );
}

#[test]
fn the_growth_of_a_directory_is_told_for_each_container_in_scope() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let [chosen, other] = [container_id(), container_id()];
    let [inside, beside] = [child(&setup), child(&setup)];
    cgroups.put(inside.pid(), &format!("docker/{chosen}"));
    cgroups.put(beside.pid(), &format!("docker/{other}"));
    // These processes have the root of the host, so its paths are theirs.
    let data = setup.path("data");
    fs::create_dir(&data).expect("a folder");
    let dir = data.to_str().expect("text").to_owned();

    // Without a scope it is idle and says so, and without a directory too.
    let answer = daemon.rest().put("/baseinfo", &body("con", &json!({}))).expect(200).json();
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("idle under an empty scope: con") && warnings.contains("elf_path"), "{answer}");
    let mut wish = json!({"snoopers": {"container_id": [chosen]}});
    wish["params"] = json!({"elf_path": dir, "report_period": 5});
    daemon.put("baseinfo", &wish.to_string());
    let rate = |scrape: &Scrape, id: &str| {
        scrape.value(WRITE_RATE, &[("container_id", id.get(..12).expect("long enough")), ("dir", &dir)])
    };
    assert_eq!(daemon.scrape_until("a rate", |scrape| rate(scrape, &chosen)), 0.0);
    fs::write(data.join("file"), vec![0; 10_000_000]).expect("written");
    let grown = daemon.scrape_until("growth", |scrape| rate(scrape, &chosen).filter(|rate| *rate > 0.0));
    // Ten million bytes in one period, which a busy machine may make longer.
    assert!((1e5..=1.1e7).contains(&grown), "{grown}");
    daemon.scrape_until("no growth", |scrape| rate(scrape, &chosen).filter(|rate| *rate == 0.0));
    assert!(rate(&daemon.scrape("/metrics"), &other).is_none());
    // What is removed is not written.
    fs::remove_file(data.join("file")).expect("removed");

    // Every container of the host.
    daemon.put("baseinfo", r#"{"blacklist":{}}"#);
    daemon.scrape_until("the other container", |scrape| {
        assert!(scrape.all(WRITE_RATE).all(|sample| sample.value >= 0.0), "{:?}", scrape.under(WRITE_RATE));
        rate(scrape, &other).and(rate(scrape, &chosen))
    });
    // Its last process gone, a container has no rate.
    beside.kill();
    daemon.scrape_until("the ended one to go", |scrape| rate(scrape, &other).is_none().then_some(()));
    eventually("the thread to be gone with the probe", || {
        daemon.put("baseinfo", r#"{"state":"stopped"}"#);
        let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).ok()?;
        let names = threads.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.into_iter().all(|name| name.trim() != "baseinfo-con").then_some(())
    });
}
