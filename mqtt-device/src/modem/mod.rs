//! AT-command modems: a serial line in, a TCP connection out.
//!
//! ```text
//!   client ──read, write──▶ Modem / AsyncModem ──bytes──▶ UART ──▶ SIM800, ESP32, … ──▶ broker
//!                                  │
//!                               Engine      sans-IO: bytes and time in; bytes, a deadline and results out
//!                                  │
//!                               Script      a Dialect, squeezed: commands, answers and times of one family of modems, as a table
//! ```
//!
//! [`Engine`] is the whole logic, without a UART and without a clock. [`Modem`] drives it over [`embedded_io`], `AsyncModem` (feature
//! `async`) over `embedded_io_async`; both are TCP streams in the sense of these traits. What a modem says goes to the front of a piece of
//! memory of the caller's and is taken out line by line, so that a time-out, a short read or a future that is dropped loses nothing:
//! half a line waits for its other half, and stream bytes that have arrived wait for the next read.
//!
//! Every command has a time-out. When one fails, [`ModemError`] says how, [`Engine::report`] which one that was and what the modem
//! answered, and the connection is over; the next dial begins with waking the modem up and finding its place in the conversation again.
//! How long to wait before that is the caller's decision.
//!
//! # Why no crate for AT commands
//!
//! Looked at in November 2026, both under MIT or Apache-2.0:
//!
//! * `atat` 0.25.0 allocates nothing either, and has a blocking and an async client. It is the layer below this one: commands and answers
//!   are types, made and parsed with serde and nom; prompts, raw bytes and the TCP stream are left to crates for single modems. It brings
//!   embassy-time, whose global clock the blocking client waits on too, embassy-sync, heapless and nom; what comes in is sorted by an
//!   ingress task with buffers of its own beside the client's. Here a whole modem is a table of half a kB, time comes in by argument, and
//!   one piece of memory serves for lines and stream.
//! * `at-commands` 0.5.8 (of 2 January 2026) depends on nothing. It builds a command in a buffer and takes a complete answer apart, which
//!   is what the tables do here; where an answer ends, unsolicited lines, prompts, raw bytes, time-outs and cancellation, the rest, it
//!   leaves to its caller.

#[cfg(feature = "async")]
mod asynchronous;
mod blocking;
mod conversation;
mod dialect;
mod engine;
mod error;
mod report;
mod script;
mod stream;
#[cfg(test)]
mod tests;
mod ticks;

use core::fmt;

#[cfg(feature = "async")]
pub use asynchronous::AsyncModem;
pub use blocking::{Clock, Modem};
pub use dialect::{Dialect, ESP_AT_DIALECT, Otherwise, SIM800_DIALECT, Step};
pub use engine::{Engine, Signal, Task};
pub use error::ModemError;
pub use report::Report;
pub use script::Script;

/// SIM800, SIM808 and SIM900 of SIMCom, also as Adafruit's FONA: [`SIM800_DIALECT`] as the engine reads it.
pub const SIM800: Script = crate::script!(SIM800_DIALECT);

/// ESP-AT of Espressif, on ESP32 and ESP8266: [`ESP_AT_DIALECT`] as the engine reads it.
pub const ESP_AT: Script = crate::script!(ESP_AT_DIALECT);

/// Bytes that a transport reads from its UART at once.
const PIECE: usize = 16;

/// Whom to call, and through which network.
#[derive(Clone, Copy, Default)]
pub struct Settings<'s> {
    /// Name or address of the broker.
    pub host: &'s str,
    /// Its port.
    pub port: u16,
    /// APN of the mobile network, or name of the Wi-Fi network.
    pub network: &'s str,
    /// User of the mobile network; mostly empty.
    pub user: &'s str,
    /// Password of the mobile or the Wi-Fi network.
    pub password: &'s str,
    /// PIN of the SIM card; sent only if the card asks for one. A card that was told a wrong PIN three times locks itself until it is told
    /// its PUK: one that it refuses is not sent again, and dials fail ([`ModemError::PinRefused`]) until [`Engine::set_settings`] is
    /// called. That is kept in the engine alone: a device that restarts sends its PIN once more, so do not restart it for want of a
    /// connection without a look at the error. One that is not answered in time may have been right, and is sent again.
    pub pin: &'s str,
}

impl Settings<'_> {
    /// The text for which this byte of a script stands: the value with this number in `script::NAMES`, but the first, or a prefix.
    #[cfg_attr(target_arch = "avr", inline(never))]
    const fn text(&self, byte: u8) -> &[u8] {
        let text = match byte {
            2 => &self.host,
            3 => &self.network,
            4 => &self.user,
            5 => &self.password,
            6 => &self.pin,
            7 => &script::PREFIXES[0],
            _ => &script::PREFIXES[1],
        };
        text.as_bytes()
    }
}

/// Without the secrets.
impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("network", &self.network)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
