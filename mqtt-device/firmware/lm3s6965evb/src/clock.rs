//! Time: SysTick counts cycles and its interrupt seconds; timer 0 is the alarm that ends a sleep. Nothing ticks in between.

use core::cell::Cell;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SCB, SYST};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use lm3s6965::{Interrupt, interrupt};
use mqtt_session::Instant;

use crate::registers::CYCLES_PER_MS;
use crate::registers::Register::{TimerClear, TimerControl, TimerInterrupts, TimerLoad, TimerMode};

const CYCLES_PER_SECOND: u32 = 1_000 * CYCLES_PER_MS;

static SECONDS: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// Starts the clock at 0.
pub(crate) fn start(mut syst: SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(CYCLES_PER_SECOND - 1);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
    TimerMode.write(1);
    TimerInterrupts.write(1);
    // SAFETY: no critical section of this crate is made by masking single interrupts.
    unsafe { NVIC::unmask(Interrupt::TIMER_0A) };
}

/// Time since the start.
pub(crate) fn now(cs: CriticalSection<'_>) -> Instant {
    let mut seconds = SECONDS.borrow(cs).get();
    let mut left = SYST::get_current();
    // A second that has ended since interrupts were held back is not counted yet.
    if SCB::is_pendst_pending() {
        left = SYST::get_current();
        seconds += 1;
    }
    let ms = (CYCLES_PER_SECOND - 1).saturating_sub(left) / CYCLES_PER_MS;
    Instant::from_millis(u64::from(seconds) * 1_000 + u64::from(ms))
}

/// Wakes the processor in `ms` milliseconds, or earlier if that is long.
pub(crate) fn set_alarm(ms: u64) {
    TimerControl.write(0);
    TimerLoad.write(ms.min(60_000) as u32 * CYCLES_PER_MS);
    TimerControl.write(1);
}

/// Takes the alarm back.
pub(crate) fn clear_alarm() {
    TimerControl.write(0);
}

/// A second has passed; its end may have woken the program, which then looks at the time and goes to sleep again.
#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let seconds = SECONDS.borrow(cs);
        seconds.set(seconds.get().wrapping_add(1));
    });
}

/// That it came is all that matters.
#[interrupt]
fn TIMER_0A() {
    TimerClear.write(1);
}
