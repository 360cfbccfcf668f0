//! Bearer tokens: a file of lines `name role sha256hex`.
//!
//! Owns the format and the comparison. The file holds digests, so that reading it gives nobody a token; a token is
//! found by comparing all digests in constant time, so that answers tell nothing about how close a guess was.

use crate::config::Role;
use ring::digest::{SHA256, digest};
use std::collections::HashSet;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Tokens that a file may hold: each is compared at each request.
pub const MAX_TOKENS: usize = 256;
/// Largest file, in bytes.
pub const MAX_FILE: usize = 256 << 10;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 4096;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    name: Arc<str>,
    role: Role,
    sha256: [u8; 32],
}

/// The tokens of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads a file's text; every fault is named with its line, and then nothing is used.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<String>> {
        let text = std::str::from_utf8(text).map_err(|_| vec!["it is not UTF-8 text".to_owned()])?;
        let (mut tokens, mut faults) = (Vec::new(), Vec::new());
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        let lines = text.lines().map(str::trim).enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            match parse_line(line) {
                Ok(token) if !names.insert(Arc::clone(&token.name)) => {
                    faults.push(format!("line {}: the name {} stands there twice", number + 1, token.name));
                }
                // Which of the two it is, and so what it may, could not be told.
                Ok(token) if !digests.insert(token.sha256) => {
                    faults.push(format!(
                        "line {}: the token of {} stands there twice",
                        number + 1,
                        token.name
                    ));
                }
                Ok(token) => tokens.push(token),
                Err(problem) => faults.push(format!("line {}: {problem}", number + 1)),
            }
            if tokens.len() + faults.len() > MAX_TOKENS {
                return Err(vec![format!("it has more than {MAX_TOKENS} tokens")]);
            }
        }
        if faults.is_empty() { Ok(Self(tokens)) } else { Err(faults) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and role of a token. Takes as long for one that is unknown as for one that is known.
    pub fn find(&self, token: &[u8]) -> Option<(Arc<str>, Role)> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return None;
        }
        let asked = digest(&SHA256, token);
        let (mut at, mut found) = (0_u32, Choice::from(0));
        for (number, known) in (0_u32..).zip(&self.0) {
            let same = asked.as_ref().ct_eq(&known.sha256);
            at.conditional_assign(&number, same);
            found |= same;
        }
        let token = self.0.get(usize::try_from(at).ok()?).filter(|_| bool::from(found))?;
        Some((Arc::clone(&token.name), token.role))
    }
}

fn parse_line(line: &str) -> Result<Token, String> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(role), Some(hex), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(
            "write name, role and the SHA-256 of the token in hexadecimal, with blanks between".to_owned()
        );
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(format!("a name has letters, digits, `-`, `_`, `.` and `@`, at most {MAX_NAME} of them"));
    }
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        _ => return Err("the role is read or write".to_owned()),
    };
    // The line itself is not shown: somebody may have written the token into it.
    let sha256 = parse_hex(hex)
        .ok_or("the SHA-256 has 64 hexadecimal digits; printf %s TOKEN | sha256sum prints it")?;
    Ok(Token { name: name.into(), role, sha256 })
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What holds of any bytes as a file: no more tokens than may be, each found by nothing but itself, or a reason.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    match Tokens::parse(bytes) {
        Ok(tokens) => {
            assert!(tokens.len() <= MAX_TOKENS);
            // Nobody knows a text with a digest that was made up.
            assert_eq!(tokens.find(bytes), None);
        }
        Err(faults) => assert!(!faults.is_empty(), "refused without a reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `printf %s secret | sha256sum`
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    /// `printf %s other | sha256sum`
    const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

    #[test]
    fn a_token_is_found_by_its_digest_and_nothing_else_is() {
        let text = format!("# of the scrapers\n\nci write {SECRET}\r\n  scraper read {OTHER}\n");
        let tokens = Tokens::parse(text.as_bytes()).expect("tokens");
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens.find(b"secret"), Some(("ci".into(), Role::Write)));
        assert_eq!(tokens.find(b"other"), Some(("scraper".into(), Role::Read)));
        for wrong in [&b""[..], b"secre", b"secret ", b"Secret", SECRET.as_bytes(), &[b'x'; 5000]] {
            assert_eq!(tokens.find(wrong), None);
        }
        assert_eq!(Tokens::default().find(b"secret"), None);
    }

    #[test]
    fn every_fault_is_named_with_its_line_and_never_shows_what_may_be_a_secret() {
        let text = format!(
            "ci write {SECRET}\nci read {OTHER}\nx admin {SECRET}\ny write hunter2\nz write\na/b read {OTHER}\n"
        );
        let faults = Tokens::parse(text.as_bytes()).expect_err("faults");
        let lines: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5", "line 6"]);
        assert!(!faults.concat().contains("hunter2"), "{faults:?}");
        assert_eq!(Tokens::parse(b"\xff").expect_err("no text"), ["it is not UTF-8 text"]);
        let twice = format!("ci write {SECRET}\neye read {SECRET}\n");
        let faults = Tokens::parse(twice.as_bytes()).expect_err("which role is it?");
        assert_eq!(faults, ["line 2: the token of eye stands there twice"]);
        let many: String = (0..=MAX_TOKENS).map(|n| format!("t{n} read {SECRET}\n")).collect();
        assert!(Tokens::parse(many.as_bytes()).expect_err("too many").concat().contains("more than 256"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(tokens) = Tokens::parse(&bytes) {
                prop_assert_eq!(tokens.find(&bytes), None);
            }
        }

        #[test]
        fn only_64_hexadecimal_digits_are_a_digest(text in "[0-9a-fA-Fg é]{60,68}") {
            let good = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(parse_hex(&text).is_some(), good);
        }
    }
}
