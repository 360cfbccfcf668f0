//! The command line: what can be typed, its help, and the sections of the manual page that help has no place
//! for.

use super::look::When;
use super::top::SortBy;
use clap::{Parser, Subcommand, ValueEnum};
use gopher_api::LogLevel;
use std::path::PathBuf;

/// Where the daemon's socket is unless somebody says otherwise.
const SOCKET: &str = "/run/gopherd/gopherd.sock";

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the daemon; nothing has changed
  2  wrong usage, or a file that cannot be read or written
  3  the daemon cannot be reached, or its answer broke off
  4  the daemon is not ready (gopher-ctl ready)
  5  not finished in time; it goes on, and gopher-ctl probe list shows it

check-config has the codes of gopherd --check-config instead: 0 nothing is wrong,
1 the configuration is unusable, 2 only lines of probes.init are bad.";

pub(super) const JSON_NOTE: &str = "\
With --json the documents of the control API are printed as the daemon sends them, one line each: results on
standard output, refusals on standard error. Their shape is in openapi.json, which
curl --unix-socket /run/gopherd/gopherd.sock http://localhost/api/v1/openapi.json shows, and is stable within a
major version. Without it the text is for people and may change. metric and completions print text either way.";

/// Controls a running gopherd over its unix socket.
#[derive(Clone, Debug, Parser)]
#[command(name = "gopher-ctl", version, after_help = EXIT_CODES, after_long_help = LONG_NOTE.as_str())]
pub struct Args {
    /// The daemon's socket
    #[arg(
        long, value_name = "PATH", default_value = SOCKET, env = "GOPHER_SOCKET", hide_env_values = true,
        global = true, value_hint = clap::ValueHint::FilePath
    )]
    pub(super) socket: PathBuf,
    /// Print the daemon's JSON as it is
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub(super) color: When,
    #[command(subcommand)]
    pub(super) command: Command,
}

static LONG_NOTE: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{EXIT_CODES}\n\n{JSON_NOTE}"));

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Show and change probes
    Probe {
        #[command(subcommand)]
        command: ProbeCommand,
    },
    /// Show what a feature observes now, and why
    Targets {
        /// The feature
        feature: String,
        /// Say whether this process is observed, and why
        #[arg(long)]
        pid: Option<u32>,
    },
    /// Write the present set of probes to probes.init
    Save,
    /// Set several probes in one transaction: all take effect, or none
    Apply {
        /// A file with {"probes":{"<feature>":{…},…}}; - is standard input
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: String,
        /// Check everything, change nothing, and show what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the metrics as they are now; nothing is drained
    Metric {
        /// The values of the last report period, as gala-gopher shows them
        #[arg(long)]
        per_period: bool,
    },
    /// Watch what the features do and cost
    Top(TopArgs),
    /// Show the latest events, or follow them as they come
    Events(EventArgs),
    /// Show what this kernel and host offer to probes
    Capabilities,
    /// Show, wait for or give up what waits to be delivered to Kafka and webhooks
    Spool {
        #[command(subcommand)]
        command: SpoolCommand,
    },
    /// Check configuration and probes.init as the daemon would read them, without a daemon
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 1 the configuration is unusable, 2 only lines of probes.init are bad."
    )]
    CheckConfig {
        /// Configuration file; without it the daemon's own
        #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        config: Option<PathBuf>,
        /// The probes to start with; without it what the configuration says
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        probes_init: Option<PathBuf>,
    },
    /// Show or change how much the daemon logs, until it ends or reads its configuration again
    LogLevel {
        /// The new level
        level: Option<Level>,
    },
    /// Say whether the daemon does its work, and what is not as configured
    Ready {
        /// Any problem counts as not ready
        #[arg(long)]
        strict: bool,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ProbeCommand {
    /// List every feature with its state
    List,
    /// Print a feature's configuration and status as JSON, which set takes back
    Get {
        /// The feature
        feature: String,
    },
    /// Merge a configuration over a feature's present one
    Set {
        /// The feature
        feature: String,
        /// The JSON object; @FILE is what is in a file, - is standard input
        #[arg(value_name = "JSON")]
        config: String,
        /// Check everything, change nothing, and show what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Start a feature with the configuration that it has
    Start {
        /// The feature
        feature: String,
    },
    /// Stop a feature; its configuration stays
    Stop {
        /// The feature
        feature: String,
    },
    /// Explain a feature: its parts, parameters and tables, how it fares, and what to do
    Explain {
        /// The feature
        feature: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum SpoolCommand {
    /// Show what waits for each sink, since when, and what was lost
    Show,
    /// Wait until what waits now is delivered; nothing is deleted
    Drain {
        /// Wait for this sink only
        #[arg(long)]
        sink: Option<String>,
        /// Give up waiting after so many seconds, with exit code 5
        #[arg(long, value_name = "SECONDS", value_parser = interval)]
        timeout: Option<std::time::Duration>,
    },
    /// Give up what waits for a sink; it is counted as lost
    Purge {
        /// The sink
        #[arg(long)]
        sink: String,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

/// How `top` watches.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Keys: q ends, < and > choose the column to sort by, r turns the order round, a shows all features, s their sub-probes.
CPU is of one core. LOST counts what was lost since the daemon started, whatever its unit.")]
pub(super) struct TopArgs {
    /// Seconds between two looks
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = interval)]
    pub(super) interval: std::time::Duration,
    /// End after so many tables, each of a whole interval, printed one after the other
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batches: Option<u32>,
    /// The column to sort by
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) sort: SortBy,
    /// Show features that neither run nor shall
    #[arg(short, long)]
    pub(super) all: bool,
    /// Show what each sub-probe costs, over the last ten seconds
    #[arg(long)]
    pub(super) sub_probes: bool,
}

/// Which events are shown.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The daemon keeps the latest 4096 events. With --json a page is printed as the daemon sends it; followed
events are their documents, one line each.")]
pub(super) struct EventArgs {
    /// Go on with each event as it comes, until interrupted
    #[arg(short, long, conflicts_with = "limit")]
    pub(super) follow: bool,
    /// Only of this feature
    #[arg(long)]
    pub(super) feature: Option<String>,
    /// Only of this kind of entity, as tcp_link, or of the one with this id
    #[arg(long)]
    pub(super) entity: Option<String>,
    /// Only as serious, or more
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(super) severity: Option<EventSeverity>,
    /// Not earlier than this time in UTC, as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// At most so many, the newest
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) limit: u32,
}

/// How serious an event is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum EventSeverity {
    Info,
    Warn,
    Error,
    Fatal,
}

/// Seconds from a tenth to an hour.
fn interval(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.1..=3600.0).contains(&seconds) {
        return Err("not from 0.1 to 3600".to_owned());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

/// How much the daemon logs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}
