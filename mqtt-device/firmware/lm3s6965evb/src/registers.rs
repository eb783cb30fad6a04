//! The registers of the LM3S6965 that this board uses: the one module of the board that touches the hardware's memory.
//!
//! By hand, for they are few; no crate describes the chip's registers, and the drivers for its UART's model (PL011) bring more code than
//! the five registers need.

/// A register: every variant is the address of one (data sheet of the LM3S6965, "Register Map" of each chapter).
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Register {
    SystemRawInterrupts = 0x400F_E050,
    SystemClock = 0x400F_E060,
    ClockAdc = 0x400F_E100,
    ClockUartTimer = 0x400F_E104,
    ClockGpio = 0x400F_E108,
    PortAFunction = 0x4000_4420,
    PortADigital = 0x4000_451C,
    UartData = 0x4000_C000,
    UartFlags = 0x4000_C018,
    UartDivisor = 0x4000_C024,
    UartFraction = 0x4000_C028,
    UartLine = 0x4000_C02C,
    UartControl = 0x4000_C030,
    UartInterrupts = 0x4000_C038,
    TimerMode = 0x4003_0004,
    TimerControl = 0x4003_000C,
    TimerInterrupts = 0x4003_0018,
    TimerClear = 0x4003_0024,
    TimerLoad = 0x4003_0028,
    AdcActive = 0x4003_8000,
    AdcRawInterrupts = 0x4003_8004,
    AdcClear = 0x4003_800C,
    AdcTrigger = 0x4003_8014,
    AdcSampleControl = 0x4003_80A4,
    AdcSample = 0x4003_80A8,
}

use Register::{ClockAdc, ClockGpio, ClockUartTimer, SystemClock, SystemRawInterrupts};

impl Register {
    /// What it holds; reading a register may do something, as the data sheet says.
    pub(crate) fn read(self) -> u32 {
        // SAFETY: every variant is the aligned address of a 32-bit register that exists as soon as its unit has a clock, which `start`
        // of this board sees to before anything else; no Rust object lies there.
        unsafe { (self as usize as *const u32).read_volatile() }
    }

    /// Writes it.
    pub(crate) fn write(self, value: u32) {
        // SAFETY: as for reading; none of these registers makes the hardware write to memory (there is no DMA among them).
        unsafe { (self as usize as *mut u32).write_volatile(value) }
    }
}

/// Cycles of the processor's clock in a millisecond.
pub(crate) const CYCLES_PER_MS: u32 = 12_500;

/// The processor at 12.5 MHz (200 MHz of the PLL by 16) from the crystal of 8 MHz, and clocks for the units that are used.
pub(crate) fn start_clocks() {
    const DIVIDE_BY_16: u32 = 0xF << 23;
    const USE_DIVISOR: u32 = 1 << 22;
    const BYPASS_PLL: u32 = 1 << 11;
    const CRYSTAL_8_MHZ: u32 = 0xE << 6;
    const PLL_LOCKED: u32 = 1 << 6;
    let crystal = DIVIDE_BY_16 | USE_DIVISOR | CRYSTAL_8_MHZ;
    SystemClock.write(crystal | BYPASS_PLL);
    while SystemRawInterrupts.read() & PLL_LOCKED == 0 {}
    SystemClock.write(crystal);
    ClockAdc.write(1 << 16);
    ClockUartTimer.write(1 << 16 | 1);
    ClockGpio.write(1);
    // The units answer after three cycles.
    cortex_m::asm::delay(8);
}
