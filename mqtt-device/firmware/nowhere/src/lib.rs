//! A board without hardware, for processors that we have no machine for: what a program takes there is seen when it is linked.
//!
//! Its connection and its clock are unknown to the optimiser, so that nothing of a program is left out.
#![no_std]

use core::convert::Infallible;
use core::future::pending;
use core::hint::black_box;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use firmware_board::Board;
use firmware_mem as _;
use mqtt_session::Instant;

/// The board.
#[derive(Debug)]
pub struct Nowhere;

/// Its connection.
#[derive(Debug)]
pub struct Void;

/// Makes a program of an application: `start!(path)`, a function of a board and a connection that returns the exit code.
#[macro_export]
macro_rules! start {
    ($application:path) => {
        #[expect(unsafe_code, reason = "the linker finds it by its name")]
        #[unsafe(no_mangle)]
        extern "C" fn start() -> ! {
            let code = $application(&$crate::Nowhere, $crate::Void);
            ::firmware_board::Board::exit(&$crate::Nowhere, code)
        }

        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo<'_>) -> ! {
            ::firmware_board::Board::exit(&$crate::Nowhere, 101)
        }
    };
}

impl Board for Nowhere {
    #[inline(never)]
    fn now(&self) -> Instant {
        black_box(Instant::ZERO)
    }

    #[inline(never)]
    fn random(&self) -> u32 {
        black_box(0)
    }

    #[inline(never)]
    fn temperature(&self) -> i16 {
        black_box(0)
    }

    #[inline(never)]
    fn idle(&self, until: Option<Instant>) {
        black_box(until);
    }

    fn stack_peak(&self) -> Option<usize> {
        None
    }

    #[inline(never)]
    fn exit(&self, code: u8) -> ! {
        black_box(code);
        loop {
            core::hint::spin_loop();
        }
    }
}

impl ErrorType for Void {
    type Error = Infallible;
}

impl Read for Void {
    #[inline(never)]
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        black_box(&mut *buffer);
        Ok(black_box(buffer.len()))
    }
}

impl ReadReady for Void {
    #[inline(never)]
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(black_box(true))
    }
}

impl Write for Void {
    #[inline(never)]
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        black_box(bytes);
        Ok(black_box(bytes.len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_io_async::Read for Void {
    #[inline(never)]
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if black_box(true) {
            Read::read(self, buffer)
        } else {
            pending().await
        }
    }
}

impl embedded_io_async::Write for Void {
    #[inline(never)]
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if black_box(true) {
            Write::write(self, bytes)
        } else {
            pending().await
        }
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
