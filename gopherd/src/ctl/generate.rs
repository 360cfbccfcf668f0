//! What is made of the command line beside its parser: completions.

use super::args::Args;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The program's name.
pub(super) const NAME: &str = "gopher-ctl";

/// The completions for `shell`.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    let mut command = with_features(Args::command());
    clap_complete::generate(shell, &mut command, NAME, &mut out);
    match shell {
        Shell::Fish => out.extend_from_slice(fish_features(&command).as_bytes()),
        Shell::Bash => out = bash_sub_commands(&out),
        _ => {}
    }
    out
}

/// clap_complete spells a program's name with a hyphen in two ways, so that nothing is completed behind a
/// sub-command (<https://github.com/clap-rs/clap/issues/6421>).
fn bash_sub_commands(script: &[u8]) -> Vec<u8> {
    let wrong = NAME.replace('-', "__subcmd__");
    let right = NAME.replace('-', "__");
    String::from_utf8_lossy(script).replace(&wrong, &right).into_bytes()
}

/// For fish clap completes no values of arguments that have no flag.
fn fish_features(command: &Command) -> String {
    let names: Vec<&str> = probes::all().map(|descriptor| descriptor.name).collect();
    let names = names.join(" ");
    let takes = |command: &Command| command.get_arguments().any(|arg| arg.get_id() == "feature");
    let mut out = String::new();
    for outer in command.get_subcommands() {
        let mut when =
            vec![format!("__fish_{}_using_subcommand {}", NAME.replace('-', "_"), outer.get_name())];
        if !takes(outer) {
            let inner: Vec<&str> =
                outer.get_subcommands().filter(|sub| takes(sub)).map(Command::get_name).collect();
            if inner.is_empty() {
                continue;
            }
            when.push(format!("__fish_seen_subcommand_from {}", inner.join(" ")));
        }
        out += &format!("complete -c {NAME} -n \"{}\" -f -a \"{names}\"\n", when.join("; and "));
    }
    out
}

/// The command line with the features of this version as the values of every `feature`. Only to complete:
/// which features there are is for the daemon to say.
fn with_features(command: Command) -> Command {
    let names = || probes::all().map(|descriptor| descriptor.name);
    command.mut_subcommands(|sub| {
        let has_feature = sub.get_arguments().any(|arg| arg.get_id() == "feature");
        let sub = with_features(sub);
        if !has_feature {
            return sub;
        }
        sub.mut_arg("feature", |arg| {
            arg.value_parser(PossibleValuesParser::new(names())).hide_possible_values(true)
        })
    })
}
