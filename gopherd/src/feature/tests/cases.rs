//! Reads `cases.txt`: requests of the compatible door with their exact answers.
//!
//! A block is a feature, then lines that begin with: `+` a PUT that was accepted before; `>` a line of the
//! body; `=` the answer, `200` or `400 <path> | <message>`; `!` a warning, in order; `@` a JSON pointer into
//! what GET prints afterwards and the value there. After a refusal GET must print what it did before.

use super::support::Client;
use crate::feature::{Edit, ProblemKind};

const CASES: &str = include_str!("cases.txt");

#[derive(Default)]
struct Case<'a> {
    title: &'a str,
    before: Vec<&'a str>,
    body: String,
    answer: &'a str,
    warnings: Vec<&'a str>,
    after: Vec<(&'a str, &'a str)>,
}

fn parse(block: &str) -> Option<Case<'_>> {
    let mut case = Case::default();
    for line in block.lines().filter(|line| !line.starts_with('#')) {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "+" => case.before.push(rest),
            ">" if case.body.is_empty() => rest.clone_into(&mut case.body),
            ">" => case.body = case.body + "\n" + rest,
            "=" => case.answer = rest,
            "!" => case.warnings.push(rest),
            "@" => case.after.push(rest.split_once(' ').unwrap()),
            _ => case.title = line,
        }
    }
    (!case.title.is_empty()).then_some(case)
}

fn check(case: &Case<'_>) -> Result<(), String> {
    let mut words = case.title.split(' ');
    let mut client = Client::of(words.next().unwrap());
    for word in words {
        match word {
            "running" => client.running = true,
            "init" => client.from_init = true,
            other => panic!("{other}"),
        }
    }
    let running = std::mem::take(&mut client.running);
    for body in &case.before {
        client.put(body).map_err(|problem| format!("before: {problem}"))?;
    }
    client.running = running;
    let before = client.get();
    let (answer, warnings) = match client.ask(Edit::compat(case.body.as_bytes(), None)) {
        Ok(plan) => ("200".to_owned(), plan.warnings),
        Err(problem) => {
            assert!(matches!(problem.kind, ProblemKind::Invalid | ProblemKind::NotBuilt));
            if client.get() != before {
                return Err("refused and changed".to_owned());
            }
            (format!("400 {} | {}", problem.path, problem.message), Vec::new())
        }
    };
    if answer != case.answer || warnings != case.warnings {
        return Err(format!("answered {answer}\n  warnings {warnings:#?}"));
    }
    let after = client.get();
    for (pointer, expected) in &case.after {
        let pointer = if *pointer == "." { "" } else { pointer };
        let found = after.pointer(pointer).map_or("absent".to_owned(), ToString::to_string);
        if found != *expected {
            return Err(format!("afterwards {pointer} is {found}"));
        }
    }
    Ok(())
}

#[test]
fn each_request_of_the_table_gets_its_exact_answer() {
    let cases: Vec<_> = CASES.split("\n\n").filter_map(parse).collect();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let faults: Vec<_> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|fault| format!("{} {}\n  {fault}", case.title, case.body)))
        .collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}
