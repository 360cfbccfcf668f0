//! One value into its key's place: type, range and rule, checked once.
//!
//! Owns the conversion from a [`Node`] to the typed setting, with the sentence that says what is wrong and
//! what would be right, and the way back to text. Leaves walking the file to `load`.

use super::keys::Row;
use super::rule::check_text;
use super::spec::{Key, Kind, Rows};
use super::tree::{Entry, Item, Node, nearest, shown};
use super::unit::{parse_size, parse_time, write_size, write_time};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Line of the value; 0 if it came from elsewhere.
    pub line: u32,
    /// The key, with its place.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub way_out: String,
}

/// Complaints, in the order of the file.
pub type Complaints = Vec<Complaint>;

/// Most entries of a free map.
const MAX_MAP: usize = 256;
/// Longest path in bytes: the kernel's PATH_MAX.
const MAX_PATH: usize = 4096;

/// Sets `key` in `at` from `item`. What is wrong goes to `into`, under the name `path`, and the old value stays.
pub(super) fn set<C: Default>(key: &Key<C>, at: &mut C, item: &Item, path: &str, into: &mut Complaints) {
    if let (Kind::Rows(of), Node::List(items)) = (&key.kind, &item.node) {
        let rows = of(at);
        rows.clear();
        for (i, row) in items.iter().enumerate() {
            rows.read(row, &format!("{path}[{i}]"), into);
        }
    } else if let Err(problem) = assign(&key.kind, at, &item.node) {
        into.push(Complaint { line: item.line, key: path.to_owned(), problem, way_out: way_out(key) });
    }
}

fn assign<C>(kind: &Kind<C>, at: &mut C, node: &Node) -> Result<(), String> {
    match (kind, node) {
        (Kind::Bool(of), Node::Bool(value)) => *of(at) = *value,
        (Kind::Int(of, min, max), Node::Int(value)) => *of(at) = within(*value, *min..=*max)?,
        (Kind::Limit(of, max), Node::Int(value)) => {
            *of(at) = Some(within(*value, 0..=*max)?).filter(|limit| *limit != 0);
        }
        (Kind::Port(of), Node::Int(value)) => {
            *of(at) = u16::try_from(*value).map_err(|_| out_of_range(value))?;
        }
        (Kind::Seconds(of, min, max), Node::Int(value)) => {
            *of(at) = Duration::from_secs(within(*value, *min..=*max)?);
        }
        (Kind::Time(of, min, max), node @ (Node::Int(_) | Node::Text(_))) => {
            *of(at) = time(node, *min..=*max)?
        }
        (Kind::Size(of, min, max), Node::Int(value)) => *of(at) = within(*value, *min..=*max)?,
        (Kind::Size(of, min, max), Node::Text(text)) => {
            let bytes = parse_size(text).ok_or_else(|| format!("{} is no size", shown(text)))?;
            *of(at) =
                Some(bytes).filter(|b| (*min..=*max).contains(b)).ok_or_else(|| out_of_range(shown(text)))?;
        }
        (Kind::Address(of), Node::Text(text)) => *of(at) = address(text)?,
        (Kind::Text(of, rule), Node::Text(text)) => *of(at) = check_text(*rule, text)?,
        (Kind::Secret(of), Node::Text(text)) => {
            if text.len() > 1024 || text.contains(char::is_control) {
                return Err("longer than 1024 bytes, or not printable".into());
            }
            of(at).0.clone_from(text);
        }
        (Kind::Texts(of, rule, most), Node::List(items)) => {
            *of(at) = texts(items, *most, |t| check_text(*rule, t))?
        }
        (Kind::Path(of), Node::Text(text)) if text.is_empty() => *of(at) = None,
        (Kind::Path(of), Node::Text(text)) => *of(at) = Some(absolute(text)?),
        (Kind::Dir(of), Node::Text(text)) => *of(at) = absolute(text)?,
        (Kind::Word(of), Node::Text(text)) => {
            let word = of(at);
            if !word.set_word(text) {
                return Err(unknown_word(text, word.words()));
            }
        }
        (Kind::Words(of), Node::Text(text)) => words(of(at), std::slice::from_ref(text))?,
        (Kind::Words(of), Node::List(items)) => {
            words(of(at), &texts(items, 16, |text| Ok(text.to_owned()))?)?
        }
        (Kind::Map(of), Node::Table(entries)) => *of(at) = entries_to_map(entries)?,
        (_, other) => return Err(format!("{} stands here", other.what())),
    }
    Ok(())
}

fn out_of_range(value: impl std::fmt::Display) -> String {
    format!("{value} is out of range")
}

