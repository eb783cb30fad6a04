//! The registers of the ATmega328P that this board uses, its interrupt flag and its stack: the module that touches the hardware.
//!
//! By hand: the crate that describes all registers generates them while it is built, with some fifty crates, for fewer than twenty.

use core::arch::{asm, global_asm};
use core::ptr;

/// A register of 8 bits: every variant is the address of one in data memory (data sheet of the ATmega328P, "Register Summary").
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum Register {
    Sleep = 0x53,
    Status = 0x5F,
    TimerInterrupts = 0x6F,
    AdcLow = 0x78,
    AdcHigh = 0x79,
    AdcControl = 0x7A,
    AdcInput = 0x7C,
    TimerControlB = 0x81,
    TimerLow = 0x84,
    TimerHigh = 0x85,
    TimerTopLow = 0x88,
    TimerTopHigh = 0x89,
    AlarmLow = 0x8A,
    AlarmHigh = 0x8B,
    UartStatus = 0xC0,
    UartControl = 0xC1,
    UartDivisorLow = 0xC4,
    UartData = 0xC6,
    TimerFlags = 0x36,
}

impl Register {
    /// What it holds; reading a register may do something, as the data sheet says.
    pub(crate) fn read(self) -> u8 {
        // SAFETY: every variant is the address of a register; no Rust object lies there.
        unsafe { (self as usize as *const u8).read_volatile() }
    }

    /// Writes it.
    pub(crate) fn write(self, value: u8) {
        // SAFETY: as for reading; none of these registers makes the hardware write to memory, and `Status` is never written.
        unsafe { (self as usize as *mut u8).write_volatile(value) }
    }
}

/// Critical sections: interrupts off, and back to what they were.
struct Interrupts;

critical_section::set_impl!(Interrupts);

/// The interrupt flag in the status register.
const ENABLED: u8 = 1 << 7;

// SAFETY: with one core, nothing runs beside a program whose interrupts are off; sections may be nested, for the former state comes back.
unsafe impl critical_section::Impl for Interrupts {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let status = Register::Status.read();
        // SAFETY: clears the interrupt flag; as memory may change in an interrupt before it, the compiler must not move accesses over it.
        unsafe { asm!("cli", options(nostack)) };
        status
    }

    unsafe fn release(status: critical_section::RawRestoreState) {
        if status & ENABLED != 0 {
            serve_interrupts();
        }
    }
}

// The instruction that ends an interrupt sets the flag too. It is used for that because QEMU looks for interrupts behind it, and not
// behind `sei`: a program whose every look at the hardware is a critical section would get none.
global_asm!(
    ".section .text.serve_interrupts,\"ax\",@progbits",
    "serve_interrupts: reti",
    ".previous",
);

/// Sets the interrupt flag, and lets interrupts run that wait for it.
fn serve_interrupts() {
    // SAFETY: a subroutine that returns at once; memory may change in an interrupt, so the compiler must not move accesses over it.
    unsafe { asm!("call serve_interrupts") };
}

/// The lightest sleep, in which UART and timer run.
const SLEEP_ENABLED: u8 = 1;

/// Switches interrupts and the instruction `sleep` on.
pub(crate) fn start_interrupts() {
    Register::Sleep.write(SLEEP_ENABLED);
    serve_interrupts();
}

/// Ends a critical section and sleeps until an interrupt; the section goes on afterwards.
///
/// QEMU has no sleep register, and after the interrupt its `sleep` sleeps again: there the program waits awake.
pub(crate) fn sleep_and_serve() {
    if Register::Sleep.read() == SLEEP_ENABLED {
        // The instruction behind `sei` runs before any interrupt does: none is slept over.
        // SAFETY: the caller looks at no shared state between here and the end of its section, so interrupts that run now interrupt nothing.
        unsafe { asm!("sei", "sleep", "cli", options(nostack)) };
    } else {
        serve_interrupts();
        // SAFETY: as above.
        unsafe { asm!("cli", options(nostack)) };
    }
}

/// Sleeps for ever.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: nothing runs afterwards.
        unsafe { asm!("cli", "sleep", options(nostack)) };
    }
}

unsafe extern "C" {
    /// The first byte behind the variables, from the linker script.
    static __heap_start: u8;
}

/// The last byte of RAM; the stack starts there.
const RAM_END: u16 = 0x08FF;

/// What unused stack is filled with.
const PAINT: u8 = 0xC5;

fn variables_end() -> u16 {
    (&raw const __heap_start) as usize as u16
}

fn stack_pointer() -> u16 {
    let (low, high): (u8, u8);
    // SAFETY: reads the stack pointer.
    unsafe {
        asm!("in {}, 0x3D", "in {}, 0x3E", out(reg) low, out(reg) high, options(nomem, nostack, preserves_flags))
    };
    u16::from_le_bytes([low, high])
}

/// Fills the memory between the variables and the stack.
pub(crate) fn paint_stack() {
    // Below the pointer nothing is held; the calls of this function itself take a few bytes, which must stay.
    for address in variables_end()..stack_pointer().saturating_sub(24) {
        // SAFETY: RAM that neither variables nor the stack use yet.
        unsafe {
            ptr::with_exposed_provenance_mut::<u8>(usize::from(address)).write_volatile(PAINT)
        };
    }
}

/// The most bytes that the stack has held.
pub(crate) fn stack_peak() -> u16 {
    let mut address = variables_end();
    // SAFETY: RAM behind the variables, read as raw memory.
    while address < RAM_END
        && unsafe { ptr::with_exposed_provenance::<u8>(usize::from(address)).read_volatile() }
            == PAINT
    {
        address += 1;
    }
    RAM_END + 1 - address
}
