//! `con`: how fast a directory inside each container in scope grows.
//!
//! Owns when to walk and what a walk's result means; `walk` adds up one tree, `worker` is the thread that walks.
//!
//! The directory is `params.elf_path`; without it, and without a scope, the reader is idle. The rate is that
//! between the last two walks, by their own times. A walk that had no result gives no rate.

mod walk;
mod worker;

use super::Reader;
use super::stuck::Stuck;
use probe_core::{
    Baseline, Batch, Capability, ContainerKey, ContainerTarget, Containers, Env, Order, Scope, Subject, Tick,
    params,
};
use probe_kit::privilege::lacking;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use walk::{Limits, Size, Stop};
use worker::{Answer, MAX_CONTAINERS, MAX_STUCK, NEEDED, PATIENCE, Round, WalkOne, Worker};

probe_core::table! {
    /// Growth of a directory inside a container.
    pub struct SystemConIo = "system_con_io", entity "container", sub_probe "con" {
        keys { container_id }
        labels { dir }
        gauge write_rate: BytesPerSecond = "Growth of the directory inside the container, the apparent sizes of what is in it (as du -sbx adds them up); 0 while it shrinks, openat2 and statx below /proc/<pid>/root.";
    }
}

/// How far a walk may go. A directory of this many entries takes half a second when its inodes are cached.
const LIMITS: Limits = Limits { entries: 200_000, depth: 64, time: Duration::from_secs(2) };

/// So long a tick waits for its own walks: those of usual directories are over by then.
const GRACE: Duration = Duration::from_millis(50);

/// The thread rests for so many times as long as it has walked: at most a tenth of one CPU.
const REST: u32 = 9;

/// What is remembered of a container.
#[derive(Debug, Default)]
struct Known {
    last: Option<(Size, Instant)>,
    rate: Option<f64>,
}

impl Known {
    /// Takes in a walk that began at `at`.
    fn grown(&mut self, size: Size, at: Instant) {
        let before = self.last.replace((size, at));
        self.rate = before.filter(|(before, _)| before.start == size.start).and_then(|(before, then)| {
            let seconds = at.saturating_duration_since(then).as_secs_f64();
            #[allow(clippy::cast_precision_loss)] // a rate
            let grown = size.bytes.saturating_sub(before.bytes) as f64;
            (seconds > 0.0).then(|| grown / seconds)
        });
    }
}

/// The reader.
pub(crate) struct Con {
    proc: PathBuf,
    walk_one: WalkOne,
    grace: Duration,
    patience: Duration,
    stuck: Arc<Stuck<ContainerKey>>,
    worker: Option<Worker>,
    dir: Arc<str>,
    unset: bool,
    containers: Containers,
    known: HashMap<ContainerKey, Known>,
    /// When the round began that is under way or was the last.
    asked_at: Option<Instant>,
    /// Before this no round is asked for.
    rests_until: Option<Instant>,
}

