//! What sensor and tracker have in common: readings, commands, and a status that is true.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::blocking::Client;
use mqtt_device::{
    Connect, Device, Dial, Event, Instant, Outgoing, Properties, QoS, Ring, TopicName, Version,
    Will,
};

use crate::text::{Text, number};

/// Bytes of the receive memory: 24 for short packets, 40 for what is known of QoS 2, and a buffer.
const RECEIVE: usize = 64 + 128;
/// Bytes for what waits: five readings. More on a board with more RAM, and they bridge a longer gap.
const QUEUE: usize = 256;
/// Longest interval, in seconds.
const MOST_SECONDS: u16 = 3_600;

/// Names and habits of one.
pub(crate) trait Thermometer: Device {
    /// Its client id; the broker keeps its session by that.
    const ID: &'static str;
    /// Where readings go.
    const TEMPERATURE: TopicName<'static>;
    /// Where bad commands are answered.
    const ERROR: TopicName<'static>;
    /// Where it says `online`, and the broker says `offline`; both are retained.
    const STATUS: TopicName<'static>;
    /// In seconds, see [`keep_alive_for`](mqtt_device::keep_alive_for).
    const KEEP_ALIVE: u16;
    /// The interval until a command comes, in seconds.
    const INTERVAL: u16;
}

const fn connect<T: Thermometer>() -> Connect<'static> {
    Connect {
        clean_start: false,
        keep_alive: T::KEEP_ALIVE,
        will: Some(Will {
            topic: T::STATUS.as_str(),
            payload: b"offline",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::EMPTY,
        }),
        ..Connect::new(Version::V311, T::ID)
    }
}

/// Measures, reports and obeys for ever.
pub(crate) fn run<T: Thermometer, B: Board, C>(board: &B, dial: C) -> u8
where
    C: Dial<Connection: Read + Write + ReadReady>,
{
    let (mut receive, mut queue) = ([0; RECEIVE], [0; QUEUE]);
    let queue = Ring::new(&mut queue);
    let identity = || const { connect::<T>() };
    let mut client = Client::<T, _, _, _>::new(identity, &mut receive, queue, dial, board.random());
    let online = Outgoing {
        retain: true,
        ..Outgoing::new(T::STATUS, b"online")
    };
    let complaint = Outgoing::new(T::ERROR, b"set: seconds from 1 to 3600");
    let (mut greets, mut complains) = (false, false);
    let mut interval = T::INTERVAL;
    let mut next = board.now();
    loop {
        let now = board.now();
        match client.poll(now) {
            // The broker may have said `offline` meanwhile.
            Event::Connected { .. } => greets = true,
            Event::Message => {
                let message = client.message();
                match number(message.payload, MOST_SECONDS) {
                    Some(seconds) if message.missing == 0 => {
                        interval = seconds;
                        next = later(now, interval);
                    }
                    _ => complains = true,
                }
            }
            Event::Waiting => {
                let mut queued = false;
                if greets && client.publish(&online).is_ok() {
                    (greets, queued) = (false, true);
                }
                if complains && client.publish(&complaint).is_ok() {
                    (complains, queued) = (false, true);
                }
                if now >= next {
                    let reading = Text::reading(now.as_millis(), board.temperature());
                    // When the queue is full, the older readings stay and this one is lost.
                    let reading = Outgoing::new(T::TEMPERATURE, reading.as_bytes());
                    queued |= client.publish(&reading).is_ok();
                    next = later(next, interval);
                    if next <= now {
                        // A dial took longer than the interval.
                        next = later(now, interval);
                    }
                }
                if !queued {
                    let due = client.deadline(now);
                    board.idle(Some(due.map_or(next, |due| due.min(next))));
                }
            }
            _ => {}
        }
    }
}

fn later(now: Instant, seconds: u16) -> Instant {
    now.plus_millis(u64::from(seconds) * 1_000)
}
