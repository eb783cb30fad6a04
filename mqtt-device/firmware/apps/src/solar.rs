//! A sensor that lives on a solar cell: it gathers readings asleep, wakes the radio rarely, and sends everything in one flight.
//!
//! ```text
//!   solar                                                        broker
//!     |  measures, sleeps, measures, ... 6 times                   |
//!     | CONNECT, PUBLISH "0 21.5\n1 21.5\n...5 21.7" ------------->|  one flight: nothing waits for CONNACK
//!     |<- CONNACK, PUBACK                                          |
//!     | DISCONNECT ----------------------------------------------->|
//!     |  measures, sleeps, ...                                     |
//!     | CONNECT, PUBLISH "6 21.7\n..." ------x  no network         |
//!     |  no answer for 10 seconds: sleeps; the readings stay       |
//!     |  measures, sleeps, ...                                     |
//!     | CONNECT, PUBLISH "6 21.7\n...47 21.4" -------------------->|
//!     |<- CONNACK, PUBACK                                          |
//!     | DISCONNECT ----------------------------------------------->|
//! ```
//!
//! 60 readings of 10 bytes in one PUBLISH take about 20 bytes each with TCP's and IP's headers, connection and goodbye included; one by
//! one on a connection that is kept they take 158, and over 600 with a connection for each. The payload is sent from where it was
//! gathered ([`Lent`]); keep-alive is 0, for nobody listens while it sleeps. A reading is the second since the start and the temperature.
//!
//! The interval is a second here, to be watched; a real one has a minute and 60 readings.
//!
//! ```sh
//! cargo run -p host --bin solar -- 127.0.0.1:1883     # in mqtt-device/firmware
//! cargo xtask firmware --app solar                    # at the root of the repository
//! ```

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::blocking::Client;
use mqtt_device::profile::V3QoS1;
use mqtt_device::{
    Connect, Device, Dial, Event, Identity, Lent, Outgoing, Pack, TopicName, Version,
};

use crate::Line;
use crate::text::Text;

/// Where its readings go.
pub const TOPIC: TopicName<'static> = TopicName::from_static("field3/temperature");
/// Between two readings, in milliseconds.
const INTERVAL_MS: u64 = 1_000;
/// Readings that are sent at once.
const READINGS: u8 = 6;
/// Bytes for readings: more than are sent at once, for the network may be away.
const GATHERED: usize = 400;
/// How long it stays awake for an answer, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// What it is on the air.
#[derive(Debug)]
pub struct Solar;

impl Device for Solar {
    type Profile = V3QoS1;
    const EARLY: bool = true;
    const DIAGNOSES: bool = false;
}

/// Without keep-alive, and without a session: there is nothing to go on with.
#[must_use]
pub const fn connect() -> Connect<'static> {
    Connect {
        keep_alive: 0,
        ..Connect::new(Version::V311, "field3")
    }
}

/// Over connections that are dialled.
pub fn run<B: Board, C: Dial<Connection: Read + Write + ReadReady>>(board: &B, mut dial: C) -> u8 {
    let mut memory = [0; GATHERED];
    let mut gathered = Pack::new(&mut memory, b'\n');
    let mut next = board.now();
    loop {
        for _ in 0..READINGS {
            while board.now() < next {
                board.idle(Some(next));
            }
            let reading = Text::reading(next.as_millis(), board.temperature());
            // When there is no room, the older readings stay and this one is lost.
            let _ = gathered.push(reading.as_bytes());
            next = next.plus_millis(INTERVAL_MS);
        }
        if send::<Solar, _, _>(board, &mut dial, connect, gathered.payload()) {
            gathered.clear();
        }
        next = next.max(board.now());
    }
}

/// Over a UART that leads to the broker.
pub fn on_a_line<B: Board, U: Read + Write + ReadReady>(board: &B, uart: U) -> u8 {
    run(board, Line::new(board, uart))
}

/// Connects, sends, and says goodbye when the broker has it; whether it has.
pub fn send<D: Device, B: Board, C>(
    board: &B,
    dial: &mut C,
    identity: impl Identity,
    payload: &[u8],
) -> bool
where
    C: Dial<Connection: Read + Write + ReadReady>,
{
    let (mut receive, mut head) = ([0; 128], [0; 40]);
    let (queue, seed) = (Lent::<1>::new(&mut head), board.random());
    let mut client = Client::<D, _, _, _>::new(identity, &mut receive, queue, &mut *dial, seed);
    let mut arrived = false;
    let end = board.now().plus_millis(PATIENCE_MS);
    if client.publish_lent(&Outgoing::new(TOPIC, payload)).is_ok() {
        while board.now() < end {
            match client.poll(board.now()) {
                Event::Acknowledged(..) => {
                    arrived = true;
                    client.disconnect();
                }
                // Said goodbye; or there is no network, and the battery waits for it asleep.
                Event::Lost => return arrived,
                Event::Waiting => {
                    let due = client.deadline(board.now());
                    board.idle(Some(due.map_or(end, |due| due.min(end))));
                }
                _ => {}
            }
        }
    }
    dial.hang_up();
    arrived
}
