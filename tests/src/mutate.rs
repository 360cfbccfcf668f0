//! Mutants of a corpus, the same ones for the same seed: what stands in for a fuzzer where there is no nightly toolchain.
//! It does not learn from coverage; the corpus in the tree did.

/// Longest mutant, in bytes.
const LONGEST: usize = 8192;

/// Numbers at the ends of their types, as text.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
];

/// Bytes that mean something in one of the formats.
const TELLING: &[u8] = b"\0\n\r\t \"'\\{}[]():;,=#/.-+*%<>@|~\x7f\x80\xc3\xff";

/// Makes mutants.
#[derive(Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// Of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end.max(1)).unwrap_or(0)
    }

    /// A stretch of something with `length` bytes, mostly a short one.
    fn stretch(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        let size = self.below(most.min(length - start) + 1);
        start..start + size
    }

    /// One of `corpus` with up to eight changes; `corpus` must not be empty.
    pub fn mutant(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, corpus);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let stretch = self.stretch(bytes.len());
        match self.below(9) {
            0 => {
                let bit = 1 << self.below(8);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
            }
            1 => {
                let telling = TELLING[self.below(TELLING.len())];
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = telling);
            }
            2 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
            3 => drop(bytes.drain(stretch)),
            4 => bytes.truncate(at),
            5 => {
                let copy = bytes[stretch].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let piece = other[self.stretch(other.len())].to_vec();
                drop(bytes.splice(stretch, piece));
            }
            7 => {
                // The number that is nearest behind, or a new one.
                let number = NUMBERS[self.below(NUMBERS.len())].bytes();
                let start = bytes.iter().skip(at).position(u8::is_ascii_digit).map_or(at, |ahead| at + ahead);
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                drop(bytes.splice(start..start + digits, number));
            }
            _ => {
                let mut edge =
                    [[0; 8], [0xff; 8], 1_u64.to_le_bytes(), (1_u64 << 63).to_le_bytes()][self.below(4)];
                edge.rotate_left(self.below(8));
                let size = self.below(9);
                bytes.iter_mut().skip(at).take(size).zip(edge).for_each(|(to, from)| *to = from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_mutants_and_they_differ() {
        let corpus = [b"cpu0 1 2 3\n".to_vec(), Vec::new()];
        let mutants = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..1000).map(|_| mutator.mutant(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(mutants(1), mutants(1));
        let mut all = mutants(1);
        all.sort();
        all.dedup();
        assert!(all.len() > 500, "{} of 1000 differ", all.len());
    }
}
