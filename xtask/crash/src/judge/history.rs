//! Something that has one state at a time: a retained topic, a subscription, a session. What it may be after a crash follows from the
//! changes that were confirmed and those that were only asked for.

use core::fmt::Debug;

/// The changes of one thing, in the order in which they were asked for.
#[derive(Clone, Debug)]
pub(crate) struct History<T> {
    /// From the last confirmed one on: any of these may be found.
    possible: Vec<(u32, T)>,
    /// Earlier ones, so that one that rises again is known.
    past: Vec<T>,
    asked: u32,
}

/// Earlier states that are remembered.
const PAST: usize = 1_000;

/// What was found is none of what there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit<T> {
    /// What there may be: the last confirmed state first.
    pub(crate) possible: Vec<T>,
    /// What was found had been there before that.
    pub(crate) is_older: bool,
}

impl<T: Clone + Debug + PartialEq> History<T> {
    /// Starts with a state that is certain.
    pub(crate) fn new(state: T) -> Self {
        Self {
            possible: vec![(0, state)],
            past: Vec::new(),
            asked: 0,
        }
    }

    /// The number of the change that is asked for next.
    pub(crate) const fn next_number(&self) -> u32 {
        self.asked + 1
    }

    /// A change is asked for; its number.
    pub(crate) fn ask(&mut self, state: T) -> u32 {
        self.asked += 1;
        self.possible.push((self.asked, state));
        self.asked
    }

    /// A change was confirmed, and with it that everything before it is over.
    pub(crate) fn confirm(&mut self, number: u32) {
        let Some(place) = self.possible.iter().position(|it| it.0 == number) else {
            return;
        };
        self.past
            .extend(self.possible.drain(..place).map(|it| it.1));
        let surplus = self.past.len().saturating_sub(PAST);
        self.past.drain(..surplus);
    }

    /// What there may be, the last confirmed state first.
    pub(crate) fn possible(&self) -> impl Iterator<Item = &T> {
        self.possible.iter().map(|it| &it.1)
    }

    /// A state was found after a crash. Changes that were asked for are still to be done, if `pending`; else what was found is certain from now
    /// on.
    ///
    /// # Errors
    /// When it is none that there may be; it counts as certain then, so that a fault is reported once.
    pub(crate) fn find(&mut self, found: &T, pending: bool) -> Result<(), Misfit<T>> {
        let fits = self.possible().any(|state| state == found);
        let misfit = Misfit {
            possible: self.possible().cloned().collect(),
            is_older: self.past.contains(found),
        };
        if !fits {
            // What is asked for again comes after what was found.
            if let Some(first) = self.possible.first_mut() {
                first.1 = found.clone();
            }
            if !pending {
                self.possible.truncate(1);
            }
            return Err(misfit);
        }
        if !pending {
            self.possible = vec![(self.asked, found.clone())];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A retained topic: 1 was set and confirmed, 2 set and confirmed, 3 set, then cleared, then 5 set.
    fn topic() -> History<Option<u32>> {
        let mut topic = History::new(None);
        for value in [Some(1), Some(2)] {
            let number = topic.ask(value);
            topic.confirm(number);
        }
        for value in [Some(3), None, Some(5)] {
            topic.ask(value);
        }
        topic
    }

    #[test]
    fn the_last_confirmed_or_any_later_state_fits() {
        for value in [Some(2), Some(3), None, Some(5)] {
            topic().find(&value, true).expect("it may be there");
        }
    }

    #[test]
    fn an_older_state_is_known_as_such() {
        let misfit = topic().find(&Some(1), true).expect_err("it was replaced");
        assert!(misfit.is_older);
        assert_eq!(misfit.possible, [Some(2), Some(3), None, Some(5)]);
        let misfit = topic().find(&Some(7), true).expect_err("it was never set");
        assert!(!misfit.is_older);
    }

    #[test]
    fn what_was_cleared_and_confirmed_does_not_rise_again() {
        let mut topic = topic();
        topic.confirm(4);
        for risen in [Some(2), Some(3)] {
            let misfit = topic
                .clone()
                .find(&risen, true)
                .expect_err("it was cleared");
            assert!(misfit.is_older);
        }
        topic.find(&None, true).expect("it was cleared");
        topic.find(&Some(5), true).expect("it may have been set");
    }

    #[test]
    fn what_was_set_and_confirmed_is_not_lost() {
        let mut topic = topic();
        topic.confirm(5);
        topic.find(&None, true).expect_err("it was set");
    }

    #[test]
    fn what_is_found_is_certain_when_nothing_is_sent_again() {
        let mut topic = topic();
        topic.find(&Some(3), false).expect("it may be there");
        assert_eq!(topic.possible().collect::<Vec<_>>(), [&Some(3)]);
        topic.clone().find(&Some(5), false).expect_err("decided");
        topic.find(&Some(3), false).expect("decided");
    }

    #[test]
    fn a_fault_is_reported_once() {
        let mut topic = topic();
        topic.find(&Some(9), true).expect_err("never set");
        topic.find(&Some(9), true).expect("known by now");
        topic.find(&Some(5), true).expect("still asked for");
        topic.find(&Some(9), false).expect("known by now");
        assert_eq!(topic.possible().collect::<Vec<_>>(), [&Some(9)]);
    }

    #[test]
    fn a_session_that_rises_again_is_found() {
        let mut session = History::new(false);
        let begun = session.ask(true);
        session.confirm(begun);
        let ended = session.ask(false);
        session
            .clone()
            .find(&true, false)
            .expect("its end was not confirmed");
        session.confirm(ended);
        let misfit = session
            .find(&true, false)
            .expect_err("its end was confirmed");
        assert!(misfit.is_older);
    }
}
