//! What the kernel is told, and that it is never more than the rules say.

use super::*;
use crate::containers::Registry;
use crate::scope::fake::{comms, container_id, facts, ids, name as entry};
use probe_core::ProcKey;
use proptest::prelude::any;
use proptest::sample::select;
use proptest::{prop_assert, proptest};

fn told(foresights: &mut Foresights) -> Vec<(&'static str, Vec<String>)> {
    let text = |name: &Name| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let names = |foresight: Option<Foresight>| foresight.iter().flat_map(|f| &f.names).map(text).collect();
    foresights.news().into_iter().map(|(feature, foresight)| (feature, names(foresight))).collect()
}

#[test]
fn what_stands_in_an_expression_is_told_before_any_process_has_it() {
    for (pattern, names) in [
        ("^curl$", &["curl"][..]),
        ("^(curl|wget2\\.0)$", &["curl", "wget2.0"]),
        ("^redis", &["redis"]),
        ("^[a-c]x+$", &[]),
        ("^not a word$", &[]),
        ("^more-than-fifteen-bytes$", &[]),
    ] {
        let mut foresights = Foresights::default();
        foresights.set("tcp", &Arc::new(comms(Mode::Include, &[pattern])));
        assert_eq!(
            told(&mut foresights),
            [("tcp", names.iter().map(ToString::to_string).collect())],
            "{pattern}"
        );
    }
}

#[test]
fn a_name_is_learnt_when_a_process_has_it_and_forgotten_with_the_selection() {
    let mut foresights = Foresights::default();
    foresights.set("tcp", &Arc::new(comms(Mode::Include, &["^a.c$"])));
    foresights.set("io", &Arc::new(comms(Mode::Exclude, &["^ab"])));
    foresights.news();
    ["abc", "abd", "x", "sixteen letters!"].iter().for_each(|comm| foresights.learn(&(*comm).into()));
    let strings = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let known = [("io", strings(&["ab", "abc", "abd"])), ("tcp", strings(&["a.c", "abc"]))];
    assert_eq!(told(&mut foresights), known);
    foresights.learn(&"abc".into());
    foresights.set("tcp", &Arc::new(comms(Mode::Include, &["^a.c$"])));
    assert_eq!(told(&mut foresights), [], "nothing new");
    foresights.forgotten();
    assert_eq!(told(&mut foresights), known, "to another tracker");
    foresights.set("tcp", &Arc::new(comms(Mode::Include, &["^ab.$"])));
    foresights.remove("io");
    foresights.learn(&"abd".into());
    assert_eq!(told(&mut foresights), [("io", vec![]), ("tcp", strings(&["ab.", "abd"]))], "looked at again");
}

#[test]
fn names_are_bounded() {
    let mut foresights = Foresights::default();
    foresights.set("tcp", &Arc::new(comms(Mode::Include, &["^n[0-9]+$"])));
    (0..2 * MAX_NAMES).for_each(|number| foresights.learn(&format!("n{number}").as_str().into()));
    assert_eq!(told(&mut foresights)[0].1.len(), MAX_NAMES);
    (0..2 * MAX_LOOKED_AT).for_each(|number| foresights.learn(&format!("x{number}").as_str().into()));
    assert!(foresights.looked_at.len() <= MAX_LOOKED_AT);
}

proptest! {
    /// The kernel lists by name what the rules list, whatever else is true of the process.
    #[test]
    fn a_name_that_is_told_is_enough(
        entries in proptest::collection::vec((select(vec!["", "^a$", "b", "^(a|bb)$"]), select(vec!["", "x"])), 0..4),
        comm in select(vec!["a", "b", "bb", "ab", "c"]), line in select(vec!["", "x", "y"]),
        contained in any::<bool>(), bound in any::<bool>(),
    ) {
        let proc_name = entries.iter().filter(|(comm, line)| !(comm.is_empty() && line.is_empty()));
        let proc_name = proc_name.map(|(comm, line)| entry(comm, line, None)).collect();
        let mut selectors = Selectors { proc_name, ..Selectors::default() };
        if contained {
            selectors.container_id = vec![container_id(1).short().to_owned()];
        }
        if bound {
            selectors.proc_id = ids(Mode::Include, &[ProcKey { tgid: 9, start_ticks: 9 }]).selectors.proc_id;
        }
        let mut foresights = Foresights::default();
        let selection = Selection { mode: Mode::Include, selectors };
        foresights.set("tcp", &Arc::new(selection.clone()));
        foresights.learn(&comm.into());
        let (_, foresight) = foresights.news().remove(0);
        let foresight = foresight.expect("told");
        let facts = facts(7, 1, comm, line);
        let matched = rules::matches(&selection.selectors, &facts, Some(99), &Registry::default()).is_some();
        prop_assert!(matched || !foresight.names.contains(&name(comm).expect("short")));
        // Of a child that has all of this from its parent the same is true, unless a single process is meant.
        prop_assert!(foresight.looks == Looks::Else || selection.selectors.proc_id.is_empty());
    }
}
