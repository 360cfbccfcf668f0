//! What the programs of an object are for, and the decision which of them this kernel gets. Pure.

use crate::kernel::{Missing, Requirement};
use probe_core::{Outcome, SubProbes};

/// One way to do a job.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The program's name: that of its C function.
    pub program: &'static str,
    /// What it needs of the kernel beyond what libbpf says when it loads.
    pub needs: &'static [Requirement],
    /// Maps that only this way uses. They are created only if it is taken, because a kind of map that the kernel
    /// lacks fails the whole object.
    pub maps: &'static [&'static str],
}

/// Something to be done in the kernel, by the first of its ways that the kernel can go.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// What is done, a few words.
    pub name: &'static str,
    /// The sub-probes that cannot do without it; the programs are attached while one of them runs.
    pub sub_probes: &'static [&'static str],
    /// The same for sub-probes that only get more of it: without it they run, and lack what the job is named after.
    pub helps: &'static [&'static str],
    /// In order of preference.
    pub ways: &'static [Way],
}

impl Job {
    /// Whether one of `wanted` uses it.
    pub fn used_by(&self, wanted: &SubProbes) -> bool {
        self.sub_probes.iter().chain(self.helps).any(|name| wanted.has(name))
    }
}

/// Which way each job takes.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) choices: Vec<Choice>,
}

/// The decision on one job.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) job: &'static Job,
    pub(super) way: Result<&'static Way, Vec<String>>,
}

impl Plan {
    /// Decides: `ask` is the kernel, `guilty` are programs that it refused though it said yes to all they
    /// need, each with the reason.
    pub fn new(
        jobs: &'static [Job],
        ask: impl Fn(Requirement) -> Result<(), Missing>,
        guilty: &[(String, String)],
    ) -> Self {
        let lacking = |way: &Way| -> Vec<String> {
            let refused = guilty.iter().filter(|(program, _)| program == way.program);
            let refused = refused.map(|(program, reason)| format!("program {program}: {reason}"));
            let missing =
                way.needs.iter().filter_map(|need| ask(*need).err()).map(|missing| missing.to_string());
            missing.chain(refused).collect()
        };
        let choices = jobs.iter().map(|job| {
            let mut reasons = Vec::new();
            let mut taken = None;
            for way in job.ways {
                let lacks = lacking(way);
                if lacks.is_empty() {
                    taken = Some(way);
                    break;
                }
                for reason in lacks {
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
            Choice { job, way: taken.ok_or(reasons) }
        });
        Self { choices: choices.collect() }
    }

    /// The programs to load.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.choices.iter().filter_map(|choice| choice.way.as_ref().ok()).map(|way| way.program)
    }

    /// The program that does `job` here, by the job's name.
    pub fn program_of(&self, job: &str) -> Option<&'static str> {
        let choice = self.choices.iter().find(|choice| choice.job.name == job)?;
        choice.way.as_ref().ok().map(|way| way.program)
    }

    /// The sub-probes that `program` is for, each once.
    pub(super) fn sub_probes_of(&self, program: &str) -> Vec<&'static str> {
        let mut names = Vec::new();
        let does = |choice: &&Choice| choice.way.as_ref().is_ok_and(|way| way.program == program);
        for name in self.choices.iter().filter(does).flat_map(|c| c.job.sub_probes.iter().chain(c.job.helps))
        {
            if !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    /// The same with no program but `program`.
    pub(super) fn alone(&self, program: &str) -> Self {
        let mut alone = self.clone();
        for choice in &mut alone.choices {
            if choice.way.as_ref().is_ok_and(|way| way.program != program) {
                choice.way = Err(Vec::new());
            }
        }
        alone
    }

    /// Maps that nothing uses.
    pub fn unused_maps(&self) -> Vec<&'static str> {
        let taken: Vec<_> =
            self.choices.iter().filter_map(|c| c.way.as_ref().ok()).flat_map(|w| w.maps).collect();
        let all = self.choices.iter().flat_map(|choice| choice.job.ways).flat_map(|way| way.maps);
        all.copied().filter(|map| !taken.contains(&map)).collect()
    }

