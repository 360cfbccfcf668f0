//! What is told of which readings, period by period.

use super::*;
use probe_core::{Close, Histogram, Occurrence, ParamValue, ProcKey, Row as _, ScopeUse, Severity, Text};

probe_core::table! {
    /// A file system.
    struct Fs = "df", entity "fs", sub_probe "" {
        keys { mount }
        labels { device }
        gauge used: Percent = "H.";
    }
}

probe_core::table! {
    /// A connection.
    struct Link = "link", entity "link", sub_probe "" {
        keys { tgid }
        labels { }
        counter drops: Count = "H.";
        counter oom: Count = "H.";
        histogram(&[10]) srtt: Microseconds = "H.";
    }
}

const fn trigger(table: &'static Table, metric: &'static str, when: When) -> Trigger {
    Trigger {
        table,
        metric,
        when,
        severity: Severity::Warn,
        text: Text { en: "{value}", zh: "{value}" },
        ip: "",
        device: "",
    }
}

static TRIGGERS: [Trigger; 5] = [
    trigger(Fs::TABLE, "used", When::Above { threshold: &params::RES_UPPER_THR, scale: 1.0 }),
    trigger(Link::TABLE, "drops", When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 }),
    trigger(Link::TABLE, "oom", When::Grew),
    trigger(Link::TABLE, "srtt_max", When::Above { threshold: &params::LATENCY_THR, scale: 0.001 }),
    trigger(Fs::TABLE, "broken", When::Told),
];

static PROBE: Descriptor = Descriptor {
    name: "probe",
    summary: "S.",
    sub_probes: &[],
    scope: ScopeUse::None,
    params: params::ALL,
    tables: &[Fs::TABLE, Link::TABLE],
    triggers: &TRIGGERS,
    needs: &[],
    build: None,
};

const TIMEOUT: Duration = Duration::from_secs(600);
const PROCESS: Subject = Subject::Process(ProcKey { tgid: 7, start_ticks: 1 });

/// An engine, its clock and what it told.
struct Driver {
    engine: Engine,
    params: Params,
    run: u64,
    now: Instant,
    counts: Counts,
    room: usize,
    events_per_s: Option<u64>,
}

impl Driver {
    fn new() -> Self {
        let mut params = Params::default();
        for (spec, value) in [
            (&params::REPORT_EVENT, 1),
            (&params::RES_UPPER_THR, 80),
            (&params::DROPS_THR, 10),
            (&params::LATENCY_THR, 20),
        ] {
            params.set(spec, ParamValue::Int(value));
        }
        let counts = Counts::default();
        let engine = Engine::new("m".into(), TIMEOUT, counts.clone());
        Self { engine, params, run: 1, now: Instant::now(), counts, room: usize::MAX, events_per_s: None }
    }

    fn set(&mut self, spec: &'static probe_core::ParamSpec, value: i64) {
        self.params.set(spec, ParamValue::Int(value));
    }

    /// Gives the engine a batch; what it told, one text an event.
    fn batch(&mut self, closing: bool, fill: impl FnOnce(&mut Batch)) -> Vec<String> {
        self.now += Duration::from_secs(60);
        let mut batch = Batch::new(SystemTime::UNIX_EPOCH);
        fill(&mut batch);
        batch.close = closing.then_some(Close { length: Duration::from_secs(60) });
        let with = Circumstances {
            descriptor: &PROBE,
            run: self.run,
            params: &self.params,
            events_per_s: self.events_per_s,
            now: self.now,
        };
        let (mut told, room) = (Vec::new(), self.room);
        self.engine.take(with, &batch, &mut |event| {
            if told.len() >= room {
                return false;
            }
            told.push(shown(&event));
            true
        });
        told
    }

    fn period(&mut self, fill: impl FnOnce(&mut Batch)) -> Vec<String> {
        self.batch(true, fill)
    }

    fn used(&mut self, used: f64) -> Vec<String> {
        self.period(|batch| fs(used).host(batch))
    }

