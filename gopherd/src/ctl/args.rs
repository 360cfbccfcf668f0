//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Controls a running gopherd over its unix socket.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gopher-ctl",
    version,
    after_help = "Exit codes: 0 done, 1 refused by the daemon, 2 wrong usage or an unreadable file, 3 the daemon cannot be reached."
)]
pub struct Args {
    /// The daemon's socket.
    #[arg(long, value_name = "PATH", default_value = "/run/gopherd/gopherd.sock", global = true)]
    pub(super) socket: PathBuf,
    /// Print the daemon's JSON as it is.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Show and change probes.
    Probe {
        #[command(subcommand)]
        command: ProbeCommand,
    },
    /// Print the metrics as they are now; nothing is drained.
    Metric,
    /// Write the present set of probes to probes.init.
    Save,
    /// Set several probes in one transaction.
    Apply {
        /// A file with {"probes":{"<feature>":{…},…}}; - is standard input.
        file: String,
        /// Check everything, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ProbeCommand {
    /// List every feature with its state.
    List,
    /// Print a feature's configuration and status.
    Get {
        /// The feature.
        feature: String,
    },
    /// Merge a configuration over a feature's present one.
    Set {
        /// The feature.
        feature: String,
        /// The JSON object; - is standard input.
        #[arg(value_name = "JSON")]
        config: String,
    },
    /// Start a feature with the configuration that it has.
    Start {
        /// The feature.
        feature: String,
    },
    /// Stop a feature; its configuration stays.
    Stop {
        /// The feature.
        feature: String,
    },
}
