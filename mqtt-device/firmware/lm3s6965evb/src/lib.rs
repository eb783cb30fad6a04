//! The board LM3S6965EVB: a Cortex-M3 with 256 kB of flash and 64 kB of RAM, the `lm3s6965evb` of QEMU.
//!
//! `start!` makes a program of an application. When it ends, QEMU ends: with the application's code through semihosting, after a line
//! `exit CODE, stack BYTES` on QEMU's standard error.
#![no_std]

#[expect(unsafe_code, reason = "an interrupt is switched on")]
mod clock;
#[expect(unsafe_code, reason = "registers of the hardware")]
mod registers;
mod sensor;
#[expect(unsafe_code, reason = "an interrupt is switched on")]
mod uart;

use core::ptr;

use cortex_m_semihosting::{debug, syscall1};
use firmware_board::{Board, Decimal};
use firmware_mem as _;
use mqtt_session::Instant;

pub use uart::{Overrun, Uart};

/// The board; there is one, and all values are that one.
#[derive(Debug)]
pub struct Lm3s6965evb(());

/// Makes a program of an application: `start!(path)`, a function of a board and a UART that returns the exit code.
#[macro_export]
macro_rules! start {
    ($application:path) => {
        #[expect(unsafe_code, reason = "the start code calls it by its name")]
        /// Called by the start code when memory is set up.
        #[unsafe(no_mangle)]
        extern "C" fn main() -> ! {
            let (board, uart) = $crate::start();
            let code = $application(&board, uart);
            ::firmware_board::Board::exit(&board, code)
        }
    };
}

/// A panic ends the program with code 101.
#[macro_export]
macro_rules! panic_exits {
    () => {
        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::exit(101)
        }
    };
}

/// A panic does not link: the handler calls a function that does not exist, so that a program in which a panic is left is none.
#[macro_export]
macro_rules! panic_does_not_link {
    () => {
        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo<'_>) -> ! {
            #[expect(unsafe_code, reason = "it is never linked")]
            unsafe extern "C" {
                safe fn a_panic_can_be_reached() -> !;
            }
            a_panic_can_be_reached()
        }
    };
}

/// Sets the board up; called once, by [`start!`].
#[must_use]
pub fn start() -> (Lm3s6965evb, Uart) {
    registers::start_clocks();
    sensor::start();
    uart::start();
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
    (Lm3s6965evb(()), Uart(()))
}

impl Board for Lm3s6965evb {
    fn now(&self) -> Instant {
        critical_section::with(clock::now)
    }

    fn random(&self) -> u32 {
        sensor::random()
    }

    fn temperature(&self) -> i16 {
        sensor::temperature()
    }

    fn idle(&self, until: Option<Instant>) {
        sleep(until);
    }

    fn stack_peak(&self) -> Option<usize> {
        Some(stack_peak())
    }

    fn exit(&self, code: u8) -> ! {
        exit(code)
    }
}

/// Sleeps until the UART is readable or that instant has come.
fn sleep(until: Option<Instant>) {
    loop {
        let awake = critical_section::with(|cs| {
            if uart::is_readable(cs) {
                return true;
            }
            if let Some(until) = until {
                let left = until.millis_since(clock::now(cs));
                if left == 0 {
                    return true;
                }
                clock::set_alarm(left);
            }
            // An interrupt that comes from here on is held back, and ends the wait at once: no byte is slept over.
            cortex_m::asm::wfi();
            false
        });
        if awake {
            clock::clear_alarm();
            return;
        }
    }
}

/// The most bytes that the stack has held: what the start code has painted is scanned from the far end.
#[expect(unsafe_code, reason = "memory that holds no variable")]
fn stack_peak() -> usize {
    let start = cortex_m_rt::heap_start() as usize;
    unsafe extern "C" {
        /// The top of the stack, from the linker script.
        static _stack_start: u32;
    }
    let end = (&raw const _stack_start) as usize;
    let is_painted = |address: &usize| {
        // SAFETY: between the end of the variables and the top of the stack is RAM; it is read as raw memory, word by word.
        let word = unsafe { ptr::with_exposed_provenance::<u32>(*address).read_volatile() };
        word == cortex_m_rt::STACK_PAINT_VALUE
    };
    let painted = (start..end).step_by(4).take_while(is_painted).count();
    end.saturating_sub(start).saturating_sub(4 * painted)
}

/// Tells the code and the stack's peak to QEMU, and ends it.
pub fn exit(code: u8) -> ! {
    print(b"exit ", u16::from(code));
    print(b", stack ", stack_peak() as u16);
    write(b"\n");
    debug::exit(if code == 0 {
        debug::EXIT_SUCCESS
    } else {
        debug::EXIT_FAILURE
    });
    // On a board without a debugger.
    loop {
        cortex_m::asm::wfi();
    }
}

fn print(name: &[u8], number: u16) {
    write(name);
    write(Decimal::new(number).as_bytes());
}

/// To the console of the debugger, which is standard error of QEMU.
#[expect(unsafe_code, reason = "a call of the debugger")]
fn write(bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: the debugger reads one byte, which outlives the call, and writes nothing.
        unsafe { syscall1!(WRITEC, ptr::from_ref(byte)) };
    }
}