    fn drops(&mut self, drops: u64) -> Vec<String> {
        self.period(|batch| batch.push(PROCESS, Baseline::FirstReading, link(drops)))
    }

    fn count(&self) -> super::super::FeatureCounts {
        self.counts.read().first().map(|(_, counts)| *counts).unwrap_or_default()
    }
}

fn fs(used: f64) -> Fs {
    Fs { mount: "/".into(), device: "sda".into(), used: Some(used) }
}

fn link(drops: u64) -> Link {
    Link { tgid: "7".into(), drops: Some(drops), ..Link::default() }
}

fn shown(event: &Event) -> String {
    let what = match event.what {
        What::Holds { value, threshold } => format!("{value}>{threshold}"),
        What::Ended => "ended".to_owned(),
        What::Told => "told".to_owned(),
    };
    let suppressed = if event.suppressed > 0 { format!(" +{}", event.suppressed) } else { String::new() };
    format!("{} {} {what}{suppressed}", event.entity_id, event.trigger.metric)
}

const NONE: [&str; 0] = [];

#[test]
fn a_level_above_its_threshold_is_told_and_its_end_after_two_calm_periods() {
    let mut driver = Driver::new();
    assert_eq!(driver.used(80.0), NONE, "not above");
    assert_eq!(driver.used(81.0), ["m_fs_: used 81>80"]);
    assert_eq!(driver.count().conditions, 1);
    assert_eq!(driver.used(76.0), NONE, "one calm period");
    assert_eq!(driver.used(79.0), NONE, "near the edge: it goes on");
    assert_eq!(driver.used(76.0), NONE);
    assert_eq!(driver.used(70.0), ["m_fs_: used ended"]);
    assert_eq!(driver.count().conditions, 0);
    assert_eq!(driver.used(70.0), NONE);
}

#[test]
fn what_goes_on_is_told_again_after_the_timeout_with_the_number_of_periods_between() {
    let mut driver = Driver::new();
    assert_eq!(driver.used(90.0), ["m_fs_: used 90>80"]);
    for _ in 0..9 {
        assert_eq!(driver.used(90.0), NONE);
    }
    assert_eq!(driver.used(91.0), ["m_fs_: used 91>80 +9"]);
    assert_eq!(driver.count().suppressed, 9);
}

#[test]
fn the_end_of_a_condition_that_nobody_was_told_of_is_not_told() {
    let mut driver = Driver::new();
    driver.used(90.0);
    driver.used(0.0);
    assert_eq!(driver.used(0.0), ["m_fs_: used ended"]);
    // Within the timeout of the first one.
    assert_eq!(driver.used(90.0), NONE);
    driver.used(0.0);
    assert_eq!(driver.used(0.0), NONE);
}

#[test]
fn a_counter_is_judged_by_its_growth_in_the_period_and_ends_at_the_threshold() {
    let mut driver = Driver::new();
    assert_eq!(driver.drops(1000), NONE, "what was counted before we looked is no growth");
    assert_eq!(driver.drops(1010), NONE);
    assert_eq!(driver.drops(1021), ["m_link_7 drops 11>10"]);
    assert_eq!(driver.drops(1031), NONE);
    assert_eq!(driver.drops(1041), ["m_link_7 drops ended"]);
}

#[test]
fn a_counter_that_went_backwards_began_anew() {
    let mut driver = Driver::new();
    driver.drops(1000);
    assert_eq!(driver.drops(12), ["m_link_7 drops 12>10"]);
}

