//! `/proc/<pid>/stat` taken apart: the name in parentheses, which its process chooses, and the words after
//! it. Leaves to callers which words they want and what those mean.

use crate::scan::words;

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug)]
pub struct Stat<'t> {
    /// The name; may hold any byte, `)` and line ends included.
    pub comm: &'t [u8],
    rest: &'t [u8],
}

impl<'t> Stat<'t> {
    /// Takes `text` apart; `None` if it is no such line. The name ends at the LAST `)`, because a process
    /// may call itself `a) R 1 (b` and would choose its own parent and start time otherwise.
    pub fn parse(text: &'t [u8]) -> Option<Self> {
        let open = text.iter().position(|b| *b == b'(')?;
        let close = text.iter().rposition(|b| *b == b')')?;
        Some(Self { comm: text.get(open + 1..close)?, rest: text.get(close + 1..)?.trim_ascii_end() })
    }

    /// The words after the name. The first is field 3 (state) of proc_pid_stat(5), so field `n` is word
    /// number `n - 3`.
    pub fn words(&self) -> impl Iterator<Item = &'t [u8]> + use<'t> {
        words(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_ends_at_the_last_parenthesis() {
        for name in ["sh", "", " ", "a) R 1 (b", "((", "))", "a\nb", "x) "] {
            let line = format!("7 ({name}) S 1 7 7\n");
            let stat = Stat::parse(line.as_bytes()).expect("parses");
            assert_eq!(String::from_utf8_lossy(stat.comm), name);
            assert_eq!(stat.words().collect::<Vec<_>>(), [&b"S"[..], b"1", b"7", b"7"], "{name:?}");
        }
    }

    #[test]
    fn a_line_without_both_parentheses_is_none() {
        for bad in ["", "7 sh S 1", "7 (sh S 1", "7 sh) S 1", ")("] {
            assert!(Stat::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
