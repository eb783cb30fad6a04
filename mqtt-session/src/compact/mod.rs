//! The client's end for devices: bytes in, bytes out, state of a few dozen bytes.
//!
//! [`Session`](crate::Session) serves owners with thousands of messages in flight, late verdicts and a disk; its tables and its
//! typed results cost a device more flash than the protocol itself. [`Compact`] decides by the same rules, but its only table is the
//! caller's [`Queue`]: packets lie in it as they are sent, each with one byte that says how far it has come, and a message counts as
//! taken when the caller comes back for the next one. What it leaves out is said in its type: one connection, one filter a SUBSCRIBE,
//! no enhanced authentication.
//!
//! ```text
//!            publish, subscribe             input, filled
//!   application ──► Queue ──► output ──► transport ──► event ──► application
//!                     ▲                                  │
//!                     └────────── acknowledgements ◄─────┘
//! ```

mod acknowledged;
mod device;
mod event;
mod five;
mod queue;
mod receive;
mod request;
mod send;
mod server;
mod shorten;
mod state;
mod timing;

pub use device::{Device, Subscription};
pub use event::{Event, Message};
#[doc(hidden)]
pub use five::Spoken;
pub use queue::{Full, Queue, Record, Slot, Stage};
pub use request::Outgoing;

use mqtt_codec::{AnyVersion, Connect, DecodeError, Properties, QoS, ReasonCode, Version};

use crate::profile::Profile;
use crate::time::Instant;
use crate::violation::{Misuse, Violation};

use five::Place;
use receive::Fate;
use state::{Core, Phase, Violated};
use timing::Ticks;

type VersionOf<D> = <<D as Device>::Profile as Profile>::Version;

/// Bytes of short packets, and heads, that wait to be written; behind them there is always room for one PINGREQ and DISCONNECT.
const OUT: usize = 24;
const PING_AND_GOODBYE: usize = 6;
/// Room that one more packet from the broker, or the head of one to it, may ask for.
const ANSWER: usize = 7;

/// A client's end over a queue `Q` and receive memory of the caller's.
#[derive(Debug)]
pub struct Compact<'m, D: Device, Q> {
    core: Core<'m, D, Q>,
    inbox: Inbox<'m>,
}

/// Refuses a device that could not work, while it is compiled.
const fn valid<D: Device>() {
    assert!(D::WINDOW > 0, "WINDOW is 0: nothing would be sent");
    assert!(
        D::RECEIVE_MAXIMUM > 0,
        "RECEIVE_MAXIMUM is 0, which 5.0 forbids"
    );
    assert!(
        D::RETRY_MS.is_power_of_two() && D::RETRY_MS <= 1 << 20,
        "RETRY_MS is no power of two, or more than 17 minutes"
    );
    assert!(
        D::ANSWER_TIMEOUT_MS < 1 << 31 && D::HOLD_MS < 1 << 31,
        "a time of more than 24 days"
    );
}

/// Session Expiry Interval and Receive Maximum, as they are written.
const fn announced<D: Device>() -> [u8; 8] {
    let [a, b, c, d] = D::SESSION_EXPIRY.to_be_bytes();
    let [e, f] = D::RECEIVE_MAXIMUM.to_be_bytes();
    [0x11, a, b, c, d, 0x21, e, f]
}

/// The receive buffer, in which CONNECT lies while it is being written.
#[derive(Debug)]
struct Inbox<'m> {
    memory: &'m mut [u8],
    /// Bytes in it.
    filled: usize,
    /// How many of them were handed over by the last event, or written.
    used: usize,
}

impl Inbox<'_> {
    /// Moves what was not used to the front.
    fn drop_used(&mut self) {
        if self.used > 0 {
            for at in self.used..self.filled {
                let byte = self.memory.get(at).copied().unwrap_or_default();
                if let Some(to) = self.memory.get_mut(at - self.used) {
                    *to = byte;
                }
            }
            self.filled = self.filled.saturating_sub(self.used);
            self.used = 0;
        }
    }
}

