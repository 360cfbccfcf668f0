//! `cpu`: what each CPU did, and the busy share of the machine.
//!
//! Owns the two tables, the kept files and what has to be remembered from one reading to the next. The text
//! is read by `parse`, the arithmetic on CPU times is in `times`.

pub(super) mod parse;
#[cfg(test)]
mod tests;
mod times;

use super::{Reader, netns};
use parse::CpuNow;
use probe_core::{Batch, Env, Row, SmolStr, Tick, table};
use probe_kit::kept::KeptFile;
use times::Times;

table! {
    /// One CPU.
    pub(crate) struct CpuRow = "system_cpu", entity "cpu", sub_probe "cpu" {
        keys { cpu }
        labels { }
        counter rcu: Count = "RCU softirqs handled on this CPU, /proc/softirqs RCU.";
        counter timer: Count = "Timer softirqs handled on this CPU, /proc/softirqs TIMER.";
        counter sched: Count = "Scheduler softirqs handled on this CPU, /proc/softirqs SCHED.";
        counter net_rx: Count = "Network receive softirqs handled on this CPU, /proc/softirqs NET_RX.";
        counter user_msec: Milliseconds = "Time in user mode without niced processes, guests included, /proc/stat column 1.";
        counter nice_msec: Milliseconds = "Time in user mode of niced processes, their guests included, /proc/stat column 2.";
        counter system_msec: Milliseconds = "Time in kernel mode, /proc/stat column 3.";
        counter idle_msec: Milliseconds = "Idle time, /proc/stat column 4.";
        counter iowait_msec: Milliseconds = "Idle time while I/O was outstanding, /proc/stat column 5.";
        counter irq_msec: Milliseconds = "Time in hard interrupts, /proc/stat column 6.";
        counter softirq_msec: Milliseconds = "Time in softirqs, /proc/stat column 7.";
        counter steal_msec: Milliseconds = "Time that the hypervisor gave to others, /proc/stat column 8.";
        counter backlog_drops: Count = "Packets dropped because this CPU's input queue was full, /proc/net/softnet_stat column 2.";
        counter rps_count: Count = "Times this CPU was woken to take over received packets, /proc/net/softnet_stat column 10.";
        gauge util_per: Percent = "Share of the time since the last reading that was neither idle nor iowait, /proc/stat.";
        gauge mhz: Megahertz = "Clock rate now, /proc/cpuinfo; absent where the architecture has no such line.";
    }
}

table! {
    /// The whole machine.
    pub(crate) struct TotalRow = "system_cpu_util", entity "cpu", sub_probe "cpu" {
        keys { cpu }
        labels { }
        gauge total_used_per: Percent = "Share of all CPUs' time since the last reading that was neither idle nor iowait, first line of /proc/stat.";
    }
}

/// What is remembered of a CPU, also while it is offline: its counters go on from where they were.
struct Seen {
    id: u32,
    times: Times,
    /// The reading that saw it last.
    round: u64,
}

/// The reader of `cpu`.
pub(crate) struct Cpu {
    stat: KeptFile,
    softirqs: KeptFile,
    softnet: KeptFile,
    cpuinfo: KeptFile,
    buf: Vec<u8>,
    now: Vec<CpuNow>,
    /// Sorted by CPU number.
    seen: Vec<Seen>,
    total: Option<Times>,
    round: u64,
    ticks_per_second: u64,
}

