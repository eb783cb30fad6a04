//! Time: timer 1 counts 250 steps in a millisecond, and its interrupts quarters of a second; its second channel ends a sleep.

use core::cell::Cell;

use critical_section::{CriticalSection, Mutex};
use mqtt_session::Instant;

use crate::registers::Register::{
    AlarmHigh, AlarmLow, TimerControlB, TimerFlags, TimerHigh, TimerInterrupts, TimerLow,
    TimerTopHigh, TimerTopLow,
};

/// Steps of the timer in a millisecond: 16 MHz by 64.
const STEPS_PER_MS: u16 = 250;
/// Milliseconds in a round of the timer.
const ROUND_MS: u16 = 250;
const TOP: u16 = STEPS_PER_MS * ROUND_MS - 1;

/// Bits of the flags and of the interrupts: the timer is at its top, at the alarm.
const AT_TOP: u8 = 1 << 1;
const AT_ALARM: u8 = 1 << 2;

/// Milliseconds of the rounds that are over.
static ROUNDS: Mutex<Cell<Instant>> = Mutex::new(Cell::new(Instant::ZERO));

/// Starts the clock at 0.
pub(crate) fn start() {
    let [low, high] = TOP.to_le_bytes();
    TimerTopHigh.write(high);
    TimerTopLow.write(low);
    // From the top to 0 again; 16 MHz by 64.
    TimerControlB.write(1 << 3 | 0b011);
    TimerInterrupts.write(AT_TOP);
}

fn steps() -> u16 {
    // Reading the low byte keeps the high byte.
    let low = TimerLow.read();
    u16::from_le_bytes([low, TimerHigh.read()])
}

/// Time since the start.
pub(crate) fn now(cs: CriticalSection<'_>) -> Instant {
    let mut rounds = ROUNDS.borrow(cs).get();
    let mut at = steps();
    // A round that has ended since interrupts were held back is not counted yet.
    if TimerFlags.read() & AT_TOP != 0 {
        at = steps();
        rounds = rounds.plus_millis(u64::from(ROUND_MS));
    }
    rounds.plus_millis(u64::from(at / STEPS_PER_MS))
}

/// Wakes the processor in `ms` milliseconds, if that is within this round; the end of the round wakes it anyway.
pub(crate) fn set_alarm(ms: u64) {
    if ms >= u64::from(ROUND_MS) {
        return;
    }
    let at = steps().saturating_add(ms as u16 * STEPS_PER_MS);
    if at >= TOP {
        return;
    }
    let [low, high] = at.to_le_bytes();
    AlarmHigh.write(high);
    AlarmLow.write(low);
    // The flag of an earlier alarm may still be there: then the first sleep is short.
    TimerInterrupts.write(AT_TOP | AT_ALARM);
}

/// Takes the alarm back.
pub(crate) fn clear_alarm() {
    TimerInterrupts.write(AT_TOP);
}

/// A round is over.
#[unsafe(no_mangle)]
extern "avr-interrupt" fn __vector_11() {
    // The hardware has cleared the flag, and takes a zero for nothing; QEMU clears it now.
    TimerFlags.write(0);
    critical_section::with(|cs| {
        let rounds = ROUNDS.borrow(cs);
        rounds.set(rounds.get().plus_millis(u64::from(ROUND_MS)));
    });
}

/// The alarm: that it came is all that matters.
#[unsafe(no_mangle)]
extern "avr-interrupt" fn __vector_12() {
    clear_alarm();
}
