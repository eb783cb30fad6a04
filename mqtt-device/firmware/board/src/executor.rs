//! One future on a board without an executor: polled when the board wakes up, asleep in between.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use mqtt_device::Timer;
use mqtt_session::Instant;

use crate::Board;

/// The board's clock for futures: whoever waits for an instant leaves it here, and [`block_on`] sleeps no longer than that.
#[derive(Debug)]
pub struct Clock<'b, B> {
    board: &'b B,
    alarm: Cell<Option<Instant>>,
    wakes: Cell<u16>,
}

impl<'b, B: Board> Clock<'b, B> {
    /// The clock of this board.
    pub const fn new(board: &'b B) -> Self {
        Self {
            board,
            alarm: Cell::new(None),
            wakes: Cell::new(0),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.board.now()
    }

    /// How often [`block_on`] has slept and woken up; from 65,535 on it begins anew.
    pub fn wakes(&self) -> u16 {
        self.wakes.get()
    }

    /// Waits until that instant.
    pub async fn until(&self, deadline: Instant) {
        poll_fn(|_| {
            if self.board.now() >= deadline {
                return Poll::Ready(());
            }
            let alarm = self
                .alarm
                .get()
                .map_or(deadline, |alarm| alarm.min(deadline));
            self.alarm.set(Some(alarm));
            Poll::Pending
        })
        .await;
    }
}

impl<B: Board> Timer for &Clock<'_, B> {
    fn now(&mut self) -> Instant {
        Clock::now(self)
    }

    fn until(&mut self, deadline: Instant) -> impl Future<Output = ()> {
        Clock::until(self, deadline)
    }
}

/// Runs a future to its end: polls it, sleeps until a byte comes or an instant of the clock has come, and polls it again.
///
/// No waker is needed: all that a future can wait for on such a board wakes the board. What waits for something else never ends.
pub fn block_on<B: Board, F: Future>(clock: &Clock<'_, B>, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        clock.alarm.set(None);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        clock.board.idle(clock.alarm.get());
        clock.wakes.set(clock.wakes.get().wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::RefCell;
    use std::vec::Vec;

    use super::*;

    /// Sleeping takes no time: the clock jumps.
    #[derive(Default)]
    struct Dreamer {
        now: Cell<u64>,
        slept_until: RefCell<Vec<u64>>,
    }

    impl Board for Dreamer {
        fn now(&self) -> Instant {
            Instant::from_millis(self.now.get())
        }
        fn random(&self) -> u32 {
            4
        }
        fn temperature(&self) -> i16 {
            215
        }
        fn idle(&self, until: Option<Instant>) {
            let until = until
                .expect("nothing else would wake this board")
                .as_millis();
            self.slept_until.borrow_mut().push(until);
            self.now.set(until);
        }
        fn stack_peak(&self) -> Option<usize> {
            None
        }
        fn exit(&self, code: u8) -> ! {
            panic!("exit {code}")
        }
    }

    #[test]
    fn the_board_sleeps_until_the_earliest_instant_that_somebody_waits_for() {
        let board = Dreamer::default();
        let clock = Clock::new(&board);
        let at = |ms| clock.until(Instant::from_millis(ms));
        let mut long = pin!(at(50));
        block_on(&clock, async {
            // Both are polled in every turn, and the later one is not asked for again before it is polled again.
            let mut short = pin!(at(20));
            poll_fn(|cx| {
                let _ = long.as_mut().poll(cx);
                short.as_mut().poll(cx)
            })
            .await;
            long.as_mut().await;
        });
        assert_eq!(*board.slept_until.borrow(), [20, 50]);
    }
}
