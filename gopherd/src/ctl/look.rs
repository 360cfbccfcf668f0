//! How text looks where it goes: on a terminal or not, how wide, with colour or without.

use clap::ValueEnum;
use crossterm::style::{Color, Stylize as _};
use std::env;
use std::io::{self, IsTerminal};

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How standard output looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Somebody looks at it.
    pub(super) terminal: bool,
    /// It understands more than lines.
    pub(super) cursor: bool,
    /// Columns; `None` where lines may have any length.
    pub(super) width: Option<u16>,
    /// Colour may be used.
    pub(super) colour: bool,
}

/// What a piece of text is, which colour only underlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As everything else.
    Plain,
    /// A heading.
    Head,
    /// All is well.
    Good,
    /// Something is not as it should.
    Warn,
    /// It does not work.
    Bad,
    /// Matters little.
    Dim,
}

impl Tone {
    pub(super) fn colour(self) -> Option<Color> {
        match self {
            Self::Plain | Self::Head => None,
            Self::Good => Some(Color::Green),
            Self::Warn => Some(Color::Yellow),
            Self::Bad => Some(Color::Red),
            Self::Dim => Some(Color::DarkGrey),
        }
    }
}

impl Look {
    /// How standard output looks now.
    pub(super) fn of_stdout(when: When) -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        let columns = || set("COLUMNS")?.to_str()?.parse().ok();
        let width =
            if terminal { crossterm::terminal::size().ok().map(|(columns, _)| columns) } else { columns() };
        let colour = wanted(when, terminal, dumb, set("NO_COLOR").is_some());
        if colour {
            // It looks at NO_COLOR by itself, which `always` overrides.
            crossterm::style::force_color_output(true);
        }
        Self { terminal, cursor: terminal && !dumb, width: width.filter(|width| *width > 0), colour }
    }

    /// `text` in its colour.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.colour() {
            _ if !self.colour => text.to_owned(),
            Some(colour) => text.with(colour).to_string(),
            None if tone == Tone::Head => text.bold().to_string(),
            None => text.to_owned(),
        }
    }
}

fn wanted(when: When, terminal: bool, dumb: bool, no_color: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && !dumb && !no_color,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_have_it_and_people_who_want_it() {
        assert!(wanted(When::Auto, true, false, false));
        assert!(!wanted(When::Auto, false, false, false));
        assert!(!wanted(When::Auto, true, true, false));
        assert!(!wanted(When::Auto, true, false, true));
        assert!(wanted(When::Always, false, true, true));
        assert!(!wanted(When::Never, true, false, false));
    }

    #[test]
    fn without_colour_text_is_left_alone() {
        assert_eq!(Look::default().paint(Tone::Bad, "x"), "x");
    }
}