fn within(value: i64, range: RangeInclusive<u64>) -> Result<u64, String> {
    u64::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(|| out_of_range(value))
}

/// A time with its unit, or whole seconds without one.
fn time(node: &Node, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let (time, written) = match node {
        Node::Int(value) => (u64::try_from(*value).ok().map(Duration::from_secs), value.to_string()),
        Node::Text(text) => {
            let time = parse_time(text).ok_or_else(|| format!("{} is no time", shown(text)))?;
            (Some(time), shown(text))
        }
        other => return Err(format!("{} stands here", other.what())),
    };
    time.filter(|time| range.contains(time)).ok_or_else(|| out_of_range(written))
}

fn address(text: &str) -> Result<IpAddr, String> {
    // The only name whose address needs no resolver.
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| format!("{} is no address", shown(text)))
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let good = Path::new(text).is_absolute() && text.len() < MAX_PATH && !text.contains('\0');
    if good { Ok(text.into()) } else { Err(format!("{} is no absolute path", shown(text))) }
}

fn texts(
    items: &[Item],
    most: usize,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    if items.len() > most {
        return Err(format!("{} entries are too many", items.len()));
    }
    let text = |item: &Item| match &item.node {
        Node::Text(text) => check(text),
        other => Err(format!("{} stands in the list", other.what())),
    };
    items.iter().map(text).collect()
}

fn unknown_word(word: &str, known: &'static [&'static str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("{} is unknown (did you mean `{meant}`?)", shown(word)),
        None => format!("{} is unknown", shown(word)),
    }
}

/// Sets a list of words; the empty word alone means none, as in gala-gopher's files.
fn words(to: &mut dyn super::words::Words, wanted: &[String]) -> Result<(), String> {
    let none = matches!(wanted, [only] if only.is_empty());
    let unknown =
        wanted.iter().filter(|_| !none).find(|word| !to.words().iter().any(|k| k.eq_ignore_ascii_case(word)));
    if let Some(unknown) = unknown {
        return Err(unknown_word(unknown, to.words()));
    }
    to.clear();
    for word in wanted {
        to.add(word);
    }
    Ok(())
}

fn entries_to_map(entries: &[Entry]) -> Result<std::collections::BTreeMap<String, String>, String> {
    if entries.len() > MAX_MAP {
        return Err(format!("{} entries are too many", entries.len()));
    }
    let text = |entry: &Entry| {
        let value = match &entry.item.node {
            Node::Text(text) => text.clone(),
            Node::Int(value) => value.to_string(),
            Node::Bool(value) => value.to_string(),
            other => return Err(format!("{} stands at {}", other.what(), shown(&entry.key))),
        };
        Ok((entry.key.clone(), value))
    };
    entries.iter().map(text).collect()
}

/// What would be right for `key`, and what it is when not set.
pub(super) fn way_out<C: Default>(key: &Key<C>) -> String {
    let wants = wants(&key.kind);
    match &key.kind {
        Kind::Secret(_) | Kind::Map(_) | Kind::Rows(_) => format!("write {wants}"),
        _ => format!("write {wants}; the default is {}", written(key, &mut C::default())),
    }
}

/// What `kind` takes.
pub(super) fn wants<C: Default>(kind: &Kind<C>) -> String {
    match kind {
        Kind::Bool(_) => "true or false".into(),
        Kind::Int(_, min, max) | Kind::Seconds(_, min, max) => format!("a whole number from {min} to {max}"),
        Kind::Limit(_, max) => format!("a whole number from 0 to {max}"),
        Kind::Port(_) => "a port from 0 to 65535, where 0 lets the kernel choose".into(),
        Kind::Address(_) => "an IP address in quotes".into(),
        Kind::Text(_, rule) => rule.wants().into(),
        Kind::Secret(_) => "a text in quotes, at most 1024 bytes".into(),
        Kind::Texts(_, rule, most) => format!("a list of at most {most}, each {}", rule.wants()),
        Kind::Path(_) => "an absolute path in quotes, or \"\"".into(),
        Kind::Dir(_) => "an absolute path in quotes".into(),
        Kind::Time(_, min, max) => {
            format!("a time from \"{}\" to \"{}\"", write_time(*min), write_time(*max))
        }
        Kind::Size(_, min, max) => {
            format!("a size from \"{}\" to \"{}\"", write_size(*min), write_size(*max))
        }
        Kind::Word(of) => format!("one of {}", of(&mut C::default()).words().join(", ")),
        Kind::Words(of) => format!("one or a list of {}, or \"\"", of(&mut C::default()).words().join(", ")),
        Kind::Map(_) => format!("a table of names and texts, at most {MAX_MAP}"),
        Kind::Rows(of) => format!("a list of tables as in [{}]", of(&mut C::default()).example()),
    }
}

