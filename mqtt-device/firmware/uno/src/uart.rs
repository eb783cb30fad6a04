//! UART 0 at 115,200 baud: received bytes come by interrupt into a ring, written ones go straight to the hardware.

use core::future::poll_fn;
use core::task::Poll;

use critical_section::{CriticalSection, Mutex};
use embedded_io::{Error, ErrorKind, ErrorType, Read, ReadReady, Write};
use firmware_board::Received;

use crate::registers::Register::{UartControl, UartData, UartDivisorLow, UartStatus};

/// Bytes that wait for the program, beside the two that the hardware holds.
const RING: usize = 32;

static RECEIVED: Mutex<Received<RING>> = Mutex::new(Received::new());

/// Bits of the status: the next byte may be written, bytes were lost, twice the speed.
const CAN_SEND: u8 = 1 << 5;
const OVERRUN: u8 = 1 << 3;
const DOUBLE_SPEED: u8 = 1 << 1;

/// Receiver and sender on; its interrupt.
const ON: u8 = 1 << 4 | 1 << 3;
const RECEIVE_INTERRUPT: u8 = 1 << 7;

/// The UART, with the traits of embedded-io; there is one, and all values are that one.
///
/// A read waits until a byte comes and sleeps meanwhile; a write waits without sleeping. While nobody reads and the ring is full, bytes
/// stay in the hardware.
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

/// Sets the line up; 8 bits, no parity and one stop bit are the reset state.
pub(crate) fn start() {
    UartStatus.write(DOUBLE_SPEED);
    // 16 MHz / (8 * 115,200) - 1.
    UartDivisorLow.write(16);
    UartControl.write(ON | RECEIVE_INTERRUPT);
}

/// Whether a read would not wait.
pub(crate) fn is_readable(cs: CriticalSection<'_>) -> bool {
    !RECEIVED.borrow(cs).is_empty()
}

/// A byte has come; when the ring is full, it waits for the next read.
#[unsafe(no_mangle)]
extern "avr-interrupt" fn __vector_18() {
    critical_section::with(|cs| {
        let received = RECEIVED.borrow(cs);
        if received.is_full() {
            UartControl.write(ON);
            return;
        }
        if UartStatus.read() & OVERRUN != 0 {
            received.lose();
        }
        received.push(UartData.read());
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
        UartControl.write(ON | RECEIVE_INTERRUPT);
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
        for byte in bytes {
            while UartStatus.read() & CAN_SEND == 0 {}
            UartData.write(*byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Overrun> {
        while UartStatus.read() & CAN_SEND == 0 {}
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
