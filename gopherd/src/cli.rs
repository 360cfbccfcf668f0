//! The daemon's command line.
//!
//! Owns the flags and what they mean for the configuration. Leaves to `main` and `app` what is done.

use clap::{ArgAction, Parser};
use std::path::PathBuf;

/// Observes this host: probes are switched on at run time over REST, with gopher-ctl or in probes.init.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "gopherd", version, disable_version_flag = true)]
pub struct Cli {
    /// Configuration file; one that ends in .conf is read as gala-gopher's.
    /// Without it /etc/gopherd/gopherd.toml or else /etc/gala-gopher/gala-gopher.conf is read
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration and probes.init, print every fault and exit:
    /// 0 nothing is wrong, 1 the configuration is unusable, 2 only lines of probes.init are
    #[arg(long, group = "instead")]
    pub check_config: bool,

    /// Print the OpenAPI document of the control API and exit
    #[arg(long, group = "instead")]
    pub dump_openapi: bool,

    /// Print every probe with what it is for and exit
    #[arg(long, group = "instead")]
    pub list_probes: bool,

    /// Print every capability that the daemon can need, for what, and exit
    #[arg(long, group = "instead")]
    pub list_capabilities: bool,

    /// Print the version and exit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    pub(crate) version: (),

    /// Directory of the lock and the control socket [paths.run]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,

    /// Directory of what is kept over a restart [paths.state]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Directory of log and data files [paths.log]
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,

    /// The probes to start with [paths.probes_init]
    #[arg(long, value_name = "FILE")]
    pub(crate) probes_init: Option<PathBuf>,

    /// debug, info, warn or error [global.log_level]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

impl Cli {
    /// The flags that set keys, by their names in the key table. Paths are seen from the current directory,
    /// which is what a person at a shell means; the configuration takes absolute ones only.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let paths = [
            ("--run-dir", &self.run_dir),
            ("--state-dir", &self.state_dir),
            ("--log-dir", &self.log_dir),
            ("--probes-init", &self.probes_init),
        ];
        let path = |(flag, path): (&'static str, &Option<PathBuf>)| {
            let path = path.as_deref()?;
            // An empty path stays one, and the configuration says what is wrong with it.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            Some((flag, path.to_string_lossy().into_owned()))
        };
        let level = self.log_level.clone().map(|level| ("--log-level", level));
        paths.into_iter().filter_map(path).chain(level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::SECTIONS;
    use clap::CommandFactory;

    #[test]
    fn every_flag_of_the_key_table_is_there_and_reaches_it() {
        Cli::command().debug_assert();
        let in_table: Vec<&str> =
            SECTIONS.iter().flat_map(|s| s.keys).filter_map(|key| key.attrs.flag).collect();
        let mut args = vec!["gopherd".to_owned()];
        args.extend(in_table.iter().flat_map(|flag| [(*flag).to_owned(), "/x".to_owned()]));
        let cli = Cli::try_parse_from(args).expect("flags");
        let mut given: Vec<&str> = cli.settings().iter().map(|(flag, _)| *flag).collect();
        let mut wanted = in_table;
        given.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(given, wanted);
    }

    #[test]
    fn paths_are_seen_from_the_current_directory() {
        let cli = Cli::try_parse_from(["gopherd", "--run-dir", "x/run"]).expect("flags");
        let here = std::env::current_dir().expect("a directory").join("x/run");
        assert_eq!(cli.settings(), [("--run-dir", here.display().to_string())]);
    }

    #[test]
    fn gala_gophers_invocations_work_and_nonsense_does_not() {
        let cli = Cli::try_parse_from(["gopherd", "-c", "/etc/gala-gopher/gala-gopher.conf"]).expect("flags");
        assert_eq!(cli.config, Some("/etc/gala-gopher/gala-gopher.conf".into()));
        for (args, kind) in [
            (&["gopherd", "-v"][..], clap::error::ErrorKind::DisplayVersion),
            (&["gopherd", "--version"], clap::error::ErrorKind::DisplayVersion),
            (&["gopherd", "-h"], clap::error::ErrorKind::DisplayHelp),
            (&["gopherd", "file"], clap::error::ErrorKind::UnknownArgument),
            (&["gopherd", "--check-config", "--list-probes"], clap::error::ErrorKind::ArgumentConflict),
        ] {
            assert_eq!(Cli::try_parse_from(args).map_err(|error| error.kind()).err(), Some(kind), "{args:?}");
        }
    }
}
