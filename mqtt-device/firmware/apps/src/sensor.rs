//! A thermometer on a wire: readings, an interval that can be changed from afar, and a status that is true even when the power fails.
//!
//! ```text
//!   sensor                                        broker                                            you
//!     | CONNECT, will: status "offline" retained ->|                                                 |
//!     |<- CONNACK                                  |                                                 |
//!     | SUBSCRIBE set ---------------------------->|                                                 |
//!     | PUBLISH temperature "0 21.5" ------------->| temperature "0 21.5" -------------------------->|
//!     | PUBLISH status "online" retained --------->| status "online" ------------------------------->|
//!     |<- SUBACK, PUBACK, PUBACK                   |                                                 |
//!     |                                            |<------------------------------------- set "10"  |
//!     |<- PUBLISH set "10"                         |                                                 |
//!     | PUBACK ----------------------------------->|       from here on every 10 seconds             |
//!     |                                            |<----------------------------------- set "soon"  |
//!     |<- PUBLISH set "soon"                       |                                                 |
//!     | PUBACK, PUBLISH error "set: seconds ..." ->| error "set: seconds from 1 to 3600" ----------->|
//!     |                                            |                                                 |
//!     x the power fails                            |  1.5 times the keep-alive later, or at once     |
//!                                                  |  when the connection ends:                      |
//!                                                  | status "offline" ------------------------------>|
//! ```
//!
//! All topics begin with `plant1/sensor4/`. A reading is the second since the start in which it was taken, and the temperature: it may
//! have waited in the queue while there was no connection. Readings are sent until the broker has them (QoS 1); when the queue is full,
//! the older ones stay.
//!
//! On this computer, and on a Cortex-M3 in QEMU whose UART leads to the broker:
//!
//! ```sh
//! cargo run -p host --bin sensor -- 127.0.0.1:1883    # in mqtt-device/firmware
//! cargo xtask firmware --app sensor                   # at the root of the repository
//! ```

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::profile::V3;
use mqtt_device::{Device, Dial, QoS, Subscription, SubscriptionOptions, TopicFilter, TopicName};

use crate::Line;
use crate::thermometer::{self, Thermometer};

/// The sensor at its place.
#[derive(Debug)]
struct Sensor;

impl Device for Sensor {
    type Profile = V3;
    const SUBSCRIPTIONS: &'static [Subscription] = &[(
        TopicFilter::from_static("plant1/sensor4/set"),
        SubscriptionOptions::new(QoS::AtLeastOnce),
    )];
}

impl Thermometer for Sensor {
    const ID: &'static str = "sensor4";
    const TEMPERATURE: TopicName<'static> = TopicName::from_static("plant1/sensor4/temperature");
    const ERROR: TopicName<'static> = TopicName::from_static("plant1/sensor4/error");
    const STATUS: TopicName<'static> = TopicName::from_static("plant1/sensor4/status");
    const KEEP_ALIVE: u16 = 30;
    const INTERVAL: u16 = 5;
}

/// Over connections that are dialled.
pub fn run<B: Board, C: Dial<Connection: Read + Write + ReadReady>>(board: &B, dial: C) -> u8 {
    thermometer::run::<Sensor, B, C>(board, dial)
}

/// Over a UART that leads to the broker.
pub fn on_a_line<B: Board, U: Read + Write + ReadReady>(board: &B, uart: U) -> u8 {
    run(board, Line::new(board, uart))
}