/// The value that `key` has in `at`, as a TOML file writes it. A secret is shown as empty.
pub(super) fn written<C>(key: &Key<C>, at: &mut C) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let list =
        |texts: Vec<String>| format!("[{}]", texts.iter().map(|t| text(t)).collect::<Vec<_>>().join(", "));
    match &key.kind {
        Kind::Bool(of) => of(at).to_string(),
        Kind::Int(of, ..) => of(at).to_string(),
        Kind::Limit(of, _) => of(at).unwrap_or(0).to_string(),
        Kind::Port(of) => of(at).to_string(),
        Kind::Address(of) => text(&of(at).to_string()),
        Kind::Text(of, _) => text(of(at)),
        Kind::Secret(_) => text(""),
        Kind::Texts(of, ..) => list(of(at).clone()),
        Kind::Path(of) => text(&of(at).as_deref().unwrap_or(Path::new("")).to_string_lossy()),
        Kind::Dir(of) => text(&of(at).to_string_lossy()),
        Kind::Time(of, ..) => text(&write_time(*of(at))),
        Kind::Seconds(of, ..) => of(at).as_secs().to_string(),
        Kind::Size(of, ..) => text(&write_size(*of(at))),
        Kind::Word(of) => text(of(at).word()),
        Kind::Words(of) => match of(at).list().as_slice() {
            [] => text(""),
            [only] => text(only),
            more => list(more.iter().map(|word| (*word).to_owned()).collect()),
        },
        Kind::Map(of) if of(at).is_empty() => "{}".into(),
        Kind::Map(of) => toml::Value::from(toml::Table::from_iter(
            of(at).iter().map(|(k, v)| (k.clone(), v.as_str().into())),
        ))
        .to_string(),
        Kind::Rows(of) => of(at).text(),
    }
}

/// The node that an environment variable's or a flag's text means for `kind`.
pub(super) fn from_text<C>(kind: &Kind<C>, text: &str) -> Node {
    let plain = || Node::Text(text.to_owned());
    match kind {
        Kind::Bool(_) => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Node::Bool(true),
            "no" | "false" | "off" | "0" => Node::Bool(false),
            _ => plain(),
        },
        Kind::Int(..) | Kind::Limit(..) | Kind::Port(_) | Kind::Seconds(..) | Kind::Time(..) => {
            text.trim().parse().map_or_else(|_| plain(), Node::Int)
        }
        Kind::Words(_) | Kind::Texts(..) => {
            let item = |word: &str| Item { line: 0, node: Node::Text(word.trim().to_owned()) };
            Node::List(text.split(',').map(item).collect())
        }
        _ => plain(),
    }
}

impl<R: Row> Rows for Vec<R> {
    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn read(&mut self, item: &Item, key: &str, into: &mut Complaints) {
        let mut complain = |line: u32, key: &str, problem: String, way_out: String| {
            into.push(Complaint { line, key: key.to_owned(), problem, way_out });
        };
        let Node::Table(entries) = &item.node else {
            let problem = format!("{} stands here", item.node.what());
            return complain(item.line, key, problem, format!("write a table as in {}", R::EXAMPLE));
        };
        if self.len() >= R::MOST {
            return complain(item.line, key, "one too many".into(), format!("keep at most {}", R::MOST));
        }
        let mut row = R::default();
        let before = into.len();
        for entry in entries {
            let path = format!("{key}.{}", entry.key);
            match R::KEYS.iter().find(|known| known.name == entry.key) {
                Some(known) => set(known, &mut row, &entry.item, &path, into),
                None => {
                    let way_out = meant(&entry.key, R::KEYS.iter().map(|known| known.name));
                    let key = format!("{key}.{}", unquoted(&entry.key));
                    into.push(Complaint { line: entry.line, key, problem: "unknown key".into(), way_out });
                }
            }
        }
        if into.len() > before {
            return;
        }
        match row.fault() {
            None => self.push(row),
            Some((problem, way_out)) => into.push(Complaint {
                line: item.line,
                key: key.to_owned(),
                problem: problem.into(),
                way_out: way_out.into(),
            }),
        }
    }

    fn example(&self) -> String {
        R::EXAMPLE.to_owned()
    }

    fn text(&self) -> String {
        if self.is_empty() { "[]".into() } else { format!("{self:?}") }
    }
}

/// What to do about a name that is not known: the one that was probably meant, or all there are.
pub(super) fn meant<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// An outside name as part of a key's path: escaped and cut like every outside text, without the quotes.
pub(super) fn unquoted(name: &str) -> String {
    shown(name).trim_matches('`').to_owned()
}
