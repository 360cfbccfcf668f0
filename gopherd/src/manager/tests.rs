//! The manager against fake probes on real threads: each command's answer and the state that it leaves, and a
//! model that says in which state any order of commands ends.

use super::{Answer, Change, Handle, Item, Limits, Origin, StateName, World, manager};
use crate::access::audit::Actor;
use crate::feature::{Edit, PidLookup, ProblemKind, Selection, Wanted};
use probe_core::{
    Batch, Descriptor, Env, Order, Outcome, Poll, Polled, ProbeError, ProcKey, Resolved, ScopeUse, SubProbe,
    Tick, params,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// What a fake probe does is said by its `drops_thr`.
const FAIL_AT_START: i64 = 11;
const PANIC_AT_START: i64 = 12;
const NEEDS_BTF: i64 = 13;

struct Fake;

impl Poll for Fake {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        let mut outcome = Outcome::all(&order.sub_probes);
        match order.params.int(&params::DROPS_THR) {
            FAIL_AT_START => return Err(ProbeError::failed("attaching", "no luck")),
            PANIC_AT_START => panic!("told to"),
            NEEDS_BTF => outcome.miss("first", "kernel BTF"),
            _ => {}
        }
        outcome.miss("broken", "a kernel that has it");
        Ok(outcome)
    }

    fn poll(&mut self, _: Tick, _: &mut Batch) -> Result<(), ProbeError> {
        Ok(())
    }
}

/// Is attached and then panics at its first tick.
struct PanicsLater;

impl Poll for PanicsLater {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        Ok(Outcome::all(&order.sub_probes))
    }

    fn poll(&mut self, _: Tick, _: &mut Batch) -> Result<(), ProbeError> {
        panic!("told to, later")
    }
}

/// Is not attached before the test lets it go.
struct Hangs;

static LET_GO: Barrier = Barrier::new(2);

impl Poll for Hangs {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        LET_GO.wait();
        Ok(Outcome::all(&order.sub_probes))
    }

    fn poll(&mut self, _: Tick, _: &mut Batch) -> Result<(), ProbeError> {
        Ok(())
    }
}

const fn sub(name: &'static str, default: bool) -> SubProbe {
    SubProbe { default, ..SubProbe::new(name, "A part.") }
}

const SUBS: &[SubProbe] = &[sub("first", true), sub("second", true), sub("broken", false)];

static PARAMS: &[&probe_core::ParamSpec] = &[&params::REPORT_PERIOD, &params::DROPS_THR];

const fn fake(name: &'static str, build: Option<probe_core::Build>) -> Descriptor {
    Descriptor {
        name,
        summary: "A fake.",
        sub_probes: SUBS,
        scope: ScopeUse::Processes,
        params: PARAMS,
        tables: &[],
        triggers: &[],
        needs: &[],
        build,
    }
}

static A: Descriptor = fake("a", Some(|_| Box::new(Polled(Fake))));
static B: Descriptor = fake("b", Some(|_| Box::new(Polled(Fake))));
static LATER: Descriptor = fake("later", Some(|_| Box::new(Polled(PanicsLater))));
static HANGS: Descriptor = fake("hangs", Some(|_| Box::new(Polled(Hangs))));
static PLANNED: Descriptor = fake("planned", None);

/// Notes what the manager asks for.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<BTreeMap<&'static str, Vec<&'static str>>>>);

impl Notes {
    fn note(&self, feature: &'static str, what: &'static str) {
        self.0.lock().expect("notes").entry(feature).or_default().push(what);
    }

    fn of(&self, feature: &str) -> Vec<&'static str> {
        self.0.lock().expect("notes").get(feature).cloned().unwrap_or_default()
    }
}

impl PidLookup for Notes {
    fn process(&self, _: u32) -> Option<ProcKey> {
        None
    }
}