impl Cpu {
    /// Reads through `env`.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self {
            stat: KeptFile::new(env.proc.join("stat")),
            softirqs: KeptFile::new(env.proc.join("softirqs")),
            softnet: KeptFile::new(netns::proc_net(env).join("softnet_stat")),
            cpuinfo: KeptFile::new(env.proc.join("cpuinfo")),
            buf: Vec::new(),
            now: Vec::new(),
            seen: Vec::new(),
            total: None,
            round: 0,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
        })
    }

    /// The held-up times of a CPU and its busy share, and takes note of both. The share needs the reading
    /// just before: over the time that a CPU was offline it would say nothing about the last period.
    fn settle(&mut self, cpu: &CpuNow) -> (Times, Option<f64>) {
        let slack = times::slack(self.ticks_per_second);
        match self.seen.binary_search_by_key(&cpu.id, |seen| seen.id) {
            Ok(at) => {
                let seen = &mut self.seen[at];
                let times = cpu.times.not_before(&seen.times, slack);
                let fresh = seen.round + 1 == self.round;
                let share = fresh.then(|| times.busy_since(&seen.times)).flatten();
                (seen.times, seen.round) = (times, self.round);
                (times, share)
            }
            Err(at) => {
                self.seen.insert(at, Seen { id: cpu.id, times: cpu.times, round: self.round });
                (cpu.times, None)
            }
        }
    }

    /// Fills `self.now`; `None` if there is no `/proc/stat` to read. What the other files lack stays absent.
    fn gather(&mut self, out: &mut Batch) -> Option<Option<Times>> {
        self.now.clear();
        let Ok(text) = self.stat.read(&mut self.buf) else {
            out.skip("unreadable", 1);
            return None;
        };
        let total = parse::stat(text, &mut self.now);
        for (file, fill) in [
            (&mut self.softirqs, parse::softirqs as fn(&[u8], &mut [CpuNow])),
            (&mut self.softnet, parse::softnet),
            (&mut self.cpuinfo, parse::cpuinfo),
        ] {
            match file.read(&mut self.buf) {
                Ok(text) => fill(text, &mut self.now),
                Err(_) => out.skip("unreadable", 1),
            }
        }
        Some(total)
    }
}

impl Reader for Cpu {
    fn missing(&mut self) -> Vec<String> {
        super::unreadable(&mut self.stat, &mut self.buf)
    }

    fn read(&mut self, _: Tick, out: &mut Batch) {
        self.round += 1;
        let Some(total) = self.gather(out) else {
            self.total = None;
            return;
        };
        let hz = self.ticks_per_second;
        let now = std::mem::take(&mut self.now);
        for cpu in &now {
            let (times, util_per) = self.settle(cpu);
            let ms = |column| times.milliseconds(column, hz);
            let [rcu, timer, sched, net_rx] = cpu.softirqs;
            CpuRow {
                cpu: label(cpu.id),
                rcu,
                timer,
                sched,
                net_rx,
                user_msec: ms(times::USER),
                nice_msec: ms(times::NICE),
                system_msec: ms(times::SYSTEM),
                idle_msec: ms(times::IDLE),
                iowait_msec: ms(times::IOWAIT),
                irq_msec: ms(times::IRQ),
                softirq_msec: ms(times::SOFTIRQ),
                steal_msec: ms(times::STEAL),
                backlog_drops: cpu.backlog_drops,
                rps_count: cpu.rps_count,
                util_per,
                mhz: cpu.mhz,
            }
            .host(out);
        }
        self.now = now;
        let held = total.map(|now| match &self.total {
            Some(before) => now.not_before(before, times::slack(hz).saturating_mul(self.now.len() as u64)),
            None => now,
        });
        let total_used_per = held.zip(self.total).and_then(|(now, before)| now.busy_since(&before));
        self.total = held;
        TotalRow { cpu: "cpu".into(), total_used_per }.host(out);
        out.complete::<CpuRow>();
        out.complete::<TotalRow>();
    }

    fn memory(&self) -> u64 {
        let bytes = self.buf.capacity()
            + self.now.capacity() * size_of::<CpuNow>()
            + self.seen.capacity() * size_of::<Seen>();
        bytes as u64
    }
}

/// The key of a CPU: its number, as in the `cpuN` lines of /proc/stat.
fn label(id: u32) -> SmolStr {
    smol_str::format_smolstr!("{id}")
}
