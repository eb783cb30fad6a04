//! An AT-command modem on the host: a serial line on one side, TCP on the other, faults by flags.
//!
//! [`Emulator`] is the modem without sockets and without a clock: bytes of the serial line and time in, bytes and [`Wish`]es for the
//! network out, so that tests run it in virtual time. The program `at-modem` puts real sockets and the real clock around it.
//!
//! ```
//! use mqtt_at_modem::{Emulator, Options, Wish};
//!
//! let mut modem = Emulator::new(Options::default());
//! modem.serial_in(b"ATE0\rAT+CSQ\r", 0);
//! assert_eq!(modem.serial_out(0), b"ATE0\r\r\nOK\r\n\r\n+CSQ: 17,0\r\n\r\nOK\r\n");
//! modem.serial_in(b"AT+CSTT=\"internet\",\"\",\"\"\rAT+CIICR\rAT+CIFSR\rAT+CIPSTART=\"TCP\",\"broker\",1883\r", 0);
//! assert_eq!(modem.wish(), Some(Wish::Connect { host: "broker".to_owned(), port: 1883 }));
//! modem.connected(true, 5);
//! assert!(modem.serial_out(5).ends_with(b"\r\nCONNECT OK\r\n"));
//! ```
//!
//! # What is faithful to which manual
//!
//! `--dialect sim800` follows "SIM800 Series AT Command Manual" V1.09: the states that `AT+CIPSTART` asks for (section 8.2.2), `>` and
//! `DATA ACCEPT` or `SEND OK` (8.2.3, 8.2.4), `+CIPRXGET: 1` once until the bytes are fetched, modes 2 and 4 (`AT+CIPRXGET`, 8.2),
//! `CLOSE OK`, `SHUT OK`, `CLOSED`, `+PDP: DEACT`. `--dialect esp-at` follows the "ESP-AT User Guide", "TCP/IP AT Commands": `+IPD,<len>`
//! once until the bytes are fetched, `CLOSED` only after them, `ERROR` for a fetch of nothing, `Recv <n> bytes` and `SEND OK`; and "Wi-Fi
//! AT Commands" for `AT+CWJAP`. Both echo until `ATE0`.
//!
//! `--dialect raw` is no modem: the serial line is the connection, for firmware whose UART leads to the broker through a converter. Nobody
//! can tell such a device that its connection is over. So a connection is opened when an MQTT CONNECT begins (its first byte, its length,
//! and the name `MQTT` or `MQIsdp`), and after a cut, a refused dial or the broker's close, everything is swallowed up to the next one. A
//! CONNECT where a packet begins ends the old connection, and what that has brought and is still on its way to the device is dropped.
//!
//! Not faithful: there is one connection, TCP only; registration, attachment and joining succeed at once; nothing costs time but
//! `--latency`; with `--mtu` a SIM800 takes the whole announced block and says with `DATA ACCEPT:<n>` that it sent less of it, and an ESP
//! says the same with `Recv <n> bytes`.

mod emulator;
mod esp_at;
mod options;
mod random;
mod raw;
mod sim800;

pub use emulator::{Emulator, Wish};
pub use options::{Dialect, Options};

/// The examples of the README are tested with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
