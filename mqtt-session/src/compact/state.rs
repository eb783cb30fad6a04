//! What is known of the connection and its session, but for the bytes that come in.

use mqtt_codec::{
    AnyVersion, Connect, DecodeError, PacketId, PacketType, QoS, ReasonCode, RuleId, Version,
};

use crate::profile::Profile;
use crate::time::Instant;
use crate::violation::Rule;

use super::VersionOf;
use super::device::{Device, Subscription};
use super::event::Event;
use super::five::{Place, Spoken};
use super::queue::{Queue, Record, Slot, Stage};
use super::receive::Fate;
use super::send::DUP;
use super::timing::Ticks;

/// Which rule was broken, in two bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Violated {
    Bytes(RuleId),
    Rule(Rule),
}

impl From<DecodeError> for Violated {
    fn from(error: DecodeError) -> Self {
        Self::Bytes(error.rule)
    }
}

impl From<Rule> for Violated {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

/// How far the connection has come.
#[repr(usize)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Closed,
    /// CONNECT lies in the receive buffer and is being written.
    Greeting,
    /// CONNECT was written, CONNACK has not come.
    Awaiting,
    /// CONNACK has come.
    Connected,
    /// What is left is written, then the connection ends.
    Closing,
}

/// Everything but the receive buffer, so that an event can borrow the one while the other changes.
///
/// In an order in which no long run of fields begins at zero: such a run is cleared by a call, and that links a function of 140 bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Core<'m, D: Device, Q> {
    pub(super) phase: Phase,
    pub(super) clean_start: bool,
    pub(super) awaits_answer: bool,
    pub(super) writes_body: bool,
    /// A broker has accepted a connection before, and so knows the session of this one.
    pub(super) has_session: bool,
    /// The session in which messages were released was lost, and the application has not been told of all of them.
    pub(super) releases_nothing: bool,
    /// Messages of QoS 2 for which there was no place were left to the next connection.
    pub(super) left_out: bool,
    /// The flag of what is sent again, [`DUP`] where the broker may know it from an earlier connection.
    pub(super) again: u8,
    /// Where in the receive buffer the topic of the last event's message begins, its length in front.
    pub(super) topic_at: u8,
    /// First byte of the acknowledgement that leaves once the caller has come back, 0 for none, and its packet id.
    pub(super) owed_first: u8,
    /// What becomes of a message that is larger than the buffer.
    pub(super) fate: Fate,
    /// The rule that the broker broke, without its place.
    pub(super) violation: Option<Violated>,
    pub(super) owed_id: u16,
    /// Where in the receive buffer the payload of that message begins.
    pub(super) payload_at: u16,
    pub(super) out: &'m mut [u8],
    /// Bytes of `out` that were written, and that there are.
    pub(super) out_at: usize,
    pub(super) out_len: usize,
    /// Where in `out` the body of a packet stands.
    pub(super) body_at: usize,
    /// The packet whose body is being written, if one is.
    pub(super) body: Record,
    /// Bytes of the body that were written.
    pub(super) body_from: u16,
    pub(super) keep_alive: u16,
    /// QoS 1 and 2 messages that were sent, or whose PUBREL was, and are not over.
    pub(super) in_flight: usize,
    pub(super) last_id: u16,
    /// Where the first packet lies that was not sent on this connection.
    pub(super) due: Slot,
    /// QoS 2 messages that were taken and not yet released.
    pub(super) received: &'m mut [[u8; 2]],
    /// Bytes that are still to come of a message that is larger than the buffer.
    pub(super) missing: u32,
    /// How many will be missing when its packet id comes, where that is not known yet; else 0.
    pub(super) id_at: u32,
    pub(super) version: VersionOf<D>,
    pub(super) queue: Q,
    /// When a packet was last sent.
    pub(super) sent: Ticks,
    /// When the answer that is awaited must have come.
    pub(super) answer_due: Ticks,
    /// Until when acknowledgements may be held.
    pub(super) held: Ticks,
    /// Subscriptions of the device that have to be made.
    pub(super) unsubscribed: &'static [Subscription],
    pub(super) five: <VersionOf<D> as Spoken>::Five,
}

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    pub(super) fn connect(&mut self, connect: &Connect<'_>, now: Instant) {
        // A 3.1 server does not tell that a session has ended with its connection.
        let ended = self.version.version() == Version::V31
            && self.clean_start
            && !cfg!(mutation = "compact-session-of-3-1-kept");
        self.clean_start = connect.clean_start;
        self.keep_alive = connect.keep_alive;
        let refused = self.five.get().and_then(|five| five.refused);
        #[cfg(mutation = "compact-alias-kept")]
        let aliases = self.five.get().map_or(0, |five| five.aliases);
        self.five = Place::NEW;
        if let Some(five) = self.five.get_mut()
            && !cfg!(mutation = "compact-refusal-lost")
        {
            // The application has not been told yet.
            five.refused = refused;
            #[cfg(mutation = "compact-alias-kept")]
            {
                five.aliases = aliases;
            }
        }
        self.violation = None;
        self.phase = Phase::Greeting;
        self.await_answer(now);
        self.again = DUP;
        if connect.clean_start || ended {
            self.forget_peer();
        }
    }

    pub(super) fn close(&mut self) {
        // The caller has seen that message.
        if !cfg!(mutation = "compact-seen-forgotten") {
            self.note_received();
        }
        self.phase = Phase::Closed;
        self.awaits_answer = false;
        self.left_out = false;
        self.due = self.queue.start();
        if !cfg!(mutation = "fuzz-window-kept") {
            self.in_flight = 0;
        }
        self.owed_first = 0;
        self.missing = 0;
        self.id_at = 0;
        self.out_at = 0;
        self.out_len = 0;
        self.writes_body = false;
    }

    /// DISCONNECT is the last packet: before 5.0 there is one for the peaceful end only.
    pub(super) fn end(&mut self, reason: ReasonCode) {
        if self.phase == Phase::Connected {
            let first = (PacketType::Disconnect as u8) << 4;
            if reason == ReasonCode::NORMAL_DISCONNECTION {
                self.answer(&[first, 0]);
            } else if self.version.is_v5() {
                self.answer(&[first, 1, reason.0]);
            }
            self.held = self.sent;
        }
        self.phase = Phase::Closing;
    }

    /// The broker knows nothing of this client: ids are free, and what was not answered is sent to it as to any other [MQTT-3.2.2-5].
    pub(super) fn forget_peer(&mut self) {
        if !cfg!(mutation = "compact-new-with-dup") {
            self.again = 0;
        }
        if D::Profile::MAX_QOS == QoS::ExactlyOnce {
            self.received.fill([0; 2]);
            self.releases_nothing = true;
        }
    }

    /// A message that a broker had, while this one has nothing to release, is over.
    pub(super) fn released_before(&mut self) -> Option<Event> {
        let mut at = self.queue.start();
        while let Some(record) = self.queue.get(at) {
            if record.stage.has_reached(Stage::RELEASED) {
                self.finish(record);
                return PacketId::new(record.id)
                    .map(|id| Event::Acknowledged(id, ReasonCode::SUCCESS));
            }
            at = self.queue.after(record);
        }
        self.releases_nothing = false;
        None
    }
}