impl World for Notes {
    fn watch(&self, _: &'static str, _: &Selection, _: bool) -> Resolved {
        Resolved::default()
    }
    fn unwatch(&self, feature: &'static str) {
        self.note(feature, "unwatch");
    }
    fn open(&self, feature: &'static str, _: u64) {
        self.note(feature, "open");
    }
    fn labels(&self, _: &'static str, _: &[(String, String)], _: &[String]) {}
    fn switch_off(&self, _: &'static str, _: Vec<&'static str>) {}
    fn allow(&self, _: &'static str, _: Option<u64>) {}
    fn close(&self, feature: &'static str) {
        self.note(feature, "close");
    }
}

fn start_manager() -> (Handle, Notes) {
    start_manager_with(Limits::default())
}

fn start_manager_with(limits: Limits) -> (Handle, Notes) {
    let notes = Notes::default();
    let (outlet, deliveries) = std::sync::mpsc::sync_channel(64);
    std::thread::Builder::new()
        .name("drain".into())
        .spawn(move || while deliveries.recv().is_ok() {})
        .expect("a thread");
    let features: &[&'static Descriptor] = &[&A, &B, &LATER, &HANGS, &PLANNED];
    let (handle, task) = manager(features, Env::default(), outlet, Box::new(notes.clone()), limits);
    tokio::spawn(task);
    (handle, notes)
}

fn request(items: &[(&'static str, &str)]) -> Change {
    let items = items.iter().map(|(feature, json)| Item { feature, edit: edit(json), if_match: None });
    Change { items: items.collect(), dry_run: false, origin: Origin::Request, actor: Actor::StartSet }
}

/// The compatible door's edit for `json`.
fn edit(json: &str) -> Edit {
    Edit::compat_text(json.as_bytes()).expect("the test's JSON is well-formed")
}

async fn put(handle: &Handle, feature: &'static str, json: &str) -> Answer {
    handle.change(request(&[(feature, json)])).await
}

fn state(handle: &Handle, feature: &str) -> StateName {
    handle.views().get(feature).expect("a feature").state
}

/// Waits until `feature` is in `wanted`; the views are published by the manager's task.
async fn until(handle: &Handle, feature: &str, wanted: StateName) {
    while state(handle, feature) != wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_runs_until_it_is_asked_for_and_stop_takes_everything_back() {
    let (handle, notes) = start_manager();
    assert!(handle.views().all().all(|v| matches!(v.state, StateName::Stopped | StateName::Unavailable)));
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    assert_eq!(state(&handle, "a"), StateName::Running);
    put(&handle, "a", r#"{"state":"stopped"}"#).await.expect("it stops");
    assert_eq!(state(&handle, "a"), StateName::Stopped);
    assert_eq!(notes.of("a"), ["open", "close", "unwatch"]);
}

#[tokio::test]
async fn a_start_that_fails_changes_nothing_and_says_why() {
    let (handle, _) = start_manager();
    for (code, text) in [
        (FAIL_AT_START, "failed to start probe: attaching: no luck"),
        (PANIC_AT_START, "failed to start probe: panicked: told to"),
    ] {
        let body = format!(r#"{{"params":{{"drops_thr":{code}}},"state":"running"}}"#);
        let faults = put(&handle, "a", &body).await.expect_err("it cannot start");
        assert_eq!(faults[0].problem.message, text);
        let view = handle.views().get("a").expect("a feature");
        assert_eq!((view.generation, view.state, view.config.clone()), (0, StateName::Stopped, None));
    }
}

#[tokio::test]
async fn a_sub_probe_that_cannot_run_is_a_warning_and_none_that_can_a_refusal() {
    let (handle, _) = start_manager();
    let changed = put(&handle, "a", r#"{"cmd":{"probe":["first","broken"]},"state":"running"}"#)
        .await
        .expect("one of them runs");
    assert_eq!(changed[0].warnings, ["broken: a kernel that has it"]);
    assert_eq!(state(&handle, "a"), StateName::Degraded);

    let faults = put(&handle, "a", r#"{"cmd":{"probe":["broken"]}}"#).await.expect_err("nothing would run");
    let missing = vec!["broken: a kernel that has it".to_owned()];
    assert_eq!(faults[0].problem.kind, ProblemKind::Unsupported(missing));
    let view = handle.views().get("a").expect("a feature");
    assert_eq!(view.generation, 1, "the refused change left no trace");
    until(&handle, "a", StateName::Degraded).await;
}

#[tokio::test]
async fn a_panic_later_is_failed_with_a_retry_and_leaves_the_others_alone() {
    let (handle, notes) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    put(&handle, "later", r#"{"state":"running"}"#).await.expect("it is attached");
    until(&handle, "later", StateName::Failed).await;
    let view = handle.views().get("later").expect("a feature");
    assert_eq!(view.error.as_deref(), Some("panicked: told to, later"));
    assert_eq!((view.attempts, view.retry_at.is_some()), (1, true));
    assert_eq!(notes.of("later"), ["open", "close", "unwatch"], "its series are gone");
    assert_eq!(state(&handle, "a"), StateName::Running);
    put(&handle, "later", r#"{"state":"stopped"}"#).await.expect("a failed probe can be stopped");
    assert_eq!(state(&handle, "later"), StateName::Stopped);
}

#[tokio::test]
async fn several_features_change_together_or_not_at_all() {
    let (handle, _) = start_manager();
    let refused = handle
        .change(request(&[
            ("a", r#"{"state":"running"}"#),
            ("b", r#"{"params":{"drops_thr":11},"state":"running"}"#),
        ]))
        .await
        .expect_err("b cannot start");
    assert_eq!(refused[0].feature, "b");
    until(&handle, "a", StateName::Stopped).await;
    assert_eq!(handle.views().get("a").expect("a feature").generation, 0);

    let accepted = handle
        .change(request(&[("a", r#"{"state":"running"}"#), ("b", r#"{"state":"running"}"#)]))
        .await
        .expect("both run");
    assert_eq!(accepted.len(), 2);
    assert_eq!((state(&handle, "a"), state(&handle, "b")), (StateName::Running, StateName::Running));
}

#[tokio::test]
async fn a_dry_run_finds_the_faults_and_changes_nothing() {
    let (handle, _) = start_manager();
    let mut change = request(&[("a", r#"{"state":"running"}"#)]);
    change.dry_run = true;
    handle.change(change).await.expect("it would be accepted");
    assert_eq!(state(&handle, "a"), StateName::Stopped);
}

async fn dry(handle: &Handle, items: &[(&'static str, &str)]) -> Answer {
    let mut change = request(items);
    change.dry_run = true;
    handle.change(change).await
}

#[tokio::test]
async fn a_dry_run_rehearses_what_it_would_start_and_lets_go_of_it() {
    let (handle, notes) = start_manager();
    let with = |drops: i64| format!(r#"{{"params":{{"drops_thr":{drops}}},"state":"running"}}"#);
    for (drops, words) in [(FAIL_AT_START, "no luck"), (PANIC_AT_START, "told to")] {
        let items = [("a", &*with(drops)), ("b", r#"{"state":"running"}"#)];
        let faults = dry(&handle, &items).await.expect_err("a cannot start");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].feature, "a");
        assert!(faults[0].problem.message.contains(words), "{faults:?}");
        assert_eq!((state(&handle, "a"), state(&handle, "b")), (StateName::Stopped, StateName::Stopped));
    }
    // One of two sub-probes runs.
    let changed = dry(&handle, &[("a", &*with(NEEDS_BTF))]).await.expect("a part of it runs");
    assert_eq!(changed[0].warnings, ["first: kernel BTF"]);
    let broken = r#"{"cmd":{"probe":["broken"]},"state":"running"}"#;
    let faults = dry(&handle, &[("a", broken)]).await.expect_err("nothing of it runs");
    assert!(matches!(faults[0].problem.kind, ProblemKind::Unsupported(_)), "{faults:?}");
    assert_eq!(notes.of("a"), Vec::<&str>::new(), "nothing of it reached the rest of the daemon");

    // What is not started is not rehearsed.
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("running");
    for config in [r#"{"params":{"drops_thr":11}}"#, r#"{"params":{"drops_thr":11},"state":"stopped"}"#] {
        dry(&handle, &[("a", config)]).await.expect("nothing is started");
    }
}

#[tokio::test]
async fn a_change_waits_for_the_rehearsal_of_its_feature() {
    let (handle, _) = start_manager();
    let running = r#"{"state":"running"}"#;
    let (both, one) = ([("a", running), ("b", running)], [("a", running)]);
    let (first, second, third) =
        tokio::join!(dry(&handle, &both), put(&handle, "a", running), dry(&handle, &one));
    assert!(first.is_ok() && second.is_ok() && third.is_ok(), "{first:?} {second:?} {third:?}");
    assert_eq!((state(&handle, "a"), state(&handle, "b")), (StateName::Running, StateName::Stopped));
}

#[tokio::test]
async fn a_rehearsal_that_does_not_end_is_answered_at_the_deadline_and_holds_nobody_up() {
    let limits = Limits { start_deadline: Duration::from_millis(1), ..Limits::default() };
    let (handle, _) = start_manager_with(limits);
    let faults = dry(&handle, &[("hangs", r#"{"state":"running"}"#)]).await.expect_err("it hangs");
    assert_eq!(faults[0].problem.kind, ProblemKind::Unavailable, "{faults:?}");
    put(&handle, "hangs", r#"{"params":{"report_period":7}}"#).await.expect("nobody holds it");
    LET_GO.wait();
}

#[tokio::test]
async fn a_stale_generation_is_refused_with_the_present_one() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"params":{"report_period":7}}"#).await.expect("accepted");
    let mut change = request(&[("a", r#"{"params":{"report_period":8}}"#)]);
    change.items[0].if_match = Some(0);
    let faults = handle.change(change).await.expect_err("stale");
    assert_eq!(faults[0].problem.kind, ProblemKind::Stale(1));
}

#[tokio::test]
async fn what_is_not_built_is_refused_by_request_and_kept_from_the_start_file() {
    let (handle, _) = start_manager();
    let faults = put(&handle, "planned", r#"{"state":"running"}"#).await.expect_err("not built");
    assert_eq!(faults[0].problem.kind, ProblemKind::NotBuilt);
    let mut change = request(&[("planned", r#"{"state":"running"}"#)]);
    change.origin = Origin::Init;
    handle.change(change).await.expect("kept");
    let view = handle.views().get("planned").expect("a feature");
    assert_eq!(view.state, StateName::Unavailable);
    assert_eq!(view.config.as_ref().map(|c| c.state), Some(Wanted::Running));
}

#[tokio::test]
async fn a_wish_of_the_start_file_that_fails_is_kept_and_tried_again() {
    let (handle, _) = start_manager();
    let mut change = request(&[("a", r#"{"params":{"drops_thr":11},"state":"running"}"#)]);
    change.origin = Origin::Init;
    let changed = handle.change(change).await.expect("kept");
    assert_eq!(changed[0].warnings, ["failed to start probe: attaching: no luck"]);
    let view = handle.views().get("a").expect("a feature");
    assert_eq!((view.state, view.attempts), (StateName::Failed, 1));
    assert!(view.retry_at.is_some());
}

#[tokio::test]
async fn a_running_probe_that_a_change_breaks_is_started_again_as_it_was() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"cmd":{"probe":["first"]},"state":"running"}"#).await.expect("it runs");
    let body = r#"{"cmd":{"probe":["second"]},"params":{"drops_thr":11}}"#;
    let faults = put(&handle, "a", body).await.expect_err("it ends instead of answering");
    assert_eq!(faults[0].problem.message, "failed to start probe: attaching: no luck");
    until(&handle, "a", StateName::Running).await;
    let view = handle.views().get("a").expect("a feature");
    assert_eq!(view.generation, 1);
    assert_eq!(view.sub_probes.iter().map(|s| s.name).collect::<Vec<_>>(), ["first"]);
}

#[tokio::test]
async fn a_shutdown_ends_every_thread_and_refuses_later_changes() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    assert_eq!(handle.shutdown(Duration::from_secs(60)).await, Vec::<&str>::new());
    let faults = put(&handle, "a", r#"{"state":"running"}"#).await.expect_err("too late");
    assert_eq!(faults[0].problem.kind, ProblemKind::Unavailable);
}

/// One command of the model test.
#[derive(Clone, Debug)]
enum Command {
    Start,
    Stop,
    Threshold(i64),
    SubProbes(&'static [&'static str]),
    Forget,
}

/// What the model knows of a feature.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    running: bool,
    drops_thr: i64,
    sub_probes: Vec<&'static str>,
}

impl Model {
    /// The model's state after `command`, or `None` if it is refused.
    fn after(&self, command: &Command) -> Option<Self> {
        let mut next = self.clone();
        match command {
            Command::Start => next.running = true,
            Command::Stop => next.running = false,
            Command::Threshold(v) => next.drops_thr = *v,
            Command::SubProbes(names) => next.sub_probes = names.to_vec(),
            Command::Forget => return Some(Self::default()),
        }
        let starts = next.running && !self.running;
        let fails = starts && next.drops_thr == FAIL_AT_START;
        let none_runs = next.sub_probes == ["broken"];
        (!next.running || !(fails || none_runs)).then_some(next)
    }

    fn state(&self) -> StateName {
        match (self.running, self.sub_probes.contains(&"broken")) {
            (false, _) => StateName::Stopped,
            (true, false) => StateName::Running,
            (true, true) => StateName::Degraded,
        }
    }
}

fn commands() -> impl Strategy<Value = Command> {
    // A threshold that fails is only met at a start: what it does to a running probe is the test above.
    prop_oneof![
        3 => Just(Command::Start),
        3 => Just(Command::Stop),
        2 => Just(Command::Threshold(0)),
        2 => Just(Command::Threshold(20)),
        1 => Just(Command::SubProbes(&["first"])),
        1 => Just(Command::SubProbes(&["second", "broken"])),
        1 => Just(Command::SubProbes(&["broken"])),
        1 => Just(Command::SubProbes(&[])),
        1 => Just(Command::Forget),
    ]
}

impl Command {
    fn edit(&self) -> Edit {
        match self {
            Self::Start => edit(r#"{"state":"running"}"#),
            Self::Stop => edit(r#"{"state":"stopped"}"#),
            Self::Threshold(v) => edit(&format!(r#"{{"params":{{"drops_thr":{v}}}}}"#)),
            Self::SubProbes(names) => edit(&format!(r#"{{"cmd":{{"probe":{names:?}}}}}"#)),
            Self::Forget => Edit::Forget,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_commands_ends_in_the_state_that_the_model_says(
        sequence in prop::collection::vec((any::<bool>(), commands()), 1..30)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (handle, _) = start_manager();
            let mut models: BTreeMap<&'static str, Model> = BTreeMap::new();
            for (first, command) in sequence {
                let feature = if first { "a" } else { "b" };
                let item = Item { feature, edit: command.edit(), if_match: None };
                let change = Change { items: vec![item], dry_run: false, origin: Origin::Request, actor: Actor::StartSet };
                let answer = handle.change(change).await;
                let model = models.entry(feature).or_default();
                match model.after(&command) {
                    Some(next) => {
                        prop_assert!(answer.is_ok(), "{:?} refused: {:?}", command, answer);
                        *model = next;
                    }
                    None => prop_assert!(answer.is_err(), "{:?} accepted", command),
                }
            }
            for (feature, model) in models {
                until(&handle, feature, model.state()).await;
                let view = handle.views().get(feature).expect("a feature");
                let drops_thr = view.config.as_ref().map_or(0, |c| c.params.int(&params::DROPS_THR));
                prop_assert_eq!(drops_thr, model.drops_thr);
            }
            Ok(())
        })?;
    }
}

#[path = "restrain_tests.rs"]
mod restrain;
