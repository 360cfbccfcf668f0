//! What a key is: its place, its shape and range, its sentences, and its other names.
//!
//! Owns the vocabulary in which the key table (`keys`) is written and the macro that makes a section's type
//! and its keys from one text, so that no default or sentence stands twice. Leaves reading values to `value`
//! and writing the sample file to `sample`.

use super::words::{Secret, Word, Words};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a value of type `T` stands in `C`.
pub(super) type At<C, T> = fn(&mut C) -> &mut T;

/// What a text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// A file's name without its directory.
    FileName,
    /// A Kafka topic.
    Topic,
    /// The start of a metric name.
    MetricPrefix,
    /// Host and port pairs separated by commas; a missing port is 9092. Empty is none.
    Brokers,
    /// The host's identity; empty takes it from the host.
    MachineId,
    /// A name or nothing: printable, at most 255 characters.
    Name,
    /// A host name or an address.
    Host,
    /// A Linux capability.
    Capability,
    /// A web address that is posted to.
    Url,
    /// A unix socket.
    Socket,
}

/// The shape and range of a key, with the place of its value.
#[derive(Clone, Copy)]
pub enum Kind<C> {
    /// `true` or `false`.
    Bool(At<C, bool>),
    /// A whole number.
    Int(At<C, u64>, u64, u64),
    /// A whole number, where 0 stands for none.
    Limit(At<C, Option<u64>>, u64),
    /// A TCP port; 0 lets the kernel choose.
    Port(At<C, u16>),
    /// An IP address.
    Address(At<C, IpAddr>),
    /// A text.
    Text(At<C, String>, TextRule),
    /// A text that is not shown.
    Secret(At<C, Secret>),
    /// A list of texts, at most so many.
    Texts(At<C, Vec<String>>, TextRule, usize),
    /// An absolute path of a file or directory; empty is none.
    Path(At<C, Option<PathBuf>>),
    /// An absolute path of a directory.
    Dir(At<C, PathBuf>),
    /// A time, written with its unit; whole seconds may stand without one.
    Time(At<C, Duration>, Duration, Duration),
    /// A time in whole seconds, written without a unit as gala-gopher does.
    Seconds(At<C, Duration>, u64, u64),
    /// A number of bytes, written with its unit.
    Size(At<C, u64>, u64, u64),
    /// One word out of a few.
    Word(fn(&mut C) -> &mut dyn Word),
    /// A word or a list of words out of a few; empty is none.
    Words(fn(&mut C) -> &mut dyn Words),
    /// Names and texts, unchecked.
    Map(At<C, BTreeMap<String, String>>),
    /// A list of tables that have keys of their own.
    Rows(fn(&mut C) -> &mut dyn Rows),
}

impl<C> std::fmt::Debug for Kind<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kind")
    }
}

/// A list of tables, as the key table sees it.
pub trait Rows {
    /// Empties the list.
    fn clear(&mut self);
    /// Reads one more table into the list.
    fn read(&mut self, item: &super::tree::Item, key: &str, into: &mut super::value::Complaints);
    /// An example of one table, for the manual.
    fn example(&self) -> String;
    /// The whole list as text, for comparing two configurations.
    fn text(&self) -> String;
}

/// What else is known of a key.
#[derive(Clone, Copy, Debug)]
pub struct Attrs {
    /// Environment variables that set it, the preferred one first.
    pub env: &'static [&'static str],
    /// Of those variables only `yes` says something; `no` leaves the file's value.
    pub env_yes_only: bool,
    /// Flag of the daemon that sets it.
    pub flag: Option<&'static str>,
    /// Historical names in the same section.
    pub old: &'static [&'static str],
    /// Takes effect at a reload; the others need a restart.
    pub live: bool,
    /// Is no key of gala-gopher.
    pub ours: bool,
    /// Kept so that older files load; nothing uses it.
    pub idle: bool,
}

impl Attrs {
    pub(super) const NONE: Self =
        Self { env: &[], env_yes_only: false, flag: None, old: &[], live: false, ours: false, idle: false };
}

/// A key of a section (`C` is the whole configuration) or of one table in a list (`C` is that table's type).
#[derive(Clone, Copy, Debug)]
pub struct Key<C: 'static> {
    /// Its name.
    pub name: &'static str,
    /// What it is for; one or more lines.
    pub doc: &'static [&'static str],
    /// Shape, range and place.
    pub kind: Kind<C>,
    /// The rest.
    pub attrs: Attrs,
}

/// The keys that stand together, and what they are about.
#[derive(Debug)]
pub(super) struct Part<C: 'static> {
    pub doc: &'static [&'static str],
    pub keys: &'static [Key<C>],
}

/// A section of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name; empty for keys that stand outside of all sections.
    pub name: &'static str,
    /// Another name that `.conf` files use.
    pub old: Option<&'static str>,
    /// What it is about.
    pub doc: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [Key<super::Config>],
}

impl Section {
    /// `section.key`, or the key alone outside of all sections.
    pub fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Makes a section's type, its defaults and its keys from one text:
///
/// ```text
/// section! {
///     /// What the section is about.
///     GLOBAL: Global [global] of Config {            // [field of Config]; [] for one table in a list
///         /// What the key is for.
///         log_file_name: String = "gopher.log".into() => Text(TextRule::FileName), flag = Some("--x");
///     }
/// }
/// ```
macro_rules! section {
    (
        $(#[doc = $sdoc:literal])+
        $keys:ident: $name:ident $at:tt of $root:ty {$(
            $(#[doc = $doc:literal])+
            $field:ident: $ty:ty = $default:expr => $kind:ident($($arg:expr),*) $(, $attr:ident = $value:expr)*;
        )+}
    ) => {
        $(#[doc = $sdoc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {$( $(#[doc = $doc])+ pub $field: $ty, )+}

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        static $keys: Part<$root> = Part { doc: &[$($sdoc),+], keys: &[$(Key {
            name: stringify!($field),
            doc: &[$($doc),+],
            kind: Kind::$kind(|root: &mut $root| place!(root $at $field) $(, $arg)*),
            attrs: Attrs { $($attr: $value,)* ..Attrs::NONE },
        },)+] };
    };
}
pub(super) use section;

/// The field of a section, or of a row that stands for itself.
macro_rules! place {
    ($root:ident [] $field:ident) => {
        &mut $root.$field
    };
    ($root:ident [$at:ident] $field:ident) => {
        &mut $root.$at.$field
    };
}
pub(super) use place;
