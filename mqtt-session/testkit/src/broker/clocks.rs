//! The clock of the day, which somebody sets now and then, and what the store's own clock may say after a start.

use mqtt_session::Instant;

use crate::rng::Rng;

/// A time during which the store was turned and nobody set the clock of the day.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Instant,
    to: Instant,
    /// How far the clock of the day was ahead of the store's, in milliseconds.
    ahead: u64,
}

/// What the clocks were when the store was turned.
#[derive(Debug)]
pub(super) struct Clocks {
    /// The clock of the day is set now and then.
    is_set: bool,
    spans: Vec<Span>,
}

/// By how much it is set, in milliseconds, one way or the other.
const JUMPS: [u64; 5] = [1, 700, 15_000, 90_000, 400_000_000];

impl Clocks {
    pub(super) const fn new(is_set: bool) -> Self {
        Self {
            is_set,
            spans: Vec::new(),
        }
    }

    /// Somebody may set the clock of the day.
    pub(super) fn may_be_set(&self, ahead: &mut u64, rng: &mut Rng) {
        if self.is_set && rng.one_in(3) {
            let by = JUMPS[rng.below(JUMPS.len())];
            *ahead = if rng.one_in(2) {
                *ahead + by
            } else {
                *ahead - by
            };
        }
    }

    /// The store is turned: what it writes notes both clocks.
    pub(super) fn turned(&mut self, now: Instant, ahead: u64) {
        match self.spans.last_mut() {
            Some(span) if span.ahead == ahead && span.to <= now => span.to = now,
            _ => self.spans.push(Span {
                from: now,
                to: now,
                ahead,
            }),
        }
    }

    /// Gives the time at which a store goes on that says this one after a start.
    ///
    /// # Panics
    /// When it is none that follows from what can have been noted: the store's clock goes on from the last group by the time of day that has
    /// passed since, or not at all when that has gone back.
    pub(super) fn check(&self, said: Option<Instant>, now: Instant, ahead: u64) -> Instant {
        let Some(said) = said else { return now };
        let follows = |span: &Span| {
            let passed = (now.as_millis() + ahead).saturating_sub(span.ahead);
            let passed = Instant::from_millis(passed);
            (passed.max(span.from)..=passed.max(span.to)).contains(&said)
        };
        assert!(
            self.spans.iter().any(follows),
            "the store's clock says {said}, it is {now}, the clock of the day is {ahead} ahead; {:?}",
            self.spans
        );
        said
    }
}
