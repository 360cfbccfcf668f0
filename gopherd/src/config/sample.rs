//! The text of `etc/gopherd.toml`: every key with its sentence, its range and its default.
//!
//! Owns the layout of that text. The content is the key table's.

use super::Config;
use super::keys::SECTIONS;
use super::spec::{Key, Kind, Section};
use super::value::{wants, written};
use std::fmt::Write;

const HEAD: &str = "\
# The configuration of gopherd, with every default written out.
#
# Made from the key table in gopherd/src/config/keys.rs by `cargo test -p gopherd sample`.
# Check a change with `gopherd --check-config`; `systemctl reload gopherd` applies what can change while it runs.
# Order: these defaults, then this file, then environment variables, then flags.
";

/// Columns of the text's comments.
const WIDTH: usize = 110;

/// The whole file.
pub fn text() -> String {
    let mut out = HEAD.to_owned();
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = section_text(&mut out, section);
    }
    out
}

fn section_text(out: &mut String, section: &Section) -> std::fmt::Result {
    writeln!(out)?;
    if !section.name.is_empty() {
        comment(out, section.doc)?;
        writeln!(out, "[{}]", section.name)?;
    }
    for key in section.keys {
        comment(out, key.doc)?;
        comment(out, &[&facts(key)])?;
        writeln!(out, "{} = {}", key.name, written(key, &mut Config::default()))?;
    }
    Ok(())
}

/// What can stand there, who else sets it, and when a change takes effect.
fn facts(key: &Key<Config>) -> String {
    let mut facts = wants(&key.kind);
    if let Some(first) = facts.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if matches!(key.kind, Kind::Limit(..)) {
        facts += ", where 0 is none";
    }
    facts += ".";
    if !key.attrs.env.is_empty() {
        let yes = if key.attrs.env_yes_only { "=yes" } else { "" };
        facts += &format!(" Environment: {}{yes}.", key.attrs.env.join(" or "));
    }
    if let Some(flag) = key.attrs.flag {
        facts += &format!(" Flag: {flag}.");
    }
    facts += if key.attrs.idle {
        " Has no effect."
    } else if key.attrs.live {
        " Reload applies it."
    } else {
        " Needs a restart."
    };
    facts
}

/// Comment lines of at most [`WIDTH`] columns.
fn comment(out: &mut String, lines: &[&str]) -> std::fmt::Result {
    for line in lines {
        let mut column = 1;
        write!(out, "#")?;
        for word in line.split_whitespace() {
            if column + 1 + word.len() > WIDTH {
                write!(out, "\n#")?;
                column = 1;
            }
            write!(out, " {word}")?;
            column += 1 + word.len();
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceFile, Sources, load};
    use std::path::Path;

    #[test]
    fn the_sample_file_holds_every_default_and_nothing_else() {
        let file = SourceFile { path: "/etc/gopherd/gopherd.toml".into(), bytes: text().into_bytes() };
        let loaded = load(&Sources { file: Some(file), ..Sources::default() }).expect("the sample is valid");
        assert_eq!(loaded.config, Config::default());
        assert_eq!((loaded.warnings, loaded.problems), (vec![], vec![]));
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(text().contains(&format!("\n{} = ", key.name)), "{} is missing", key.name);
            assert!(key.doc.iter().all(|line| line.trim_end().ends_with(['.', '"'])), "{}", key.name);
        }
    }

    /// Written here, compared in CI: habit of every generated file of the tree.
    #[test]
    fn the_sample_file_in_etc_is_this_text() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/gopherd.toml");
        let same = std::fs::read_to_string(&path).is_ok_and(|there| there == text());
        if !same && std::env::var_os("CI").is_none() {
            std::fs::create_dir_all(path.parent().expect("etc")).expect("etc can be made");
            std::fs::write(&path, text()).expect("etc/gopherd.toml can be written");
        }
        let there = std::fs::read_to_string(&path).expect("etc/gopherd.toml can be read");
        assert_eq!(there, text(), "run `cargo test -p gopherd sample` and commit etc/gopherd.toml");
    }
}
