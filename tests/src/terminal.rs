//! A terminal for a program under test: what it prints is interpreted as a terminal would, and its modes can
//! be looked at.
//!
//! Owns the pseudo-terminal, the program on it and the screen. What should be on the screen is the test's.

use crate::eventually;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

/// A program on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    /// The side of whoever sits in front of it.
    front: File,
    /// The side of the program; held, so that the modes can be read after its end.
    back: File,
    seen: Arc<Mutex<Seen>>,
}

/// All that the program has printed.
struct Seen {
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.screen.screen().contents())
    }
}

impl Terminal {
    /// Starts `command` on a terminal of `columns` and `rows` with `TERM=xterm-256color`, unless the command
    /// says otherwise.
    #[track_caller]
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let front =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&front).and_then(|()| unlockpt(&front)).expect("a terminal for us");
        let name = ptsname(&front, Vec::new()).expect("the terminal's name");
        let back = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a name of text"))
            .expect("the program's side of the terminal");
        let front = File::from(front);
        resize(&front, columns, rows);
        for name in ["NO_COLOR", "COLUMNS", "GOPHER_SOCKET"] {
            if !command.get_envs().any(|(set, _)| set == name) {
                command.env_remove(name);
            }
        }
        if !command.get_envs().any(|(set, _)| set == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        let side = || back.try_clone().expect("a second handle of the terminal");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("a program");
        let seen = Arc::new(Mutex::new(Seen {
            bytes: Vec::new(),
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
        }));
        let (mut from, to) = (front.try_clone().expect("a second handle of the terminal"), Arc::clone(&seen));
        std::thread::Builder::new()
            .name("terminal".into())
            .spawn(move || {
                let mut piece = [0; 4096];
                // An error is the end: both sides are closed.
                while let Ok(length) = from.read(&mut piece) {
                    let mut seen = to.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.bytes.extend_from_slice(&piece[..length]);
                    seen.screen.process(&piece[..length]);
                }
            })
            .expect("a thread for the terminal");
        Self { child, front, back, seen }
    }

    fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.seen(|seen| seen.screen.screen().contents())
    }

    /// Whether the second screen is shown.
    pub fn on_second_screen(&self) -> bool {
        self.seen(|seen| seen.screen.screen().alternate_screen())
    }

    /// Whether the cursor cannot be seen.
    pub fn hides_cursor(&self) -> bool {
        self.seen(|seen| seen.screen.screen().hide_cursor())
    }

    /// Whether lines are edited and echoed, as at a shell.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.back).expect("the terminal's modes").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Everything printed so far, byte by byte.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen(|seen| seen.bytes.clone())
    }

    /// Waits until the screen is as `look` wants it.
    #[track_caller]
    pub fn until(&self, what: &str, look: impl Fn(&str) -> bool) -> String {
        eventually(what, || Some(self.screen()).filter(|screen| look(screen)))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.front.write_all(keys.as_bytes()).expect("keys");
    }

    /// Gives the terminal another size, which its program is told.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .screen
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        resize(&self.front, columns, rows);
        // The program has no controlling terminal, which would tell it.
        self.signal(rustix::process::Signal::WINCH);
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("a signal");
    }

    /// Waits for the program's end, and that all it printed has been seen.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let status = eventually("the program on the terminal to end", || {
            self.child.try_wait().expect("the state of a child")
        });
        // A byte of our own comes after everything that the program wrote.
        const MARK: &[u8] = b"\x00the end";
        self.back.write_all(MARK).expect("the terminal takes a mark");
        eventually("the end of what was printed", || {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = seen.bytes.ends_with(MARK);
            let length = seen.bytes.len().saturating_sub(MARK.len());
            whole.then(|| seen.bytes.truncate(length))
        });
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself already; then both have nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("---- terminal ----\n{}", self.screen());
        }
    }
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has a size")
}

fn resize(front: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(front, size).expect("a size for the terminal");
}
