//! What the reference remembers: messages and copies, sessions and groups.

use std::collections::VecDeque;

use mqtt_session::Instant;

use super::event::{Sub, What};
use super::tables::{Setup, TOPICS};

/// A message on its way through the broker: one PUBLISH that it took, or one will.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routing {
    /// Its number, which its payload begins with.
    pub(super) message: u32,
    /// The client that published it.
    pub(super) publisher: u8,
    pub(super) topic: u8,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// It has no payload.
    pub(super) empty: bool,
    /// Limited clients do not take it.
    pub(super) large: bool,
    /// When it expires; for a will, how long it lives from its publication on.
    pub(super) expires: Option<Instant>,
    /// A will as it is published when the store has no room: at QoS 0, and not retained. Stands behind the same as it was meant.
    pub(super) unkept: bool,
}

/// A copy that a session has to get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// Which [`Routing`].
    pub(super) r: u32,
    /// Its place in the order of routing.
    pub(super) at: u64,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// The subscription identifiers, as bits.
    pub(super) ids: u32,
    pub(super) expires: Option<Instant>,
    /// It has to come; otherwise it may.
    pub(super) must: bool,
    /// Which of the groups that had this filter, one after the other.
    pub(super) epoch: u32,
}

/// A delivery that the broker has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) what: What,
    pub(super) exactly_once: bool,
    /// PUBREC came: only PUBREL may be sent.
    pub(super) received: bool,
    /// Records up to here open PUBREL.
    pub(super) opens: u64,
    /// PUBLISH was sent on this connection.
    pub(super) sent: bool,
    /// PUBREL was sent on this connection.
    pub(super) released: bool,
    /// When it was first sent, in the order of sending; `None` when that was, if at all, before a restart.
    pub(super) order: Option<u64>,
}

/// A received QoS 2 message whose handshake is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    pub(super) id: u16,
    pub(super) opens: u64,
}

/// Retained messages on their way to one new subscription.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    /// Which SUBSCRIBE made it.
    pub(super) key: u32,
    pub(super) filter: u8,
    pub(super) qos: u8,
    pub(super) ids: u32,
    /// What was retained before this place in the order of routing, and is no more, does not count.
    pub(super) since: u64,
    /// Copies of each topic that may come: one, and one more for each restart.
    pub(super) allowed: u8,
    pub(super) taken: [u8; TOPICS.len()],
    /// Topics that have to come, as bits.
    pub(super) must: u8,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) exists: bool,
    /// How many sessions there were of this client.
    pub(super) birth: u32,
    /// Its place in the order.
    pub(super) born: u64,
    /// The connection that has it.
    pub(super) link: Option<u32>,
    /// The client has used it: it knows of it.
    pub(super) used: bool,
    /// Whether CONNACK says that it was there: either, after a restart that cannot tell whether it was used.
    pub(super) present: Option<bool>,
    pub(super) subs: [Option<Sub>; 8],
    /// QoS 1 and 2.
    pub(super) queue: VecDeque<Copy>,
    /// QoS 0.
    pub(super) zero: VecDeque<Copy>,
    pub(super) flights: Vec<Flight>,
    pub(super) inbound: Vec<Inbound>,
    pub(super) permits: Vec<Permit>,
    pub(super) expiry: u32,
    /// It had an expiry once: a crash may bring it back.
    pub(super) lasts: bool,
    /// Its routing, and its delay in seconds.
    pub(super) will: Option<(u32, u32)>,
    pub(super) will_due: Option<Instant>,
    pub(super) expires: Option<Instant>,
}

/// One shared group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Its members, as bits.
    pub(super) members: u8,
    /// A member has left, and may still have what it was given before.
    pub(super) left: bool,
    /// How many groups with this filter have ended.
    pub(super) epoch: u32,
    /// What no member was sent.
    pub(super) copies: VecDeque<Copy>,
}

/// A retained message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retained {
    pub(super) r: u32,
    pub(super) expires: Option<Instant>,
    /// When it was replaced.
    pub(super) until: u64,
}

impl Routing {
    /// Whether it is a will: its number tells.
    pub(super) const fn is_will(&self) -> bool {
        self.message & WILL != 0
    }

    /// Whether it is refused when the store has no room. To remove a retained message makes room.
    pub(super) const fn has_to_be_kept(&self) -> bool {
        self.qos > 0 || (self.retain && !self.empty)
    }
}

/// Set in the numbers of wills.
pub(super) const WILL: u32 = 1 << 31;

impl Session {
    /// Whether its time is over, or its will is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.exists
            && self.link.is_none()
            && (self.expires.is_some_and(|at| at <= now)
                || self.will_due.is_some_and(|at| at <= now))
    }

    /// When its timer fires.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.expires, self.will_due].into_iter().flatten().min()
    }

    pub(super) fn flight(&mut self, id: u16) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.id == id)
    }

    /// How many the peer counts against its Receive Maximum.
    pub(super) fn unacknowledged(&self) -> usize {
        let counts = |flight: &&Flight| flight.sent || flight.received;
        self.flights.iter().filter(counts).count()
    }
}

impl Group {
    /// Whether a member does not take large messages: what is given to it is gone.
    pub(super) fn has_limited(&self, setup: &Setup) -> bool {
        let mut kinds = setup.kinds.iter().enumerate();
        kinds.any(|(c, kind)| kind.limited && self.members & (1 << c) != 0)
    }
}
