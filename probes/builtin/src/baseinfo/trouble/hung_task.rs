//! `hung_task`: tasks that the kernel's watchdog found waiting without a signal being able to wake them, for longer
//! than kernel.hung_task_timeout_secs.

use super::bpf::trouble_event;
use super::side::{Counts, comm, path, pid, subject};
use probe_core::{Baseline, Batch, Occurrence, Row, Severity, Subject, Text, Trigger, When, table};
use probe_kit::clock::Clock;

table! {
    /// One cgroup.
    pub(crate) struct SystemHungTask = "system_hung_task", entity "hung_task", sub_probe "hung_task" {
        keys { cgroup }
        labels { }
        counter count: Count = "Times that the kernel found a task of this memory cgroup hung since the sub-probe began, tracepoint sched:sched_process_hang; one that goes on to hang is found again, and cgroups without any are not shown.";
    }
}

/// A task hangs.
pub(crate) const TRIGGER: Trigger = Trigger {
    table: SystemHungTask::TABLE,
    metric: "count",
    when: When::Told,
    severity: Severity::Error,
    text: Text {
        en: "Thread {thread} of {comm} (pid {pid}, cgroup {cgroup}) hangs in the kernel.",
        zh: "{comm}（进程 {pid}，cgroup {cgroup}）的线程 {thread} 在内核中挂起。",
    },
    ip: "",
    device: "",
};

/// What is known of hangs.
#[derive(Debug, Default)]
pub(super) struct HungTasks(Counts);

impl HungTasks {
    /// Counts and tells one.
    pub(super) fn note(&mut self, event: &trouble_event, clock: Clock, out: &mut Batch) {
        let task = &event.victim;
        let cgroup = path(&task.path);
        self.0.add(&cgroup);
        out.tell(Occurrence {
            trigger: super::super::HUNG,
            subject: subject(task),
            labels: vec![cgroup],
            args: vec![
                ("comm", comm(task)),
                ("pid", pid(task)),
                ("thread", itoa::Buffer::new().format(task.pid).into()),
            ],
            at: clock.at(event.at),
        });
    }

    /// Adds the rows.
    pub(super) fn show(&self, out: &mut Batch) {
        for (cgroup, count) in self.0.iter() {
            let row = SystemHungTask { cgroup: cgroup.clone(), count: Some(count) };
            out.push(Subject::Host, Baseline::Zero, row);
        }
        out.complete::<SystemHungTask>();
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        self.0.memory()
    }
}