impl<'m, D: Device, Q: Queue> Compact<'m, D, Q> {
    /// A client without a connection; all that it will have speak this version, in which packets are queued.
    ///
    /// Of the memory 30 bytes are for short packets on their way out, two for each QoS 2 message that may be underway from the broker
    /// ([`Device::RECEIVE_MAXIMUM`]), and the rest is the receive buffer, which must hold CONNECT and every packet from the broker
    /// but a PUBLISH, and should hold a topic. Of a receive buffer the first 65,534 bytes are used.
    pub fn new(memory: &'m mut [u8], queue: Q, version: Version) -> Self {
        const { assert!(D::WINDOW > 0, "nothing would ever be sent") };
        const { valid::<D>() };
        let due = queue.start();
        let (out, memory) = memory.split_at_mut((OUT + PING_AND_GOODBYE).min(memory.len()));
        let ids = match D::Profile::MAX_QOS {
            QoS::ExactlyOnce => memory.len().min(2 * usize::from(D::RECEIVE_MAXIMUM)),
            QoS::AtMostOnce | QoS::AtLeastOnce => 0,
        };
        let (received, memory) = memory.split_at_mut(ids);
        let (received, _) = received.as_chunks_mut();
        if !cfg!(mutation = "compact-memory-not-cleared") {
            received.fill([0; 2]);
        }
        // Places in it are counted in 16 bits, the highest of which says that there is none.
        let (memory, _) = memory.split_at_mut(memory.len().min(usize::from(u16::MAX - 1)));
        Self {
            inbox: Inbox {
                memory,
                filled: 0,
                used: 0,
            },
            core: Core {
                queue,
                phase: Phase::Closed,
                clean_start: false,
                awaits_answer: false,
                writes_body: false,
                has_session: false,
                releases_nothing: false,
                left_out: false,
                again: 0,
                unsubscribed: &[],
                owed_first: 0,
                owed_id: 0,
                missing: 0,
                id_at: 0,
                fate: Fate::Delivered,
                received,
                out,
                out_at: 0,
                out_len: 0,
                body: Record::NONE,
                body_at: 0,
                body_from: 0,
                last_id: 0,
                in_flight: 0,
                due,
                keep_alive: 0,
                sent: Ticks::ZERO,
                answer_due: Ticks::ZERO,
                held: Ticks::ZERO,
                five: Place::NEW,
                violation: None,
                payload_at: 0,
                topic_at: 0,
                version: VersionOf::<D>::of(version).unwrap_or(VersionOf::<D>::DEFAULT),
            },
        }
    }

    /// What waits and what is in flight; a packet is put in by [`publish`](Self::publish) and the like only.
    pub const fn queue_mut(&mut self) -> &mut Q {
        &mut self.core.queue
    }

    /// What waits and what is in flight.
    pub const fn queue(&self) -> &Q {
        &self.core.queue
    }

    /// A connection was opened: puts CONNECT into the receive buffer, from where [`output`](Self::output) gives it.
    ///
    /// A clean start forgets what was in flight: it will be sent as new. In 5.0 a packet without properties announces how long the session
    /// lives and how much may be underway, as the [`Device`] says.
    ///
    /// # Errors
    /// [`Misuse::NotSupported`] for another version than that of [`new`](Self::new), or one that the profile does not speak, [`Misuse::Encode`] when it cannot be written or does not fit
    /// the buffer.
    pub fn connect(&mut self, connect: &Connect<'_>, now: Instant) -> Result<(), Misuse> {
        self.close();
        let version = self.core.version;
        if version.version() != connect.version {
            return Err(Misuse::NotSupported);
        }
        let announced = announced::<D>();
        let mut packet = *connect;
        if version.is_v5() && packet.properties.is_empty() {
            packet.properties = Properties::stored(&announced);
        }
        let len = packet.encode_only(version, self.inbox.memory);
        self.inbox.filled = len.map_err(|_| Misuse::Encode)?;
        self.core.connect(connect, now);
        Ok(())
    }