#[test]
fn the_first_reading_of_a_counter_that_began_at_0_is_growth_only_if_nothing_was_missed() {
    let young = |drops| move |batch: &mut Batch| batch.push(PROCESS, Baseline::Zero, link(drops));
    // From the probe's start on.
    let mut driver = Driver::new();
    driver.batch(false, |_| {});
    assert_eq!(driver.period(young(50)), ["m_link_7 drops 50>10"]);
    // Its events were switched on later: the row is new to us and old all the same.
    let mut driver = Driver::new();
    driver.set(&params::REPORT_EVENT, 0);
    driver.batch(false, young(50));
    assert_eq!(driver.period(young(60)), NONE);
    driver.set(&params::REPORT_EVENT, 1);
    assert_eq!(driver.period(young(70)), NONE);
    assert_eq!(driver.period(young(90)), ["m_link_7 drops 20>10"]);
    // Nor when only its threshold was off.
    let mut driver = Driver::new();
    driver.set(&params::DROPS_THR, 0);
    driver.period(young(50));
    driver.set(&params::DROPS_THR, 10);
    driver.period(young(100));
    assert_eq!(driver.period(young(105)), NONE);
}

#[test]
fn a_trigger_without_threshold_and_the_maximum_of_a_histogram_are_judged_too() {
    let mut driver = Driver::new();
    let row = |oom, max| {
        move |batch: &mut Batch| {
            let srtt = Some(Histogram::from_buckets(vec![1, 0].into(), 1.0, max));
            batch.push(PROCESS, Baseline::FirstReading, Link { oom: Some(oom), srtt, ..link(0) });
        }
    };
    assert_eq!(driver.period(row(3, Some(20_000.0))), NONE);
    assert_eq!(driver.period(row(4, Some(20_500.0))), ["m_link_7 oom 1>0", "m_link_7 srtt_max 20.5>20"]);
    assert_eq!(driver.period(row(4, None)), NONE);
    assert_eq!(driver.period(row(4, None)), ["m_link_7 oom ended", "m_link_7 srtt_max ended"]);
}

#[test]
fn a_row_that_disappears_ends_what_held_in_it() {
    let mut driver = Driver::new();
    driver.used(90.0);
    assert_eq!(
        driver.period(Batch::complete::<Fs>),
        ["m_fs_: used ended"],
        "every row is there, and it is not"
    );
    let mut driver = Driver::new();
    driver.used(90.0);
    assert_eq!([driver.period(|_| {}), driver.period(|_| {})], [NONE; 2], "it may have been left out");
    assert_eq!(driver.period(|_| {}), ["m_fs_: used ended"]);
    let mut driver = Driver::new();
    driver.drops(0);
    let last = |batch: &mut Batch| batch.push_last(PROCESS, Baseline::FirstReading, link(20));
    assert_eq!(driver.batch(false, last), ["m_link_7 drops 20>10", "m_link_7 drops ended"]);
    assert_eq!(driver.engine.rows(), 0);
}

#[test]
fn switching_off_ends_what_held_and_watches_nothing() {
    for (spec, value) in [(&params::RES_UPPER_THR, 0), (&params::REPORT_EVENT, 0)] {
        let mut driver = Driver::new();
        driver.set(&params::DROPS_THR, 0);
        driver.used(90.0);
        driver.set(spec, value);
        assert_eq!(driver.used(90.0), ["m_fs_: used ended"], "{}", spec.key);
        assert_eq!(driver.used(99.0), NONE);
    }
    let mut driver = Driver::new();
    driver.used(90.0);
    driver.run = 2;
    assert_eq!(driver.used(10.0), ["m_fs_: used ended"], "another run knows nothing of the one before");
    assert_eq!(driver.count().conditions, 0);
}

#[test]
fn what_is_told_by_the_probe_goes_through_suppression_alone() {
    let mut driver = Driver::new();
    let tell = |batch: &mut Batch| {
        batch.tell(Occurrence {
            trigger: &TRIGGERS[4],
            subject: Subject::Host,
            labels: vec!["/x".into(), "sdb".into()],
            args: Vec::new(),
            at: SystemTime::UNIX_EPOCH,
        });
    };
    assert_eq!(driver.batch(false, tell), ["m_fs_:x broken told"]);
    assert_eq!(driver.batch(false, tell), NONE);
    driver.set(&params::REPORT_EVENT, 0);
    driver.now += TIMEOUT;
    assert_eq!(driver.batch(false, tell), NONE);
}

