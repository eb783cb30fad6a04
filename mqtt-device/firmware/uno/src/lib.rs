//! The board Arduino Uno: an ATmega328P, 8 bits, with 32 kB of flash and 2 kB of RAM, the `uno` of QEMU.
//!
//! `start!` makes a program of an application. When it ends, it says `exit CODE, stack BYTES` on a line of its own through the UART, and
//! sleeps for ever: this board has no other way to tell.
#![no_std]
#![feature(abi_avr_interrupt, asm_experimental_arch)]

#[expect(unsafe_code, reason = "interrupts are found by their names")]
mod clock;
#[expect(unsafe_code, reason = "registers of the hardware")]
mod registers;
mod sensor;
#[expect(unsafe_code, reason = "interrupts are found by their names")]
mod uart;

use embedded_io::Write;
use firmware_board::{Board, Decimal};
use firmware_mem as _;
use mqtt_session::Instant;

pub use uart::{Overrun, Uart};

/// The board; there is one, and all values are that one.
#[derive(Debug)]
pub struct Uno(());

/// Makes a program of an application: `start!(path)`, a function of a board and a UART that returns the exit code.
#[macro_export]
macro_rules! start {
    ($application:path) => {
        #[expect(unsafe_code, reason = "the start code calls it by its name")]
        /// Called by the start code of avr-libc.
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
pub fn start() -> (Uno, Uart) {
    registers::paint_stack();
    uart::start();
    clock::start();
    registers::start_interrupts();
    (Uno(()), Uart(()))
}

impl Board for Uno {
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
        Some(usize::from(registers::stack_peak()))
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
            registers::sleep_and_serve();
            false
        });
        if awake {
            clock::clear_alarm();
            return;
        }
    }
}

/// Tells the code and the stack's peak, and stops.
pub fn exit(code: u8) -> ! {
    let peak = registers::stack_peak();
    let mut uart = Uart(());
    for (name, number) in [(&b"\nexit "[..], u16::from(code)), (b", stack ", peak)] {
        let _ = uart.write(name);
        let _ = uart.write(Decimal::new(number).as_bytes());
    }
    let _ = uart.write(b"\n");
    let _ = uart.flush();
    registers::stop()
}
