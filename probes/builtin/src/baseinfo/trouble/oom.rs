//! `oom`: processes that the kernel killed for want of memory, with who wanted it and how much there was.

use super::bpf::trouble_event;
use super::side::{Counts, comm, kilobytes, limit, path, pid, subject};
use probe_core::{
    Baseline, Batch, Env, Label, Occurrence, Row, Severity, Subject, Text, Trigger, When, table,
};
use probe_kit::clock::Clock;
use probe_kit::kept::KeptFile;
use probe_kit::scan::{lines, pair, words};

table! {
    /// One cgroup.
    pub(crate) struct SystemOom = "system_oom", entity "oom", sub_probe "oom" {
        keys { cgroup }
        labels { }
        counter kill_count: Count = "Processes of this memory cgroup that the kernel has killed for want of memory since the sub-probe began, tracepoint oom:mark_victim; cgroups without any are not shown.";
    }
}

/// A process was killed.
pub(crate) const TRIGGER: Trigger = Trigger {
    table: SystemOom::TABLE,
    metric: "kill_count",
    when: When::Told,
    severity: Severity::Error,
    text: Text {
        en: "Out of memory: {victim_comm} (pid {victim_pid}, cgroup {cgroup}, anon {victim_anon} kB, file {victim_file} kB, \
             shmem {victim_shmem} kB, oom_score_adj {victim_adj}) was killed because {trigger_comm} (pid {trigger_pid}, \
             cgroup {trigger_cgroup}) wanted memory. The victim's cgroup had {cgroup_usage} kB of {cgroup_limit} kB, the \
             trigger's {trigger_usage} kB of {trigger_limit} kB; the host had {available} kB available and {swap} kB of swap free.",
        zh: "内存不足：{victim_comm}（进程 {victim_pid}，cgroup {cgroup}，匿名 {victim_anon} kB，文件 {victim_file} kB，共享 \
             {victim_shmem} kB，oom_score_adj {victim_adj}）被终止，因为 {trigger_comm}（进程 {trigger_pid}，cgroup \
             {trigger_cgroup}）需要内存。被终止者的 cgroup 已用 {cgroup_usage} kB，上限 {cgroup_limit} kB；触发者的已用 \
             {trigger_usage} kB，上限 {trigger_limit} kB；主机可用 {available} kB，空闲交换区 {swap} kB。",
    },
    ip: "",
    device: "",
};

/// What is known of kills.
pub(super) struct Oom {
    kills: Counts,
    meminfo: KeptFile,
    buf: Vec<u8>,
}

impl Oom {
    /// Reads the host's memory through `env`.
    pub(super) fn new(env: &Env) -> Self {
        Self { kills: Counts::default(), meminfo: KeptFile::new(env.proc.join("meminfo")), buf: Vec::new() }
    }

    /// Counts and tells one.
    pub(super) fn note(&mut self, event: &trouble_event, clock: Clock, out: &mut Batch) {
        let (victim, trigger) = (&event.victim, &event.trigger);
        let cgroup = path(&victim.path);
        self.kills.add(&cgroup);
        let (available, swap) = host(self.meminfo.read(&mut self.buf).unwrap_or_default());
        out.tell(Occurrence {
            trigger: super::super::KILLED,
            subject: subject(victim),
            labels: vec![cgroup],
            args: vec![
                ("victim_comm", comm(victim)),
                ("victim_pid", pid(victim)),
                ("victim_anon", kilobytes(victim.anon_pages)),
                ("victim_file", kilobytes(victim.file_pages)),
                ("victim_shmem", kilobytes(victim.shmem_pages)),
                ("victim_adj", itoa::Buffer::new().format(victim.oom_score_adj).into()),
                ("cgroup_usage", kilobytes(victim.cgroup_pages)),
                ("cgroup_limit", limit(victim)),
                ("trigger_comm", comm(trigger)),
                ("trigger_pid", pid(trigger)),
                ("trigger_cgroup", path(&trigger.path)),
                ("trigger_usage", kilobytes(trigger.cgroup_pages)),
                ("trigger_limit", limit(trigger)),
                ("available", available),
                ("swap", swap),
            ],
            at: clock.at(event.at),
        });
    }

    /// Adds the rows.
    pub(super) fn show(&self, out: &mut Batch) {
        for (cgroup, count) in self.kills.iter() {
            let row = SystemOom { cgroup: cgroup.clone(), kill_count: Some(count) };
            out.push(Subject::Host, Baseline::Zero, row);
        }
        out.complete::<SystemOom>();
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        self.kills.memory() + self.buf.capacity() as u64
    }
}

/// What /proc/meminfo says is available, and free of swap, in kB.
fn host(meminfo: &[u8]) -> (Label, Label) {
    let value = |key: &[u8]| {
        let found = lines(meminfo).filter_map(|line| pair(line, b':')).find(|(name, _)| *name == key);
        let number = found.and_then(|(_, rest)| words(rest).next());
        number.map_or_else(|| "an unknown number of".into(), probe_kit::scan::text)
    };
    (value(b"MemAvailable"), value(b"SwapFree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_host_is_told_and_what_is_not_known_is_said() {
        assert_eq!(
            host(b"MemFree: 1 kB\nMemAvailable:  123 kB\nSwapFree: 0 kB\n"),
            ("123".into(), "0".into())
        );
        assert_eq!(host(b"").0, "an unknown number of");
    }
}
