//! UART 0 at 115,200 baud: received bytes come by interrupt into a ring, written ones go straight into the hardware's queue.

use core::future::poll_fn;
use core::task::Poll;

use cortex_m::peripheral::NVIC;
use critical_section::{CriticalSection, Mutex};
use embedded_io::{Error, ErrorKind, ErrorType, Read, ReadReady, Write};
use firmware_board::Received;
use lm3s6965::{Interrupt, interrupt};

use crate::registers::Register::{
    PortADigital, PortAFunction, UartControl, UartData, UartDivisor, UartFlags, UartFraction,
    UartInterrupts, UartLine,
};

/// Bytes that wait for the program, beside the 16 of the hardware's queue.
const RING: usize = 32;

static RECEIVED: Mutex<Received<RING>> = Mutex::new(Received::new());

/// Interrupts: bytes have come, and fewer than a quarter of the queue for a while.
const RECEIVE: u32 = 1 << 4 | 1 << 6;
const RECEIVE_EMPTY: u32 = 1 << 4;
const SEND_FULL: u32 = 1 << 5;
const BUSY: u32 = 1 << 3;
const OVERRUN: u32 = 1 << 11;

/// The UART, with the traits of embedded-io; there is one, and all values are that one.
///
/// A read waits until a byte comes and sleeps meanwhile; a write waits, at most for the time of 16 bytes on the line, without sleeping.
/// While nobody reads and the ring is full, bytes stay in the hardware's queue, which stops a sender that heeds flow control.
#[derive(Debug)]
pub struct Uart(pub(crate) ());

/// Bytes came faster than they were read, and some are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl core::fmt::Display for Overrun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the UART has lost bytes")
    }
}

impl core::error::Error for Overrun {}

impl Error for Overrun {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Sets the line up.
pub(crate) fn start() {
    PortAFunction.write(0b11);
    PortADigital.write(0b11);
    UartControl.write(0);
    // 12.5 MHz / (16 * 115,200) = 6 + 50/64.
    UartDivisor.write(6);
    UartFraction.write(50);
    // 8 bits, no parity, one stop bit, queues on; the line register goes last.
    UartLine.write(0b111 << 4);
    UartInterrupts.write(RECEIVE);
    UartControl.write(1 << 9 | 1 << 8 | 1);
    // SAFETY: no critical section of this crate is made by masking single interrupts.
    unsafe { NVIC::unmask(Interrupt::UART0) };
}

/// Whether a read would not wait.
pub(crate) fn is_readable(cs: CriticalSection<'_>) -> bool {
    !RECEIVED.borrow(cs).is_empty()
}

/// Empties the hardware's queue into the ring; when the ring is full, the rest waits for the next read.
#[interrupt]
fn UART0() {
    critical_section::with(|cs| {
        let received = RECEIVED.borrow(cs);
        while UartFlags.read() & RECEIVE_EMPTY == 0 {
            if received.is_full() {
                UartInterrupts.write(0);
                return;
            }
            let data = UartData.read();
            if data & OVERRUN != 0 {
                received.lose();
            }
            received.push(data as u8);
        }
    });
}

/// Takes what is there; `None` if nothing is.
fn take(buffer: &mut [u8]) -> Option<Result<usize, Overrun>> {
    critical_section::with(|cs| {
        let received = RECEIVED.borrow(cs);
        if received.take_loss() {
            return Some(Err(Overrun));
        }
        let mut count = 0;
        for place in buffer.iter_mut() {
            let Some(byte) = received.pop() else { break };
            *place = byte;
            count += 1;
        }
        UartInterrupts.write(RECEIVE);
        (count > 0 || buffer.is_empty()).then_some(Ok(count))
    })
}

impl ErrorType for Uart {
    type Error = Overrun;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Overrun> {
        loop {
            if let Some(result) = take(buffer) {
                return result;
            }
            crate::sleep(None);
        }
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Overrun> {
        Ok(critical_section::with(is_readable))
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Overrun> {
        let mut count = 0;
        for byte in bytes {
            while UartFlags.read() & SEND_FULL != 0 {
                if count > 0 {
                    return Ok(count);
                }
            }
            UartData.write(u32::from(*byte));
            count += 1;
        }
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Overrun> {
        while UartFlags.read() & BUSY != 0 {}
        Ok(())
    }
}

impl embedded_io_async::Read for Uart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Overrun> {
        poll_fn(|_| take(buffer).map_or(Poll::Pending, Poll::Ready)).await
    }
}

impl embedded_io_async::Write for Uart {
    /// Waits as the blocking one does: no interrupt says that there is room.
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Overrun> {
        Write::write(self, bytes)
    }

    async fn flush(&mut self) -> Result<(), Overrun> {
        Write::flush(self)
    }
}
