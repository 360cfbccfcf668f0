//! The command line of the daemon; everything is in [`gopherd::ctl`].

use clap::Parser;
use gopherd::ctl::{Args, Exit, run};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // clap itself ends with 2 on wrong usage, and writes colour to terminals only.
    let args = Args::parse();
    let look = args.look();
    let exit: Exit = run(args, look, &mut std::io::stdout(), &mut std::io::stderr()).await;
    exit.into()
}
