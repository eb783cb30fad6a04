//! The temperature of the chip, and random numbers from the noise of measuring it.

use core::cell::Cell;

use critical_section::Mutex;

use crate::registers::Register::{AdcControl, AdcHigh, AdcInput, AdcLow, TimerLow};

/// One sample of the temperature: 10 bits, about one for each degree.
fn sample() -> u16 {
    /// The converter runs until it has a sample.
    const RUNS: u8 = 1 << 6;
    // The reference of 1.1 V, and the channel of the sensor.
    AdcInput.write(0b1100_1000);
    // On, with a clock of 16 MHz by 128.
    AdcControl.write(1 << 7 | RUNS | 0b111);
    while AdcControl.read() & RUNS != 0 {}
    let low = AdcLow.read();
    u16::from_le_bytes([low, AdcHigh.read()])
}

/// Tenths of a degree, by the figures of the data sheet: 314 mV at 25 °C, one millivolt for each degree.
pub(crate) fn temperature() -> i16 {
    // 1.1 V are 1,024 steps; QEMU has no converter and says 0, for which room temperature stands.
    match sample() {
        0 => 215,
        sample => {
            (sample as i16)
                .wrapping_mul(10)
                .wrapping_add(sample as i16 / 4 * 3)
                - 2_890
        }
    }
}

static STATE: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// The next number of a xorshift generator, into which every call mixes a sample and the position of the clock.
pub(crate) fn random() -> u32 {
    let noise = u32::from(sample()) << 8 ^ u32::from(TimerLow.read());
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
