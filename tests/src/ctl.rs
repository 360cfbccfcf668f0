//! `gopher-ctl` as a process, and what it gave.
//!
//! Owns running it with its socket. What it should give is the test's.

use crate::Setup;
use crate::process::{built, run};
use serde_json::Value;

/// What a call gave.
#[derive(Debug)]
pub struct Gave {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Of the answer as JSON.
#[track_caller]
pub fn document(gave: Gave) -> Value {
    let text = done(gave);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Runs it against the daemon of this setup, with `input` on its standard input.
#[track_caller]
pub fn ctl(setup: &Setup, args: &[&str], input: &str) -> Gave {
    let socket = setup.socket_path();
    let all = [&["--socket", socket.to_str().expect("a path of text")], args].concat();
    let output = run(built("gopher-ctl"), &all, input.as_bytes());
    Gave {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Standard output of a call that must succeed.
#[track_caller]
pub fn done(gave: Gave) -> String {
    assert_eq!(gave.code, Some(0), "{gave:?}");
    gave.out
}

/// The call fails with this code, prints no result, and its message has every word.
#[track_caller]
pub fn fails(gave: &Gave, code: i32, words: &[&str]) {
    assert_eq!((gave.code, gave.out.as_str()), (Some(code), ""), "{gave:?}");
    assert!(words.iter().all(|word| gave.err.contains(word)), "no {words:?} in {gave:?}");
}