    /// Jobs that nothing here can do, with what is missing.
    pub fn undone(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.choices
            .iter()
            .filter_map(|choice| Some((choice.job.name, choice.way.as_ref().err()?.as_slice())))
    }

    /// What of `wanted` can run.
    pub fn outcome(&self, wanted: &SubProbes) -> Outcome {
        let mut outcome = Outcome::all(wanted);
        for choice in &self.choices {
            let Err(reasons) = &choice.way else { continue };
            for sub_probe in choice.job.sub_probes {
                for reason in reasons {
                    outcome.miss(sub_probe, reason.clone());
                }
            }
            for sub_probe in choice.job.helps {
                outcome.lack(sub_probe, format!("{}: {}", choice.job.name, reasons.join("; ")));
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::AttachKind;

    const FENTRY: Requirement = Requirement::Attach(AttachKind::Fentry);
    const KPROBE: Requirement = Requirement::Attach(AttachKind::Kprobe);
    const TRACEPOINT: Requirement = Requirement::Tracepoint("x");

    static JOBS: &[Job] = &[
        Job {
            name: "drops",
            sub_probes: &["abnormal"],
            helps: &["rtt"],
            ways: &[
                Way { program: "drop_fentry", needs: &[FENTRY], maps: &["storage"] },
                Way { program: "drop_kprobe", needs: &[KPROBE], maps: &["hash"] },
            ],
        },
        Job {
            name: "states",
            sub_probes: &["rtt"],
            helps: &[],
            ways: &[Way { program: "state", needs: &[TRACEPOINT], maps: &[] }],
        },
    ];

    fn plan(lacking: &[Requirement], guilty: &[(String, String)]) -> Plan {
        let ask = |requirement| {
            let missing = Missing { requirement, reason: "no".into() };
            if lacking.contains(&requirement) { Err(missing) } else { Ok(()) }
        };
        Plan::new(JOBS, ask, guilty)
    }

    fn programs(plan: &Plan) -> Vec<&'static str> {
        plan.programs().collect()
    }

    #[test]
    fn the_first_way_that_the_kernel_can_go_is_taken() {
        assert_eq!(programs(&plan(&[], &[])), ["drop_fentry", "state"]);
        assert_eq!(programs(&plan(&[FENTRY], &[])), ["drop_kprobe", "state"]);
        assert_eq!(programs(&plan(&[FENTRY, KPROBE], &[])), ["state"]);
        assert_eq!(plan(&[FENTRY], &[]).program_of("drops"), Some("drop_kprobe"));
    }

    #[test]
    fn only_maps_that_a_taken_way_uses_are_made() {
        assert_eq!(plan(&[], &[]).unused_maps(), ["hash"]);
        assert_eq!(plan(&[FENTRY], &[]).unused_maps(), ["storage"]);
        assert_eq!(plan(&[FENTRY, KPROBE], &[]).unused_maps(), ["storage", "hash"]);
    }

    #[test]
    fn a_sub_probe_names_what_each_way_lacks_and_one_that_it_only_helps_runs() {
        let wanted: SubProbes = ["abnormal", "rtt"].into_iter().collect();
        let plan = plan(&[FENTRY, KPROBE], &[]);
        assert_eq!(
            plan.outcome(&wanted).missing(),
            ["abnormal: fentry: no", "abnormal: kprobe: no", "rtt: drops: fentry: no; kprobe: no"]
        );
        assert!(!plan.outcome(&["rtt"].into_iter().collect()).none_runs());
        assert_eq!(plan.undone().map(|(job, _)| job).collect::<Vec<_>>(), ["drops"]);
    }

    #[test]
    fn a_refused_program_is_left_out_and_the_next_way_is_taken() {
        let guilty = [("drop_fentry".to_owned(), "Permission denied".to_owned())];
        assert_eq!(programs(&plan(&[], &guilty)), ["drop_kprobe", "state"]);
        let wanted: SubProbes = ["abnormal"].into_iter().collect();
        let missing = plan(&[KPROBE], &guilty).outcome(&wanted).missing();
        assert_eq!(missing, ["abnormal: program drop_fentry: Permission denied", "abnormal: kprobe: no"]);
    }
}
