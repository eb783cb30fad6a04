//! Scripts: one client of a device, and a broker that is nothing but the packets of a test.

use mqtt_codec::{AnyVersion, Connect, QoS, ReasonCode, SubscriptionOptions, Version};
use mqtt_session::compact::{Compact, Device, Event, Full, Outgoing};
use mqtt_session::{Instant, Profile};
use mqtt_topic::{TopicFilter, TopicName};

use super::Listed;
use crate::packets::{Raw, connack};
use crate::text::{describe_all, properties};

/// A client under test. Packets go in with [`send`](Self::send), and [`sent`](Self::sent) says what it wrote since.
#[derive(Debug)]
pub struct Rig<D: Device> {
    /// The client.
    pub machine: Compact<'static, D, Listed>,
    /// The virtual clock.
    pub now: Instant,
    /// What it said, one line an event: `message q1 t hello`, `acknowledged 1`, `connected`.
    pub events: Vec<String>,
    /// How many bytes come with one read, at most.
    pub read: usize,
    /// How many bytes the transport takes at once.
    pub write: usize,
    /// The transport takes nothing.
    pub stalled: bool,
    /// Bytes from the broker for which there was no room yet.
    rx: Vec<u8>,
    /// Bytes that were written and not looked at.
    tx: Vec<u8>,
    version: Version,
}

impl<D: Device> Rig<D> {
    /// A client with a receive buffer of so many bytes.
    ///
    /// Its memory is never given back: a test has a few hundred bytes of it.
    #[must_use]
    pub fn new(version: Version, buffer: usize, queue: Listed) -> Self {
        let memory = vec![0xA5; overhead::<D>(version) + buffer].leak();
        Self {
            machine: Compact::new(memory, queue, version),
            now: Instant::from_millis(1_000),
            events: vec![],
            read: usize::MAX,
            write: usize::MAX,
            stalled: false,
            rx: vec![],
            tx: vec![],
            version,
        }
    }

    /// A client that has not connected yet, with a buffer of 64 bytes.
    #[must_use]
    pub fn offline(version: Version) -> Self {
        Self::new(version, 64, Listed::default())
    }

    /// A client that has connected cleanly.
    #[must_use]
    pub fn connected(version: Version) -> Self {
        Self::offline(version).greeted()
    }

    /// A client that has connected to a session that outlives the connection in every version.
    #[must_use]
    pub fn kept(version: Version) -> Self {
        let mut rig = Self::offline(version);
        rig.reconnect(false);
        assert_eq!(rig.happened(), ["connected"]);
        rig
    }

    /// The same client, connected cleanly.
    #[must_use]
    pub fn greeted(self) -> Self {
        self.greeted_with(&connack(false))
    }

    /// The same client, connected to a broker that says this in its CONNACK.
    #[must_use]
    pub fn greeted_with(mut self, connack: &mqtt_codec::ConnAck<'_>) -> Self {
        self.connect(&self.hello(true));
        self.send(connack);
        assert_eq!(self.happened(), ["connected"]);
        self
    }