    /// Whether there is no connection, and [`connect`](Self::connect) is next.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.phase == Phase::Closed
    }

    /// Whether the broker has accepted the connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.phase == Phase::Connected
    }

    /// Whether the connection is to be closed, once what [`output`](Self::output) still gives is written.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.core.phase == Phase::Closing
    }

    /// The connection is gone, by whatever cause: what was in flight is due again on the next one.
    pub fn close(&mut self) {
        self.inbox.filled = 0;
        self.inbox.used = 0;
        self.core.close();
    }

    /// Says goodbye, so that the broker does not publish the will [MQTT-3.14.4-3]; nothing else is sent any more.
    pub fn disconnect(&mut self) {
        if self.is_closed() {
            return;
        }
        // What the caller has taken is acknowledged before.
        if !cfg!(mutation = "compact-goodbye-first") {
            self.core.settle(self.core.sent);
        }
        self.core.end(ReasonCode::NORMAL_DISCONNECTION);
    }

    /// When [`timeout`](Self::timeout) and [`output`](Self::output) have to be called, if nothing happens before: now, where something that
    /// was queued can be sent.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.core.deadline(now)
    }

    /// Time has passed: a ping is due, or an answer has not come, which ends the connection; else nothing.
    pub fn timeout(&mut self, now: Instant) {
        self.core.timeout(now);
    }

    /// The rule that the broker broke, if that ended the last connection; where in its packet is not kept.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.core.violation.map(|violated| match violated {
            Violated::Bytes(rule) => Violation::Bytes(DecodeError { rule, at: 0 }),
            Violated::Rule(rule) => Violation::Rule(rule),
        })
    }

    /// The next bytes to write, which lie in one piece; none when there is nothing to write now.
    ///
    /// Say how many of them the transport took with [`written`](Self::written), and ask again. When there are none, flush.
    pub fn output(&mut self, now: Instant) -> &[u8] {
        if self.core.phase == Phase::Greeting {
            let Inbox { filled, used, .. } = self.inbox;
            return self.inbox.memory.get(used..filled).unwrap_or_default();
        }
        self.core.output(now)
    }

    /// The transport took this many bytes of [`output`](Self::output).
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub fn written(&mut self, count: usize, now: Instant) {
        self.core.sent = Ticks::of(now);
        if self.core.phase != Phase::Greeting {
            self.core.has_sent();
            return self.core.written(count);
        }
        self.inbox.used += count;
        if self.inbox.used >= self.inbox.filled {
            self.inbox.used = 0;
            self.inbox.filled = 0;
            self.core.phase = Phase::Awaiting;
        }
    }

    /// Where the next bytes from the broker go; nothing is to be read while this is empty.
    pub fn input(&mut self) -> &mut [u8] {
        if self.core.phase == Phase::Greeting {
            return &mut [];
        }
        let filled = self.inbox.filled;
        self.inbox.memory.get_mut(filled..).unwrap_or_default()
    }

    /// This many bytes have come.
    pub fn filled(&mut self, count: usize, now: Instant) {
        self.inbox.filled += count;
        self.core.heard(now);
    }

    /// What the next packet in the buffer means.
    ///
    /// [`Event::Waiting`] says that more bytes are needed, or that there is more to write first; with every other event there may be
    /// another.
    pub fn event(&mut self, now: Instant) -> Event {
        self.core.settle(Ticks::of(now));
        self.inbox.drop_used();
        if !cfg!(mutation = "compact-message-stays") {
            self.core.payload_at = u16::MAX;
        }
        if D::Profile::MAX_QOS == QoS::ExactlyOnce
            && self.core.releases_nothing
            && let Some(event) = self.core.released_before()
        {
            return event;
        }
        if let Some(five) = self.core.five.get_mut()
            && let Some(event) = five.refused.take()
        {
            return event;
        }
        if !self.core.takes_input() {
            return Event::Waiting;
        }
        let Inbox {
            memory,
            filled,
            used,
        } = &mut self.inbox;
        let full = *filled >= memory.len();
        let bytes = memory.get(..*filled).unwrap_or_default();
        let Ok(event) = self.core.take(bytes, full, used) else {
            self.core.break_off();
            return Event::Broken;
        };
        event
    }

    /// The message, or the part of one, that the last event told of; empty after any other event, but for [`Event::Broken`], after which it
    /// may be the message that broke a rule.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        let bytes = self.inbox.memory.get(..self.inbox.used).unwrap_or_default();
        let head = bytes.get(..usize::from(self.core.payload_at));
        let payload = bytes.get(usize::from(self.core.payload_at)..);
        let (mut topic, mut flags, mut properties) = ("", 0, Properties::EMPTY);
        if let Some((head, [first, ..])) = head.zip(Some(bytes))
            && let Some((len, rest)) = head
                .get(usize::from(self.core.topic_at)..)
                .and_then(|head| head.split_first_chunk())
            && let Some((name, rest)) = rest.split_at_checked(u16::from_be_bytes(*len).into())
        {
            topic = mqtt_codec::string(name).unwrap_or_default();
            flags = *first;
            if self.core.version.is_v5() {
                let behind_id = if flags & 0x06 == 0 { 0 } else { 2 };
                properties = Properties::at(rest.get(behind_id..).unwrap_or_default());
            }
        }
        Message {
            topic,
            payload: payload.unwrap_or_default(),
            missing: payload.map_or(0, |_| self.core.missing),
            qos: QoS::from_u8(flags >> 1 & 3).unwrap_or_default(),
            retain: flags & 1 != 0,
            properties,
        }
    }
}
