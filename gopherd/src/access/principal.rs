//! Who sends a request.

use std::fmt;
use std::sync::Arc;

/// Who sends a request, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user of this host, on the unix socket; the kernel says who.
    Uid(u32),
    /// The holder of a client certificate, by its subject as RFC 4514 writes it.
    Certificate(Arc<str>),
    /// The holder of the token with this name.
    Token(Arc<str>),
    /// Whoever reaches a listener that asks for nothing.
    Nobody,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Certificate(subject) => write!(f, "certificate {subject}"),
            Self::Token(name) => write!(f, "token {name}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}
