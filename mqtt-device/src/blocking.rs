//! The client over `embedded-io`, for a bare loop or a task of its own.

use embedded_io::{Read, ReadReady, Write};
use mqtt_session::Instant;
use mqtt_session::compact::{Compact, Device, Event, Queue};

use crate::backoff::Backoff;
use crate::requests::requests;
use crate::{Dial, Identity};

/// A client that dials, sends what is queued, receives, keeps alive, and dials again.
#[derive(Debug)]
pub struct Client<'m, D: Device, C, I, Q> {
    machine: Compact<'m, D, Q>,
    identity: I,
    dial: C,
    backoff: Backoff,
}

impl<'m, D, C, I, Q> Client<'m, D, C, I, Q>
where
    D: Device,
    C: Dial<Connection: Read + Write + ReadReady>,
    I: Identity,
    Q: Queue,
{
    /// A client without a connection. What `receive` must hold says [`Compact::new`]; `seed` is a number that no two devices share, for
    /// the pauses between dials.
    pub fn new(identity: I, receive: &'m mut [u8], queue: Q, dial: C, seed: u32) -> Self {
        let version = identity.connect().version;
        Self {
            machine: Compact::new(receive, queue, version),
            identity,
            dial,
            backoff: Backoff::new(seed),
        }
    }

    /// Does what can be done without waiting, and gives the next event.
    ///
    /// At [`Event::Waiting`] sleep until the connection has bytes, or until [`deadline`](Self::deadline), or until there is something to
    /// publish; at any other event call again. A connection that is lost is dialled again after a pause; nothing that was queued is lost
    /// with it. Only the dial and the writes may block, as long as those of the connection do.
    // A frame of its own on AVR: whatever lies further than 64 bytes in one takes four instructions more at every access.
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub fn poll(&mut self, now: Instant) -> Event {
        let event = if !self.machine.is_closed() {
            self.turn(now)
        } else if !self.backoff.dialled {
            if self.backoff.pause(D::RETRY_MS, now) > 0 {
                return Event::Waiting;
            }
            if self.dial.dial().is_ok() {
                // CONNECT is for the next call, which knows the time: a dial may take minutes.
                self.backoff.dialled = true;
                return Event::Nothing;
            }
            Event::Lost
        } else {
            self.backoff.dialled = false;
            match self.machine.connect(&self.identity.connect(), now) {
                Ok(()) => return Event::Nothing,
                Err(_) if cfg!(mutation = "device-misuse-untold") => Event::Lost,
                Err(misuse) => Event::Misuse(misuse),
            }
        };
        if matches!(event, Event::Lost | Event::Misuse(_)) {
            self.dial.hang_up();
            self.machine.close();
            self.backoff.begin();
            if cfg!(mutation = "device-pause-before-dial") {
                let _ = self.backoff.pause(D::RETRY_MS, now);
            }
        }
        event
    }

    fn turn(&mut self, now: Instant) -> Event {
        let Some(connection) = self.dial.connection() else {
            return Event::Lost;
        };
        self.machine.timeout(now);
        loop {
            let bytes = self.machine.output(now);
            if bytes.is_empty() {
                break;
            }
            match connection.write(bytes) {
                Ok(count) if count > 0 => self.machine.written(count, now),
                _ => return Event::Lost,
            }
        }
        if connection.flush().is_err() || self.machine.is_closing() {
            return Event::Lost;
        }
        let event = self.machine.event(now);
        self.backoff.saw(&event);
        if !matches!(event, Event::Waiting) || self.machine.input().is_empty() {
            return event;
        }
        match connection.read_ready() {
            Ok(true) => match connection.read(self.machine.input()) {
                Ok(count) if count > 0 => {
                    self.machine.filled(count, now);
                    // There may be more behind it, for which a modem has to be asked first: only a line that has nothing lets the caller
                    // sleep.
                    Event::Nothing
                }
                _ => Event::Lost,
            },
            Ok(false) => event,
            Err(_) => Event::Lost,
        }
    }
}

requests!();
