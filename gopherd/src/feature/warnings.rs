//! What a change did not do as written, one sentence each, bounded so that no request makes a long answer.

/// Most sentences; the rest is counted.
const MAX: usize = 32;

/// A bounded list of sentences.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Adds a sentence, or counts it when there are 32.
    pub(crate) fn push(&mut self, sentence: String) {
        if self.kept.len() < MAX { self.kept.push(sentence) } else { self.more += 1 }
    }

    /// The sentences, the last one saying how many there are besides.
    pub(crate) fn into_vec(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_thirty_two_the_rest_is_counted() {
        let mut warnings = Warnings::default();
        (0..40).for_each(|i| warnings.push(i.to_string()));
        let list = warnings.into_vec();
        assert_eq!(list.len(), 33);
        assert_eq!(list.last().map(String::as_str), Some("and 8 more"));
    }
}
