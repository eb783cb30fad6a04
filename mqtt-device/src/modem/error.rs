//! What went wrong.

use core::fmt;

/// How a command failed. The next step is to dial again, after a pause that grows and is jittered.
///
/// Which command it was, and what the modem said, is in [`Engine::report`](super::Engine::report) until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModemError {
    /// The modem answered with an error.
    Refused,
    /// The answer did not come in time.
    TimedOut,
    /// The answer contradicts the question: more bytes than were asked for.
    Garbled,
    /// There is no connection: none was dialled, or it is closed.
    NotConnected,
    /// A write was given up in its middle and never repeated, so that the modem still waits for bytes that nobody has any more: only
    /// its reset line helps. Call `restarted` after pulling it.
    Stuck,
    /// The SIM card has refused the PIN ([`Refused`](Self::Refused)) and asks for it again. It is not given again, for the third time would
    /// lock the card, until [`set_settings`](super::Engine::set_settings) says which is right.
    PinRefused,
    /// The serial line itself failed.
    Uart(embedded_io::ErrorKind),
}

impl fmt::Display for ModemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the modem refused a command",
            Self::TimedOut => "the modem did not answer in time",
            Self::Garbled => "the modem answered with nonsense",
            Self::NotConnected => "no connection",
            Self::Stuck => "the modem waits for the rest of a write that was given up: reset it",
            Self::PinRefused => "the PIN was refused, and is not given again",
            Self::Uart(_) => "the serial line failed",
        })
    }
}

impl core::error::Error for ModemError {}

impl embedded_io::Error for ModemError {
    fn kind(&self) -> embedded_io::ErrorKind {
        match *self {
            Self::NotConnected => embedded_io::ErrorKind::NotConnected,
            Self::TimedOut => embedded_io::ErrorKind::TimedOut,
            Self::Refused => embedded_io::ErrorKind::ConnectionAborted,
            Self::Garbled => embedded_io::ErrorKind::InvalidData,
            Self::Stuck => embedded_io::ErrorKind::Other,
            Self::PinRefused => embedded_io::ErrorKind::PermissionDenied,
            Self::Uart(kind) => kind,
        }
    }
}
