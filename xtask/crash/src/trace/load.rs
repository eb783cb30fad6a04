//! The clients of a trace: one message at a time, and as many as go.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use mio::{Events, Poll, Token};
use mqtt_codec::{QoS, SubscriptionOptions, Version};

use crate::client::{Client, Event};
use crate::stamp::Stamp;

/// The payload of a lone message: found again in what is written to a file.
pub(super) fn payload(number: usize) -> String {
    format!("lone message number {number:04} of a trace")
}

/// A broker that takes longer than this for an answer has lost something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients and their sockets.
struct Room {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
}

impl Room {
    /// Publishers that are connected, and a session that waits for their messages and is not.
    fn new(address: SocketAddr, publishers: usize) -> io::Result<Self> {
        let mut room = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(64),
            clients: Vec::new(),
        };
        for place in 0..=publishers {
            let name = match place {
                0 => "sleeper".to_owned(),
                _ => format!("publisher {place}"),
            };
            let mut client = Client::new(&name, Version::V311, Token(place));
            client.connect(address, room.poll.registry(), false)?;
            room.clients.push(client);
        }
        let mut connected = 0;
        room.until(|_, event| {
            connected += usize::from(matches!(event, Event::Connected { .. }));
            connected > publishers
        })?;
        let filter = [("trace/#", SubscriptionOptions::new(QoS::AtLeastOnce))];
        room.clients[0].subscribe(&filter, None);
        room.until(|_, event| matches!(event, Event::Answered(..)))?;
        room.clients[0].leave();
        Ok(room)
    }

    /// Turns until an event is the one.
    fn until(&mut self, mut is_it: impl FnMut(&mut Client, &Event) -> bool) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut events = Vec::new();
        loop {
            for client in &mut self.clients {
                client.flush();
            }
            self.poll
                .poll(&mut self.events, Some(Duration::from_millis(50)))?;
            let mut found = false;
            for ready in &self.events {
                let client = &mut self.clients[ready.token().0];
                client.read(&mut events);
                for event in events.drain(..) {
                    if let Event::Closed(why) = &event {
                        let why = why.as_deref().unwrap_or("closes the connection");
                        return Err(io::Error::other(format!("the broker {why}")));
                    }
                    found |= is_it(client, &event);
                }
            }
            if found {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(io::Error::other("the broker does not answer"));
            }
        }
    }
}

/// One publisher that waits for each answer.
pub(super) struct Alone(Room);

impl Alone {
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        Room::new(address, 1).map(Self)
    }

    /// Sends so many messages under the packet ids from 1 on; how long each answer took.
    pub(super) fn exchange(mut self, messages: usize) -> io::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for number in 1..=messages {
            let publisher = &mut self.0.clients[1];
            let stamp = Stamp::load(0, number as u32);
            let bytes = payload(number).into_bytes();
            let start = Instant::now();
            publisher.publish_bytes(stamp, "trace/lone".into(), bytes, QoS::AtLeastOnce, false);
            self.0.until(|_, event| *event == Event::Accepted(stamp))?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    }
}

/// Several publishers with many messages in flight each.
pub(super) struct Flood(Room);

/// Publishers, and messages in flight of each.
const PUBLISHERS: usize = 4;
const WINDOW: usize = 250;

impl Flood {
    /// Messages in flight in all.
    pub(super) const IN_FLIGHT: usize = PUBLISHERS * WINDOW;

    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        Room::new(address, PUBLISHERS).map(Self)
    }

    /// Publishes for so long; how many messages were acknowledged.
    pub(super) fn run(&mut self, time: Duration) -> io::Result<u64> {
        let mut number = 0;
        let mut publish = |client: &mut Client| {
            number += 1;
            let stamp = Stamp::load(0, number);
            client.publish_bytes(
                stamp,
                "trace/load".into(),
                vec![b'x'; 64],
                QoS::AtLeastOnce,
                false,
            );
        };
        for client in &mut self.0.clients[1..] {
            for _ in 0..WINDOW {
                publish(client);
            }
        }
        let end = Instant::now() + time;
        let mut acknowledged = 0;
        self.0.until(|client, event| {
            if matches!(event, Event::Accepted(_)) {
                acknowledged += 1;
                publish(client);
            }
            Instant::now() >= end
        })?;
        Ok(acknowledged)
    }
}