#[test]
fn what_found_no_room_is_counted_and_told_by_the_next_period() {
    let mut driver = Driver::new();
    driver.room = 0;
    assert_eq!(driver.used(90.0), NONE);
    assert_eq!(driver.count().queue_full, 1);
    driver.room = 1;
    assert_eq!(driver.used(90.0), ["m_fs_: used 90>80"]);
}

#[test]
fn as_many_rows_are_watched_as_there_is_room_for_and_a_row_that_waited_is_not_taken_for_a_new_one() {
    let mut driver = Driver::new();
    driver.engine = driver.engine.limited(2);
    driver.set(&params::RES_UPPER_THR, 0);
    let rows = |from: u64, drops: u64| {
        move |batch: &mut Batch| {
            for tgid in from..from + 3 {
                let row = Link { tgid: tgid.to_string().into(), ..link(drops) };
                batch.push(PROCESS, Baseline::Zero, row);
            }
            batch.complete::<Link>();
        }
    };
    driver.batch(false, |_| {});
    assert_eq!(driver.period(rows(1, 5)), NONE);
    assert_eq!((driver.engine.rows(), driver.count().row_limit), (2, 1));
    driver.period(|batch| batch.complete::<Link>());
    assert_eq!(driver.engine.rows(), 0);
    let mut driver = Driver::new();
    driver.engine = driver.engine.limited(2);
    driver.batch(false, |_| {});
    driver.period(rows(1, 5));
    // Number 3 finds room now, with all that it counted before.
    let third = |batch: &mut Batch| {
        batch.push(PROCESS, Baseline::Zero, Link { tgid: "3".into(), ..link(500) });
        batch.complete::<Link>();
    };
    driver.period(third);
    assert_eq!(driver.period(third), NONE);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a value does: a condition begins above the threshold alone, and what began and was told ends once.
        #[test]
        fn beginnings_and_ends_alternate(values in prop::collection::vec(0u32..110, 1..80)) {
            let mut driver = Driver::new();
            driver.engine = Engine::new("m".into(), Duration::ZERO, driver.counts.clone());
            let (mut holds, mut calm) = (false, 0);
            for value in values {
                let told = driver.used(f64::from(value));
                if value > 80 {
                    (holds, calm) = (true, 0);
                    prop_assert_eq!(told, [format!("m_fs_: used {value}>80")]);
                    continue;
                }
                calm = if value <= 76 { calm + 1 } else { 0 };
                let ends = holds && calm >= 2;
                prop_assert_eq!(told, if ends { vec!["m_fs_: used ended"] } else { vec![] });
                holds &= !ends;
            }
            prop_assert_eq!(driver.count().conditions, u64::from(holds));
        }

        /// No sum is lost: the growths that are judged add up to what was counted.
        #[test]
        fn growth_is_what_was_counted_between_two_periods(steps in prop::collection::vec(0u64..30, 1..50)) {
            let mut driver = Driver::new();
            driver.engine = Engine::new("m".into(), Duration::ZERO, driver.counts.clone());
            let mut count = 100;
            driver.drops(count);
            for step in steps {
                count += step;
                let told = driver.drops(count);
                let wanted = format!("m_link_7 drops {step}>10");
                prop_assert_eq!(told.contains(&wanted), step > 10, "{:?}", told);
            }
        }
    }
}

#[test]
fn a_budget_of_events_is_kept_and_what_still_holds_is_told_later() {
    let mut driver = Driver::new();
    driver.events_per_s = Some(1);
    let full = |batch: &mut Batch| {
        for number in 0..15 {
            Fs { mount: number.to_string().into(), ..fs(90.0) }.host(batch);
        }
    };
    assert_eq!(driver.batch(true, full).len(), 10, "ten seconds' worth");
    let counts = driver.count();
    assert_eq!((counts.over_budget, counts.suppressed, counts.conditions), (5, 0, 15));
    assert_eq!(driver.batch(true, full).len(), 5);
}
