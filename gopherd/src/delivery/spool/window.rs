//! What a sink has taken and not settled: answers may come in any order, the cursor follows the settled front.

use super::cursor::Kept;
use super::position::Position;
use std::collections::VecDeque;

/// Names a record that was taken, until it is settled.
pub type Ticket = u64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The place behind it.
    after: Position,
    at_ms: u64,
    settled: bool,
    /// Records within this entry that are counted as lost already.
    counted: u64,
}

/// Entries in the order of the log, from the cursor on.
#[derive(Debug, Default)]
pub(super) struct Window {
    done: Position,
    first: Ticket,
    entries: VecDeque<Entry>,
    /// Sums over the entries.
    counted: u64,
    unsettled: usize,
}

impl Window {
    /// Nothing taken behind `done`.
    pub(super) fn at(done: Position, first: Ticket) -> Self {
        Self { done, first, ..Self::default() }
    }

    /// The name of the next entry.
    pub(super) fn next(&self) -> Ticket {
        self.first + self.entries.len() as u64
    }

    /// A record was taken that somebody will settle.
    pub(super) fn take(&mut self, after: Position, at_ms: u64) -> Ticket {
        let ticket = self.next();
        self.entries.push_back(Entry { after, at_ms, settled: false, counted: 0 });
        self.unsettled += 1;
        ticket
    }

    /// Nothing to wait for up to `after`: of another way, or lost, `counted` of them counted.
    pub(super) fn pass(&mut self, after: Position, counted: u64) {
        self.counted += counted;
        match self.entries.back_mut() {
            Some(last) if last.settled => {
                last.after = after;
                last.counted += counted;
            }
            None if counted == 0 => self.done = after,
            _ => self.entries.push_back(Entry { after, at_ms: 0, settled: true, counted }),
        }
    }

    /// A record is delivered or given up. Says whether it was waited for.
    pub(super) fn settle(&mut self, ticket: Ticket) -> bool {
        let at = ticket.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) if !entry.settled => {
                entry.settled = true;
                self.unsettled -= 1;
                true
            }
            _ => false,
        }
    }

    /// Moves over the settled front.
    pub(super) fn advance(&mut self) -> Kept {
        while let Some(entry) = self.entries.front().copied().filter(|entry| entry.settled) {
            self.done = entry.after;
            self.first += 1;
            self.counted -= entry.counted;
            self.entries.pop_front();
        }
        Kept { done: self.done, counted: self.counted }
    }

    /// The stretches behind the cursor, from and until an offset, in which everything is settled.
    pub(super) fn settled_ahead(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let from = std::iter::once(self.done).chain(self.entries.iter().map(|entry| entry.after));
        let settled = self.entries.iter().zip(from).filter(|(entry, _)| entry.settled);
        settled.map(|(entry, from)| (from.offset, entry.after.offset))
    }

    /// Records that are not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// When the first record that is not settled happened.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.entries.iter().find(|entry| !entry.settled).map(|entry| entry.at_ms)
    }

    /// Its cursor.
    pub(super) fn done(&self) -> Position {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { offset, seq: offset, totals: [offset, 0] }
    }

    #[test]
    fn the_cursor_follows_the_settled_front_whatever_the_order_of_the_answers() {
        let mut window = Window::at(at(0), 7);
        let tickets: Vec<_> = (1..=3).map(|offset| window.take(at(offset), offset * 10)).collect();
        window.pass(at(4), 0);
        assert!(window.settle(tickets[1]));
        assert_eq!(window.advance().done, at(0));
        assert!(window.settle(tickets[0]));
        assert_eq!((window.advance().done, window.unsettled(), window.oldest_ms()), (at(2), 1, Some(30)));
        assert!(!window.settle(tickets[0]) && !window.settle(99), "settled once, and only what was taken");
        assert!(window.settle(tickets[2]));
        assert_eq!(window.advance(), Kept { done: at(4), counted: 0 });
        assert_eq!(window.take(at(5), 0), tickets[2] + 2);
    }

    #[test]
    fn what_is_settled_behind_an_unsettled_record_is_known_by_its_place() {
        let mut window = Window::at(at(10), 0);
        let tickets: Vec<_> = (11..=14).map(|offset| window.take(at(offset), 0)).collect();
        window.settle(tickets[1]);
        window.settle(tickets[3]);
        window.pass(at(17), 0);
        assert_eq!(window.settled_ahead().collect::<Vec<_>>(), [(11, 12), (13, 17)]);
    }

    #[test]
    fn what_is_lost_behind_an_unsettled_record_is_remembered_until_the_cursor_is_there() {
        let mut window = Window::at(at(0), 0);
        let ticket = window.take(at(1), 0);
        window.pass(at(5), 4);
        assert_eq!(window.advance(), Kept { done: at(0), counted: 4 });
        window.settle(ticket);
        assert_eq!(window.advance(), Kept { done: at(5), counted: 0 });
    }
}