    /// A CONNECT without keep-alive.
    #[must_use]
    pub const fn hello(&self, clean_start: bool) -> Connect<'static> {
        Connect {
            clean_start,
            keep_alive: 0,
            ..Connect::new(self.version, "c")
        }
    }

    /// Connects, and gives the lines of what is written.
    ///
    /// # Panics
    /// When the client refuses.
    pub fn connect(&mut self, connect: &Connect<'_>) -> Vec<String> {
        self.rx.clear();
        self.tx.clear();
        self.machine
            .connect(connect, self.now)
            .expect("a CONNECT that can be sent");
        self.sent()
    }

    /// Connects again to a session that is kept, and finds it or not.
    pub fn reconnect(&mut self, session_present: bool) {
        self.connect(&self.hello(false));
        self.send(&connack(session_present));
    }

    /// The connection is gone, with what was underway on it.
    pub fn cut(&mut self) {
        self.machine.close();
        self.rx.clear();
        self.tx.clear();
    }

    /// What it wrote since the last time: a line for each packet, and `close` when the connection is to end.
    pub fn sent(&mut self) -> Vec<String> {
        loop {
            let (written, events) = (self.flush(), self.events.len());
            self.read();
            if written == 0 && self.events.len() == events {
                break;
            }
        }
        let mut lines = describe_all(self.version, &core::mem::take(&mut self.tx));
        if self.machine.is_closing() && self.machine.output(self.now).is_empty() {
            lines.push("close".to_owned());
        }
        lines
    }

    /// Writes what is due, without looking at what has come; gives the bytes that were taken.
    pub fn flush(&mut self) -> usize {
        let before = self.tx.len();
        while !self.stalled {
            let bytes = self.machine.output(self.now);
            if bytes.is_empty() {
                break;
            }
            let len = bytes.len().min(self.write);
            self.tx.extend(&bytes[..len]);
            self.machine.written(len, self.now);
        }
        self.tx.len() - before
    }

    /// Takes the bytes that were written.
    pub fn wire(&mut self) -> Vec<u8> {
        self.flush();
        core::mem::take(&mut self.tx)
    }

    /// Sends packets to the client, and takes all events.
    pub fn send<P: Raw + ?Sized>(&mut self, packet: &P) {
        self.arrive(packet);
        self.read();
    }

    /// Bytes are there to be read.
    pub fn arrive<P: Raw + ?Sized>(&mut self, packet: &P) {
        self.rx.extend(packet.bytes(self.version));
    }

    /// Takes back the last bytes that have arrived and were not read.
    pub fn hold_back(&mut self, count: usize) -> Vec<u8> {
        self.rx.split_off(self.rx.len() - count)
    }

    /// Takes events until there are no more, and reads bytes as they are wanted.
    pub fn read(&mut self) {
        loop {
            while let Some(line) = self.event() {
                self.events.push(line);
            }
            if self.machine.is_closing() || self.rx.is_empty() {
                return;
            }
            if self.fill() == 0 && self.flush() == 0 {
                return;
            }
        }
    }

    /// Reads once, as many bytes as there is room for, and gives their number.
    pub fn fill(&mut self) -> usize {
        let input = self.machine.input();
        let len = input.len().min(self.rx.len()).min(self.read);
        input[..len].copy_from_slice(&self.rx[..len]);
        self.rx.drain(..len);
        if len > 0 {
            self.machine.filled(len, self.now);
        }
        len
    }

    /// The next event as a line; `None` when more bytes are needed. What says nothing is passed over.
    pub fn event(&mut self) -> Option<String> {
        loop {
            let line = match self.machine.event(self.now) {
                Event::Waiting => return None,
                Event::Nothing => continue,
                Event::Connected {
                    session_present, ..
                } => {
                    let present = if session_present { " present" } else { "" };
                    format!("connected{present}")
                }
                Event::Refused(reason) => format!("refused 0x{:02x}", reason.0),
                Event::Message => self.message("message"),
                Event::Part => self.message("part"),
                Event::Skipped => "skipped".to_owned(),
                Event::Acknowledged(id, ReasonCode::SUCCESS) => {
                    format!("acknowledged {}", id.get())
                }
                Event::Acknowledged(id, reason) => {
                    format!("acknowledged {} 0x{:02x}", id.get(), reason.0)
                }
                Event::Subscribed(id, code) => format!("subscribed {} 0x{:02x}", id.get(), code.0),
                Event::Unsubscribed(id) => format!("unsubscribed {}", id.get()),
                Event::Disconnected(reason) => format!("disconnected 0x{:02x}", reason.0),
                Event::Broken => match self.machine.violation() {
                    Some(violation) => format!("broken {violation:?}"),
                    None => "broken".to_owned(),
                },
                Event::Lost | Event::Misuse(_) => unreachable!("a driver's word"),
            };
            return Some(line);
        }
    }

    fn message(&self, kind: &str) -> String {
        let message = self.machine.message();
        let mut line = kind.to_owned();
        if kind == "message" {
            if message.qos != QoS::AtMostOnce {
                line += &format!(" q{}", message.qos as u8);
            }
            if message.retain {
                line += " retain";
            }
            line += &format!(" {}", message.topic);
        }
        line += &format!(" {}", String::from_utf8_lossy(message.payload));
        if message.missing > 0 {
            line += &format!(" +{}", message.missing);
        }
        properties(&mut line, message.properties);
        line
    }

    /// Takes the events since the last time.
    pub fn happened(&mut self) -> Vec<String> {
        core::mem::take(&mut self.events)
    }

    /// Milliseconds until the deadline.
    pub fn deadline(&self) -> Option<u64> {
        let deadline = self.machine.deadline(self.now)?;
        Some(deadline.millis_since(self.now))
    }

    /// Lets time pass and the deadline act.
    pub fn after(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        self.machine.timeout(self.now);
    }

    /// Publishes to `t`, and gives the packet id.
    ///
    /// # Errors
    /// [`Full`].
    pub fn try_publish(&mut self, qos: QoS, payload: &str) -> Result<Option<u16>, Full> {
        let topic = TopicName::new("t").expect("a topic");
        let id = self.machine.publish(&Outgoing {
            qos,
            ..Outgoing::new(topic, payload.as_bytes())
        })?;
        Ok(id.map(mqtt_codec::PacketId::get))
    }

    /// Publishes to `t`, for which there is room.
    ///
    /// # Panics
    /// When there is none.
    pub fn publish(&mut self, qos: u8, payload: &str) -> Option<u16> {
        let qos = QoS::from_u8(qos).expect("a QoS");
        self.try_publish(qos, payload).expect("there is room")
    }

    /// Subscribes, and gives the packet id.
    ///
    /// # Panics
    /// When there is no room.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> u16 {
        let filter = TopicFilter::new(filter).expect("a filter");
        let options = SubscriptionOptions {
            qos: QoS::from_u8(qos).expect("a QoS"),
            ..SubscriptionOptions::default()
        };
        let id = self.machine.subscribe(filter, options);
        id.expect("there is room").get()
    }

    /// Unsubscribes, and gives the packet id.
    ///
    /// # Panics
    /// When there is no room.
    pub fn unsubscribe(&mut self, filter: &str) -> u16 {
        let filter = TopicFilter::new(filter).expect("a filter");
        let id = self.machine.unsubscribe(filter);
        id.expect("there is room").get()
    }
}

/// Bytes of a client's memory that are not its receive buffer.
pub(crate) fn overhead<D: Device>(version: Version) -> usize {
    let mut memory = [0; 1_000];
    let all = memory.len();
    let mut machine = Compact::<D, _>::new(&mut memory, Listed::default(), version);
    all - machine.input().len()
}

/// The versions that a device's profile speaks.
#[must_use]
pub fn versions<D: Device>() -> Vec<Version> {
    let mut all = vec![Version::V31, Version::V311, Version::V5];
    all.retain(|&version| <D::Profile as Profile>::Version::of(version).is_some());
    all
}
