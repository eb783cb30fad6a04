//! The temperature of the chip, and random numbers from the noise of measuring it.

use core::cell::Cell;

use cortex_m::peripheral::SYST;
use critical_section::Mutex;

use crate::registers::Register::{
    AdcActive, AdcClear, AdcRawInterrupts, AdcSample, AdcSampleControl, AdcTrigger, TimerControl,
    TimerInterrupts, TimerLoad,
};

/// Sequencer 3 of the converter, as a bit.
const SEQUENCER_3: u32 = 1 << 3;

/// Sequencer 3 takes one sample of the temperature when timer 0 says so (the one trigger that QEMU knows as well).
pub(crate) fn start() {
    AdcActive.write(0);
    AdcTrigger.write(0x5 << 12);
    // One sample: of the temperature, the last, to be noted when done.
    AdcSampleControl.write(0b1110);
    AdcActive.write(SEQUENCER_3);
}

/// One sample: 10 bits.
fn sample() -> u32 {
    AdcClear.write(SEQUENCER_3);
    TimerInterrupts.write(0);
    TimerControl.write(0);
    TimerLoad.write(16);
    // Run, and trigger the converter at the end.
    TimerControl.write(1 << 5 | 1);
    // A sample takes some microseconds, in QEMU on a busy computer milliseconds; a converter that does not answer must not stop the
    // program.
    for _ in 0..1_000_000 {
        if AdcRawInterrupts.read() & SEQUENCER_3 != 0 {
            break;
        }
    }
    TimerControl.write(0);
    TimerInterrupts.write(1);
    AdcSample.read() & 0x3FF
}

/// Tenths of a degree: 147.5 °C less 225 °C for the whole range.
pub(crate) fn temperature() -> i16 {
    (1_475 - (sample() as i32 * 2_250) / 1_023) as i16
}

static STATE: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// The next number of a xorshift generator, into which every call mixes a sample and the position of the clock.
pub(crate) fn random() -> u32 {
    let noise = sample() << 24 ^ SYST::get_current();
    critical_section::with(|cs| {
        let state = STATE.borrow(cs);
        let mut x = state.get() ^ noise | 1;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        state.set(x);
        x
    })
}
