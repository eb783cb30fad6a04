//! The thermometer of a refrigerated lorry, behind a modem: the same as [`sensor`](crate::sensor), over the mobile network.
//!
//! ```text
//!   tracker                          SIM800                              broker
//!     | AT+CPIN?, AT+CREG? --------->| SIM card, network                   |
//!     | AT+CSTT="internet" --------->| context                             |
//!     | AT+CIPSTART="TCP","broker" ->|------------ TCP ------------------->|
//!     |<- CONNECT OK                 |                                     |
//!     | AT+CIPSEND=44, CONNECT ----->|------------ CONNECT --------------->|
//!     |<- +CIPRXGET: 1               |<----------- CONNACK ----------------|
//!     | AT+CIPRXGET=2,96 ----------->|                                     |
//!     |<- CONNACK                    |                                     |
//!     | AT+CIPSEND=30, PUBLISH ----->|------------ PUBLISH --------------->|
//!     :                              :                                     :
//!     |<- CLOSED                     x   a tunnel                          | 1.5 times the keep-alive later:
//!     |                              |                                     | status "offline"
//!     | AT+CIPSTART -> ERROR         |                                     |
//!     |   1..2 s, 2..4 s, ... 9 min  |   readings wait in the queue        |
//!     | AT+CIPSTART -> CONNECT OK    |------------ CONNECT --------------->| the session goes on
//!     | readings that waited ------->|------------ PUBLISH ... ----------->|
//! ```
//!
//! All topics begin with `lorry7/`. The keep-alive is what a mobile network with half an hour of patience allows: 0.19 MB in 30 days,
//! where one of a minute takes 5.4 MB. A packet is one command to the modem and one segment ([`Gather`]). What is received waits in the modem until it is asked for, so a slow UART loses nothing.
//!
//! On a Cortex-M3 in QEMU with a modem that is emulated; on this computer with the emulator, or a modem, behind that port:
//!
//! ```sh
//! cargo xtask firmware --app tracker                  # at the root of the repository
//! cargo run -p host --bin tracker -- 127.0.0.1:5000   # in mqtt-device/firmware
//! ```

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::modem::{Engine, Modem, SIM800, Settings};
use mqtt_device::profile::V3;
use mqtt_device::{
    Device, Gather, QoS, Subscription, SubscriptionOptions, TopicFilter, TopicName, keep_alive_for,
};

use crate::thermometer::{self, Thermometer};

/// Whom the modem calls. A real one has these from where its maker keeps them.
const SETTINGS: Settings<'static> = Settings {
    host: "broker",
    port: 1883,
    network: "internet",
    user: "",
    password: "",
    pin: "1234",
};

/// Bytes that are sent by one command: the longest packet.
const SEGMENT: usize = 64;

/// Bytes for a line of the modem's, and for received bytes that wait.
const LINES: usize = 128;

/// The tracker in its lorry.
#[derive(Debug)]
struct Tracker;

impl Device for Tracker {
    type Profile = V3;
    const SUBSCRIPTIONS: &'static [Subscription] = &[(
        TopicFilter::from_static("lorry7/set"),
        SubscriptionOptions::new(QoS::AtLeastOnce),
    )];
    /// A round trip through the network may take seconds.
    const ANSWER_TIMEOUT_MS: u32 = 60_000;
}

impl Thermometer for Tracker {
    const ID: &'static str = "lorry7";
    const TEMPERATURE: TopicName<'static> = TopicName::from_static("lorry7/temperature");
    const ERROR: TopicName<'static> = TopicName::from_static("lorry7/error");
    const STATUS: TopicName<'static> = TopicName::from_static("lorry7/status");
    const KEEP_ALIVE: u16 = keep_alive_for(1_800);
    const INTERVAL: u16 = 5;
}

/// Over a UART with a SIM800 at its other end.
pub fn run<B: Board, U: Read + Write + ReadReady>(board: &B, uart: U) -> u8 {
    let (mut lines, mut segment) = ([0; LINES], [0; SEGMENT]);
    let engine = Engine::new(SIM800, &SETTINGS, &mut lines);
    let clock = (|| board.now(), |until| board.idle(until));
    let modem = Modem::new(uart, clock, engine);
    thermometer::run::<Tracker, B, _>(board, Gather::new(modem, &mut segment))
}
