//! The blocking transport: a TCP stream over a UART with `embedded-io`.

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write};
use mqtt_session::Instant;

use super::{Engine, ModemError, PIECE, Signal, Task};

/// The time, and how to let it pass: what a blocking [`Modem`] waits by.
///
/// A function that tells the time is a clock, with which the processor stays awake while the modem thinks: for seconds, when it dials. A
/// pair is one that sleeps meanwhile: a function that tells the time, and one that [sleeps](Clock::sleep).
pub trait Clock {
    /// Whether it sleeps: for one that does not, nobody finds out until when it could.
    const SLEEPS: bool = true;

    /// The time.
    fn now(&mut self) -> Instant;

    /// Sleeps until the UART has a byte, or until that instant; without one, however long that takes. May return earlier.
    fn sleep(&mut self, until: Option<Instant>);
}

impl<F: FnMut() -> Instant> Clock for F {
    const SLEEPS: bool = false;

    fn now(&mut self) -> Instant {
        self()
    }

    fn sleep(&mut self, _: Option<Instant>) {}
}

impl<F: FnMut() -> Instant, S: FnMut(Option<Instant>)> Clock for (F, S) {
    fn now(&mut self) -> Instant {
        (self.0)()
    }

    fn sleep(&mut self, until: Option<Instant>) {
        (self.1)(until);
    }
}

/// A TCP connection through a modem on a blocking UART.
///
/// No call lasts longer than the time-outs of its commands, but a read of a connection on which nothing comes: ask
/// [`ReadReady::read_ready`] before, it never waits. There is no tick: while it waits, `clock` sleeps until a byte or a time-out.
#[derive(Debug)]
pub struct Modem<'m, U, C> {
    uart: U,
    clock: C,
    engine: Engine<'m>,
}

impl<'m, U: Read + Write + ReadReady, C: Clock> Modem<'m, U, C> {
    /// A modem on this UART.
    pub const fn new(uart: U, clock: C, engine: Engine<'m>) -> Self {
        Self {
            uart,
            clock,
            engine,
        }
    }

    /// The engine, for its settings and after a reset by hand.
    pub const fn engine(&mut self) -> &mut Engine<'m> {
        &mut self.engine
    }

    /// Opens the connection, from whatever state.
    pub fn dial(&mut self) -> Result<(), ModemError> {
        self.run(Task::Dial)
    }

    /// Closes the connection.
    pub fn close(&mut self) -> Result<(), ModemError> {
        self.run(Task::Close)
    }

    /// Strength of the signal; `None` if the modem does not know.
    pub fn signal(&mut self) -> Result<Option<Signal>, ModemError> {
        self.run(Task::Signal)?;
        Ok(self.engine.signal())
    }

    /// Has the modem save power until [`Modem::wake`]; `seconds` is for modems that wake up by themselves.
    pub fn sleep(&mut self, seconds: u16) -> Result<(), ModemError> {
        self.run(Task::Sleep(seconds))
    }

    /// Ends [`Modem::sleep`]. A dial does that too.
    pub fn wake(&mut self) -> Result<(), ModemError> {
        self.run(Task::Wake)
    }

    fn run(&mut self, task: Task) -> Result<(), ModemError> {
        loop {
            self.look_at_clock();
            if let Some(result) = self.engine.run_task(task) {
                return result;
            }
            self.turn_or_sleep(&[])?;
        }
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    fn look_at_clock(&mut self) {
        self.engine.set_now(self.clock.now());
    }

    /// Moves bytes; where there is nothing to do, sleeps until a byte comes or a time-out.
    fn turn_or_sleep(&mut self, payload: &[u8]) -> Result<(), ModemError> {
        if !self.turn(payload)? && C::SLEEPS {
            let due = self.engine.deadline(self.clock.now());
            self.clock.sleep(due);
        }
        Ok(())
    }

    /// Does what can be done without waiting; says whether there was anything.
    fn turn(&mut self, payload: &[u8]) -> Result<bool, ModemError> {
        let mut moved = false;
        let output = self.engine.output(payload);
        if !output.is_empty() {
            moved = true;
            match self.uart.write(output) {
                Ok(count) => self.engine.advance(count),
                Err(error) => return Err(self.engine.write_failed(error.kind())),
            }
            if self.engine.output(payload).is_empty()
                && let Err(error) = self.uart.flush()
            {
                return Err(self.engine.write_failed(error.kind()));
            }
        }
        let mut buffer = [0; PIECE];
        let read = match self.uart.read_ready() {
            Ok(true) => self.uart.read(&mut buffer).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let lost = match read {
            Ok(None) => None,
            Ok(Some(0)) => self.engine.read_failed(ErrorKind::BrokenPipe),
            Ok(Some(count)) => {
                moved = true;
                self.engine.take_in(buffer.get(..count).unwrap_or_default());
                None
            }
            Err(error) => self.engine.read_failed(error.kind()),
        };
        if let Some(error) = lost {
            return Err(error);
        }
        Ok(self.engine.expire() || moved)
    }
}

impl<U, C> ErrorType for Modem<'_, U, C> {
    type Error = ModemError;
}

impl<U: Read + Write + ReadReady, C: Clock> Read for Modem<'_, U, C> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ModemError> {
        loop {
            self.look_at_clock();
            if let Some(result) = self.engine.read_stream(buffer) {
                return result;
            }
            self.turn_or_sleep(&[])?;
        }
    }
}

impl<U: Read + Write + ReadReady, C: Clock> ReadReady for Modem<'_, U, C> {
    /// Whether a read has an answer; moves what can be moved without waiting. A failed connection is ready to say so.
    fn read_ready(&mut self) -> Result<bool, ModemError> {
        loop {
            self.look_at_clock();
            if self.engine.fetch() {
                return Ok(true);
            }
            if !self.turn(&[])? {
                return Ok(self.engine.fetch());
            }
        }
    }
}

impl<U: Read + Write + ReadReady, C: Clock> Write for Modem<'_, U, C> {
    fn write(&mut self, payload: &[u8]) -> Result<usize, ModemError> {
        loop {
            self.look_at_clock();
            if let Some(result) = self.engine.write_stream(payload) {
                return result;
            }
            self.turn_or_sleep(payload)?;
        }
    }

    /// Nothing waits: a write is done when the modem has the bytes.
    fn flush(&mut self) -> Result<(), ModemError> {
        Ok(())
    }
}

impl<U: Read + Write + ReadReady, C: Clock> crate::Dial for Modem<'_, U, C> {
    type Connection = Self;
    type Error = ModemError;

    fn dial(&mut self) -> Result<(), ModemError> {
        Modem::dial(self)
    }

    fn connection(&mut self) -> Option<&mut Self> {
        Some(self)
    }

    /// Closes the connection; whether that succeeds does not matter, for the next dial begins from whatever state.
    fn hang_up(&mut self) {
        let _ = self.close();
    }
}
