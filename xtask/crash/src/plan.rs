//! What a round does, drawn from the seed before it begins.

use core::time::Duration;

use crate::rng::Rng;

/// Accepted messages that every round has at least.
pub(crate) const LEAST: u64 = 200;

/// The decisions of one round. What a single client does follows from generators of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The kill follows when so many messages were accepted in this round …
    pub(crate) accepted: u64,
    /// … and this time has passed.
    pub(crate) delay: Duration,
    /// Kill once more while the broker starts, after this share of the time that it last took.
    pub(crate) again: Option<f64>,
    /// Kill once more while sessions are resumed, so long after the broker listens.
    pub(crate) resuming: Option<Duration>,
    /// Stop the broker with SIGTERM when everything is judged, and judge it once more.
    pub(crate) stops: bool,
    /// Subscribers come back together with the publishers, not after what these publish meanwhile.
    pub(crate) subscribers_first: bool,
    /// Messages of each publisher while the sessions of subscribers have not been resumed.
    pub(crate) meanwhile: u64,
    /// Subscribers that are offline under load come back this time.
    pub(crate) absent_return: bool,
}

impl Plan {
    /// The plan of a round, from 1; in the last one everybody comes back.
    pub(crate) fn of(seed: u64, round: u32, is_last: bool) -> Self {
        let mut rng = Rng::of(seed, &[u64::from(round)]);
        let immediate = rng.one_in(2);
        let delay = rng.shorter_than(Duration::from_millis(8));
        let again = (rng.below(1_500) as f64) / 1_000.0;
        let resuming = rng.shorter_than(Duration::from_millis(40));
        Self {
            accepted: LEAST + rng.below(600),
            delay: if immediate { Duration::ZERO } else { delay },
            // Every fourth, and not by chance: few rounds have their share too.
            again: (round % 4 == 2).then_some(again),
            resuming: rng.one_in(6).then_some(resuming),
            stops: round % 5 == 4,
            subscribers_first: rng.one_in(3),
            meanwhile: 1 + rng.below(5),
            absent_return: is_last || !rng.one_in(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_plans() {
        for round in 1..50 {
            assert_eq!(Plan::of(5, round, false), Plan::of(5, round, false));
        }
        assert_ne!(Plan::of(5, 1, false), Plan::of(6, 1, false));
    }

    #[test]
    fn a_quarter_of_the_rounds_kills_again_and_all_have_their_messages() {
        let plans: Vec<Plan> = (1..=200).map(|round| Plan::of(1, round, false)).collect();
        assert_eq!(plans.iter().filter(|plan| plan.again.is_some()).count(), 50);
        assert!(plans.iter().all(|plan| plan.accepted >= LEAST));
        assert!(plans.iter().any(|plan| plan.resuming.is_some()));
        assert!(plans.iter().any(|plan| plan.subscribers_first));
        assert!(Plan::of(1, 7, true).absent_return);
    }
}
