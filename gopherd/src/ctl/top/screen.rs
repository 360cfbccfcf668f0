//! The terminal while `top` has it, and that it is given back however `top` ends.

use crate::ctl::look::Look;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, queue, style, terminal};
use std::io::{self, Write};
use std::sync::Once;
use tokio::sync::mpsc;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Left,
    Right,
    Reverse,
    All,
    SubProbes,
    /// The terminal has another size.
    Redraw,
}

/// Keys that wait; somebody who leans on one does not need them all.
const WAITING_KEYS: usize = 16;

fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        Event::Key(KeyEvent { code, modifiers, .. }) => match code {
            KeyCode::Char('c' | 'd' | '\\') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Key::Quit),
            KeyCode::Char('<') | KeyCode::Left => Some(Key::Left),
            KeyCode::Char('>') | KeyCode::Right => Some(Key::Right),
            KeyCode::Char('r') => Some(Key::Reverse),
            KeyCode::Char('a') => Some(Key::All),
            KeyCode::Char('s') => Some(Key::SubProbes),
            KeyCode::Char('l') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Redraw),
            _ => None,
        },
        _ => None,
    }
}

/// Keys as they are pressed. The thread ends with the process: reading cannot be interrupted.
pub(super) fn keys() -> io::Result<mpsc::Receiver<Key>> {
    let (keys, pressed) = mpsc::channel(WAITING_KEYS);
    std::thread::Builder::new().name("keys".into()).spawn(move || {
        // Without a terminal to read from there is nobody who looks either: the channel closes.
        while let Ok(event) = crossterm::event::read() {
            let Some(key) = meaning(&event) else { continue };
            if keys.blocking_send(key).is_err() {
                return;
            }
        }
    })?;
    Ok(pressed)
}

/// The terminal, raw and on its second screen.
pub(super) struct Screen<'o> {
    out: &'o mut dyn Write,
}

impl<'o> Screen<'o> {
    pub(super) fn enter(out: &'o mut dyn Write) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        // The message of a panic would be lost with the second screen.
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back(&mut io::stdout());
                told(panic);
            }));
        });
        terminal::enable_raw_mode()?;
        let mut screen = Self { out };
        let mut begin = Vec::new();
        queue!(begin, EnterAlternateScreen, cursor::Hide)?;
        screen.show(&begin)?;
        Ok(screen)
    }

    /// `look` with the size that the terminal has now.
    pub(super) fn look(&self, look: Look) -> Look {
        let width = terminal::size().ok().map(|(columns, _)| columns).filter(|columns| *columns > 0);
        Look { width: width.or(look.width), ..look }
    }

    /// Shows `text`, as much of it as there are lines.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        let height = terminal::size().map_or(usize::MAX, |(_, rows)| usize::from(rows).max(1));
        // Written at once, so that nobody sees half of it.
        let mut frame = Vec::with_capacity(text.len() + 1024);
        queue!(frame, cursor::MoveTo(0, 0))?;
        for (at, line) in text.lines().take(height).enumerate() {
            // No end of line after the last one: it would scroll.
            let begin = if at == 0 { "" } else { "\r\n" };
            queue!(frame, style::Print(begin), style::Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(frame, Clear(ClearType::FromCursorDown))?;
        self.show(&frame)
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        give_back(self.out);
    }
}

/// Also when it has been given back already. There is nobody to tell if it does not work.
fn give_back(out: &mut dyn Write) {
    let mut end = Vec::new();
    let _ = queue!(end, cursor::Show, LeaveAlternateScreen);
    let _ = out.write_all(&end).and_then(|()| out.flush());
    let _ = terminal::disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_meaning_and_others_none() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |c| key(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(
            ['q', '<', '>', 'r', 'a', 's'].map(plain),
            [Key::Quit, Key::Left, Key::Right, Key::Reverse, Key::All, Key::SubProbes].map(Some)
        );
        assert_eq!((plain('c'), key(KeyCode::Char('c'), KeyModifiers::CONTROL)), (None, Some(Key::Quit)));
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Key::Redraw));
    }

    #[test]
    fn the_terminal_is_given_back_when_the_screen_goes_also_by_a_panic() {
        let mut out = Vec::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _screen = Screen { out: &mut out };
            std::panic::resume_unwind(Box::new("gone"));
        }));
        assert!(result.is_err());
        assert_eq!(String::from_utf8(out).unwrap(), "\x1b[?25h\x1b[?1049l");
    }
}
