//! The clock of the async client and the async modem.

use core::future::Future;

use mqtt_session::Instant;

/// A clock that can be waited for.
pub trait Timer {
    /// The time.
    fn now(&mut self) -> Instant;

    /// Waits until then; at once if that is past.
    fn until(&mut self, deadline: Instant) -> impl Future<Output = ()>;
}

impl<T: Timer + ?Sized> Timer for &mut T {
    fn now(&mut self) -> Instant {
        (**self).now()
    }

    fn until(&mut self, deadline: Instant) -> impl Future<Output = ()> {
        (**self).until(deadline)
    }
}

/// A [`Timer`] of `embassy-time`, whose clock is a global one.
#[cfg(feature = "embassy-time")]
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyTimer;

#[cfg(feature = "embassy-time")]
impl Timer for EmbassyTimer {
    fn now(&mut self) -> Instant {
        Instant::from_millis(embassy_time::Instant::now().as_millis())
    }

    fn until(&mut self, deadline: Instant) -> impl Future<Output = ()> {
        embassy_time::Timer::at(embassy_time::Instant::from_millis(deadline.as_millis()))
    }
}

/// A [`Timer`] of a delay and a function that tells the time, for executors that know nothing of clocks.
///
/// A wait is dropped whenever bytes come first: the delay must take that, as most do.
#[derive(Clone, Debug)]
pub struct DelayTimer<D, C> {
    delay: D,
    clock: C,
}

impl<D: embedded_hal_async::delay::DelayNs, C: FnMut() -> Instant> DelayTimer<D, C> {
    /// Waits by `delay`, and asks `clock` for the time.
    pub const fn new(delay: D, clock: C) -> Self {
        Self { delay, clock }
    }
}

impl<D: embedded_hal_async::delay::DelayNs, C: FnMut() -> Instant> Timer for DelayTimer<D, C> {
    fn now(&mut self) -> Instant {
        (self.clock)()
    }

    async fn until(&mut self, deadline: Instant) {
        let wait = deadline.millis_since((self.clock)());
        let wait = u32::try_from(wait).unwrap_or(u32::MAX);
        self.delay.delay_ms(wait).await;
    }
}
