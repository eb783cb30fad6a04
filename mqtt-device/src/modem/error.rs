//! What went wrong: which command, how, and what the modem said.

use core::fmt;

/// Longest answer that an error keeps, in bytes.
const KEPT: usize = 28;

/// The front of the last line that the modem answered, at most 28 bytes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    bytes: [u8; KEPT],
    len: u8,
}

impl Answer {
    pub(super) const NONE: Self = Self {
        bytes: [0; KEPT],
        len: 0,
    };

    pub(super) fn of(line: &[u8]) -> Self {
        let mut answer = Self::NONE;
        for (slot, &byte) in answer.bytes.iter_mut().zip(line) {
            *slot = byte;
            answer.len += 1;
        }
        answer
    }

    /// The bytes as the modem sent them; empty when it said nothing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// How a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The modem answered with an error.
    Refused,
    /// The answer did not come in time; what was said meanwhile is in [`ModemError::answer`].
    TimedOut,
    /// The answer contradicts the question: more bytes than were asked for.
    Garbled,
    /// There is no connection: none was dialled, or it is closed.
    NotConnected,
    /// A write was given up in its middle and never repeated, so that the modem still waits for bytes that nobody has any more: only
    /// its reset line helps. Call `restarted` after pulling it.
    Stuck,
    /// The serial line itself failed.
    Uart(embedded_io::ErrorKind),
}

/// A command that failed. The next step is to dial again, after a pause that grows and is jittered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModemError {
    /// The command as it stands in the dialect's table, without its values; empty if no command was under way.
    pub command: &'static str,
    /// How it failed.
    pub failure: Failure,
    /// What the modem said last.
    pub answer: Answer,
}

impl fmt::Display for ModemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.failure {
            Failure::Refused => "was refused",
            Failure::TimedOut => "was not answered in time",
            Failure::Garbled => "was answered with nonsense",
            Failure::NotConnected => return f.write_str("no connection"),
            Failure::Stuck => {
                return f.write_str(
                    "the modem waits for the rest of a write that was given up: reset it",
                );
            }
            Failure::Uart(_) => "met a failing serial line",
        };
        write!(
            f,
            "{} {what}, the modem's last line was {:?}",
            self.command, self.answer
        )
    }
}

impl core::error::Error for ModemError {}

impl embedded_io::Error for ModemError {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self.failure {
            Failure::NotConnected => embedded_io::ErrorKind::NotConnected,
            Failure::TimedOut => embedded_io::ErrorKind::TimedOut,
            Failure::Refused => embedded_io::ErrorKind::ConnectionAborted,
            Failure::Garbled => embedded_io::ErrorKind::InvalidData,
            Failure::Stuck => embedded_io::ErrorKind::Other,
            Failure::Uart(kind) => kind,
        }
    }
}
