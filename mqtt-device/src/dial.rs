//! How a connection comes about, and who is at this end of it.

use core::fmt;

use mqtt_codec::Connect;

/// Opens connections to the broker, again and again: a modem, a TCP stack, a closure.
pub trait Dial {
    /// A byte stream to the broker.
    type Connection;
    /// Why there is none.
    type Error;

    /// Opens a connection; an earlier one is given up.
    ///
    /// # Errors
    /// There is none now; it is asked again after a pause.
    fn dial(&mut self) -> Result<(), Self::Error>;

    /// The connection, from a successful [`dial`](Self::dial) to [`hang_up`](Self::hang_up).
    fn connection(&mut self) -> Option<&mut Self::Connection>;

    /// Closes the connection.
    fn hang_up(&mut self);
}

/// A function that opens a connection, and the connection, which is dropped to close it.
pub struct Dialler<F, C, E> {
    open: F,
    connection: Option<C>,
    error: Option<E>,
}

impl<F, C: fmt::Debug, E: fmt::Debug> fmt::Debug for Dialler<F, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler")
            .field("connection", &self.connection)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<C, E, F: FnMut() -> Result<C, E>> Dialler<F, C, E> {
    /// Opens connections by this function.
    pub const fn new(open: F) -> Self {
        Self {
            open,
            connection: None,
            error: None,
        }
    }

    /// Why the last dial failed, if it did: what [`Event::Lost`](crate::Event::Lost) does not say.
    pub const fn error(&self) -> Option<&E> {
        self.error.as_ref()
    }
}

impl<C, E, F: FnMut() -> Result<C, E>> Dial for Dialler<F, C, E> {
    type Connection = C;
    /// [`error`](Self::error) has it.
    type Error = ();

    fn dial(&mut self) -> Result<(), ()> {
        self.connection = None;
        let opened = (self.open)().map_err(|error| self.error = Some(error));
        self.connection = Some(opened?);
        self.error = None;
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    fn hang_up(&mut self) {
        self.connection = None;
    }
}

impl<D: Dial> Dial for &mut D {
    type Connection = D::Connection;
    type Error = D::Error;

    fn dial(&mut self) -> Result<(), D::Error> {
        (**self).dial()
    }

    fn connection(&mut self) -> Option<&mut D::Connection> {
        (**self).connection()
    }

    fn hang_up(&mut self) {
        (**self).hang_up();
    }
}

/// What CONNECT says; asked at every connection, so that a password may be a fresh one.
///
/// A function whose answer is known while compiling costs no more flash than the bytes of the packet.
pub trait Identity {
    /// The packet to send.
    fn connect(&self) -> Connect<'_>;
}

impl Identity for Connect<'_> {
    fn connect(&self) -> Connect<'_> {
        *self
    }
}

impl<F: Fn() -> Connect<'static>> Identity for F {
    fn connect(&self) -> Connect<'_> {
        self()
    }
}

/// The keep-alive, in seconds, that holds a way through a network open: pings go out when nothing else does, and soon enough for the
/// network to forget nothing.
///
/// `nat_timeout` is for how long the network remembers a silent connection, in seconds; where it is not known, 5 minutes are safe
/// for most, and cellular networks with half an hour are common. A ping and its answer take 124 bytes with TCP's and IP's headers: every
/// 60 seconds 5.4 MB in 30 days, every 29 minutes 0.19 MB. A device that sleeps wants 0, none, and says goodbye first.
#[must_use]
pub const fn keep_alive_for(nat_timeout: u16) -> u16 {
    // One thirtieth, and at least a second, for the ping to arrive.
    let margin = nat_timeout / 30;
    let keep_alive = nat_timeout.saturating_sub(if margin == 0 { 1 } else { margin });
    if keep_alive == 0 { 1 } else { keep_alive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_before_the_network_forgets() {
        assert_eq!(keep_alive_for(1_800), 1_740);
        for timeout in 2..=u16::MAX {
            let keep_alive = keep_alive_for(timeout);
            assert!(keep_alive >= 1 && keep_alive < timeout, "{timeout}");
        }
    }
}
