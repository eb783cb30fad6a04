//! The codec's job over an AT modem: what the modem's engine takes on top.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::modem::{Engine, Modem, SIM800, Settings};

use crate::codec;

pub(crate) const SETTINGS: Settings<'static> = Settings {
    host: "broker",
    port: 1883,
    network: "internet",
    user: "",
    password: "",
    pin: "",
};

/// Bytes for a line of the modem's, and for those of the stream that wait.
pub(crate) const LINES: usize = 128;

/// With MQTT 3.1.1 and a SIM800, which is dialled once.
pub fn sim800<B: Board, C: Read + Write + ReadReady>(board: &B, uart: C) -> u8 {
    let mut memory = [0; LINES];
    let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
    let mut modem = Modem::new(uart, || board.now(), engine);
    if modem.dial().is_err() {
        return 2;
    }
    codec::v311(board, &mut modem)
}