impl Con {
    /// The reader for the list of readers.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self::with(env, Arc::new(worker::walk_one), GRACE, PATIENCE, worker::stuck()))
    }

    fn with(
        env: &Env,
        walk_one: WalkOne,
        grace: Duration,
        patience: Duration,
        stuck: Arc<Stuck<ContainerKey>>,
    ) -> Self {
        Self {
            proc: env.proc.clone(),
            walk_one,
            grace,
            patience,
            stuck,
            worker: None,
            dir: "".into(),
            unset: true,
            containers: [].into(),
            known: HashMap::new(),
            asked_at: None,
            rests_until: None,
        }
    }

    fn is_idle(&self) -> bool {
        self.unset || self.dir.is_empty() || self.containers.is_empty()
    }

    /// Takes the answers that come within `patience`.
    fn take(&mut self, patience: Duration, out: &mut Batch) {
        let until = Instant::now() + patience;
        while let Some(worker) = &mut self.worker {
            let Some(answer) = worker.answer(until.saturating_duration_since(Instant::now())) else { break };
            let over = worker.open() == 0;
            self.note(answer, out);
            if over && let Some(asked_at) = self.asked_at {
                self.rests_until = Some(Instant::now() + asked_at.elapsed() * REST);
            }
        }
    }

    fn note(&mut self, Answer { id, at, result }: Answer, out: &mut Batch) {
        // It may have left the scope meanwhile.
        let Some(known) = self.known.get_mut(&id) else { return };
        match result {
            Ok(size) => {
                out.skip("container_dir_unreadable", size.unreadable);
                known.grown(size, at);
            }
            Err(stop) => {
                *known = Known::default();
                match stop {
                    Stop::Absent | Stop::Cancelled => {}
                    Stop::Unreadable => out.skip("container_unreadable", 1),
                    Stop::Entries => out.skip("container_entries", 1),
                    Stop::Depth => out.skip("container_depth", 1),
                    Stop::Time => out.skip("container_time", 1),
                }
            }
        }
    }

    /// Leaves a thread behind that does not come back, with its round.
    fn give_up(&mut self) {
        let hung = self.worker.as_ref().and_then(|worker| worker.hangs(self.patience));
        if let Some(id) = hung
            && let Some(worker) = self.worker.take()
        {
            worker.leave(id, &self.stuck);
            self.known.entry(id).and_modify(|known| *known = Known::default());
        }
    }

    fn ask(&mut self, out: &mut Batch) {
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        if self.stuck.len() >= MAX_STUCK {
            out.skip("container_not_asked", self.containers.len() as u64);
            return;
        }
        let asked = self.containers.iter().take(MAX_CONTAINERS);
        let free = |target: &&ContainerTarget| !self.stuck.holds(&target.id);
        let targets: Vec<_> = asked.clone().filter(free).copied().collect();
        out.skip("container_stuck", (asked.len() - targets.len()) as u64);
        out.skip("container_limit", (self.containers.len() - asked.len()) as u64);
        if self.worker.is_none() {
            self.worker = Worker::start(&self.walk_one).ok();
        }
        if let Some(worker) = &mut self.worker {
            let (proc, dir) = (self.proc.clone(), Arc::clone(&self.dir));
            worker.ask(Round { proc, dir, targets, limits: LIMITS });
            self.asked_at = Some(now);
        }
    }
}

impl Reader for Con {
    fn missing(&mut self) -> Vec<String> {
        match walk::open_start(rustix::fs::CWD, ".") {
            Ok(_) => Vec::new(),
            Err(_) => vec!["openat2 cannot be used here; Linux has it since 5.6".to_owned()],
        }
    }

    fn lacks(&mut self) -> Vec<Capability> {
        lacking(&NEEDED)
    }

    fn apply(&mut self, order: &Order) {
        let dir = order.params.text(&params::ELF_PATH);
        if *self.dir != *dir {
            self.dir = dir.into();
            self.known.clear();
            self.worker = None;
            self.rests_until = None;
        }
        self.unset = order.scope == Scope::Unset;
        self.containers = Arc::clone(&order.containers);
        if self.is_idle() {
            self.known.clear();
            self.worker = None;
            self.rests_until = None;
            return;
        }
        let mut before = std::mem::take(&mut self.known);
        let kept = |target: &ContainerTarget| (target.id, before.remove(&target.id).unwrap_or_default());
        self.known = self.containers.iter().take(MAX_CONTAINERS).map(kept).collect();
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        if !self.is_idle() {
            self.take(Duration::ZERO, out);
            self.give_up();
            if self.worker.as_ref().is_none_or(|worker| worker.open() == 0) {
                self.ask(out);
                self.take(self.grace, out);
            }
            for target in self.containers.iter() {
                let Some(rate) = self.known.get(&target.id).and_then(|known| known.rate) else { continue };
                let row = SystemConIo {
                    container_id: target.id.as_str().into(),
                    dir: (&*self.dir).into(),
                    write_rate: Some(rate),
                };
                out.push(Subject::Container(target.id), Baseline::FirstReading, row);
            }
        }
        out.complete::<SystemConIo>();
    }

    fn memory(&self) -> u64 {
        (self.known.capacity() * (size_of::<(ContainerKey, Known)>() + 1)) as u64
    }
}

#[cfg(test)]
mod tests;
