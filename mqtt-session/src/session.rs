//! A session: its state, its connection, and what both roles do with them.

use core::fmt::Debug;

use mqtt_codec::{
    AnyVersion, DecodeError, Decoder, EncodeError, PacketId, QoS, ReasonCode, TopicAlias, Version,
};

use crate::event::{Closed, DeliveryId, Expires};
use crate::inflight::inbound::Status;
use crate::limits::Limits;
use crate::link::{Link, Owing, Phase, Question, UNDECIDED};
use crate::owner::Gate;
use crate::profile::Profile;
use crate::state::SessionState;
use crate::storage::{ByteQueue, Deque, Part, Storage, Topics};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Violation};

/// The interval that means "never" [MQTT-3.1.2-23].
pub(crate) const NEVER: u32 = u32::MAX;
/// Short answers that may wait before nothing more is read.
const ANSWERS: usize = 1_000;
/// Pings that may wait before nothing more is read.
const PINGS: u8 = 100;

/// Which end of a connection a session is: [`Client`](crate::Client) or [`Server`](crate::Server).
pub trait Role: crate::sealed::Role {}

/// One end of the MQTT protocol: packets in, events, packets and deadlines out.
///
/// Use it by its aliases [`ClientSession`](crate::ClientSession) and [`ServerSession`](crate::ServerSession); the
/// [manual](crate::manual) shows the loop around it.
pub struct Session<R: Role, P: Profile, S: Storage> {
    pub(crate) state: SessionState<P, S>,
    pub(crate) link: Link<R, P, S>,
}

impl<R: Role, P: Profile, S: Storage> Debug for Session<R, P, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("link", &self.link)
            .finish()
    }
}

impl<R: Role, P: Profile, S: Storage> Default for Session<R, P, S> {
    fn default() -> Self {
        Self {
            state: SessionState::default(),
            link: Link::default(),
        }
    }
}

impl<R: Role, P: Profile, S: Storage> Session<R, P, S> {
    /// A session without a connection and without a past.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What survives the connection.
    #[must_use]
    pub const fn state(&self) -> &SessionState<P, S> {
        &self.state
    }

    /// Puts another state in place, and gives the present one: how a server resumes a session, and takes one over.
    ///
    /// Before [`accept`](crate::ServerSession::accept) or [`connect`](crate::ClientSession::connect); a state that is taken from a
    /// live connection counts as if that connection had closed.
    pub fn replace_state(&mut self, mut state: SessionState<P, S>) -> SessionState<P, S> {
        if let Some(outbound) = state.outbound.get_mut() {
            outbound.rewind();
        }
        if let Some(inbound) = state.inbound.get_mut() {
            inbound.rewind();
        }
        core::mem::replace(&mut self.state, state)
    }

    /// The version that the connection speaks; 3.1.1 before CONNECT.
    #[must_use]
    pub fn version(&self) -> Version {
        self.link.version.version()
    }

    /// Whether the handshake is over and the connection up.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.link.phase, Phase::Connected)
    }

    /// Whether the connection is about to close, or closed: nothing that comes in is looked at.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(
            self.link.phase,
            Phase::Closed | Phase::Refused | Phase::Failing | Phase::Closing
        )
    }

    /// Whether packets may be handed in: not while a question is open or a table is full.
    ///
    /// While this is false the peer's keep-alive clock stands still, since unread bytes may hide a PINGREQ.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.link.phase {
            Phase::AwaitConnect | Phase::AwaitAuth | Phase::AwaitConnAck => true,
            Phase::Connected => {
                self.link.pings_due < PINGS
                    && self.link.owing.get().is_none_or(|owing| {
                        owing.question == Question::None
                            && owing.answers.len() < most_answers::<P::Gate, S>()
                            && owing.acks.len() < self.most_owed()
                            && has_room_for_codes(&owing.codes)
                    })
            }
            Phase::Closed
            | Phase::Deciding
            | Phase::Accepted
            | Phase::Refused
            | Phase::Failing
            | Phase::Closing => false,
        }
    }

    /// Acknowledgements that may be owed before nothing more is read. One more than Receive Maximum, so that a 5.0 peer which exceeds
    /// it is told so.
    fn most_owed(&self) -> usize {
        let most = usize::from(self.link.receive_maximum) + usize::from(self.link.v5());
        most.min(<S::Inbound<()> as Deque<()>>::CAPACITY)
    }

    /// The decoder for what comes in: this connection's version, our limits.
    #[must_use]
    pub fn decoder(&self, limits: &Limits) -> Decoder<P::Version> {
        let mut decoder = Decoder::new(self.link.version);
        decoder.maximum_packet_size = limits.maximum_packet_size;
        decoder
    }

    /// The topic that an alias of the peer stands for.
    #[must_use]
    pub fn topic(&self, alias: TopicAlias) -> Option<&str> {
        self.link.aliases.get()?.theirs.get(alias)
    }

    /// The packet could not be decoded: what answers that, if anything does, is polled as output.
    pub fn malformed(&mut self, error: DecodeError) -> Violation {
        self.fail(Violation::Bytes(error))
    }

    /// The owner's verdict on a received message; `kept` opens when the owner's copy is durable.
    ///
    /// QoS 1 deliveries die with their connection, QoS 2 deliveries live on with the session. Returns whether there was something to
    /// settle: a late verdict on a QoS 1 delivery returns false and changes nothing. Before 5.0 a refusal cannot be told, and the
    /// message is acknowledged [3.1.1:MQTT-3.3.5-2]; where it must not be, [`abandon`](Self::abandon) it.
    pub fn settle(&mut self, delivery: DeliveryId, reason: ReasonCode, kept: P::Gate) -> bool {
        if P::MAX_QOS == QoS::ExactlyOnce && delivery.exactly_once() {
            let entry = self
                .state
                .inbound
                .get_mut()
                .and_then(|inbound| inbound.entry(delivery.id, delivery.number));
            let Some(entry) = entry else { return false };
            if entry.status != Status::Unsettled {
                return false;
            }
            entry.status = Status::Settled(reason);
            #[cfg(mutation = "fuzz-copy-gate")]
            let kept = P::Gate::default();
            entry.gate = entry.gate.and(kept);
            return true;
        }
        let Some(owing) = self.link.owing.get_mut() else {
            return false;
        };
        let matches = |owed: &crate::link::Owed<P::Gate>| {
            owed.number == delivery.number && !owed.exactly_once
        };
        // The last message that came is the one most often settled.
        let last = owing
            .acks
            .len()
            .checked_sub(1)
            .filter(|&at| owing.acks.get(at).is_some_and(matches));
        let Some(at) = last.or_else(|| owing.acks.position(matches)) else {
            return false;
        };
        match owing.acks.get_mut(at) {
            Some(owed) if owed.verdict == UNDECIDED => {
                owed.verdict = reason.0;
                owed.gate = kept;
                true
            }
            _ => false,
        }
    }

    /// Closes the connection with a reason: DISCONNECT goes out first where the version knows it.
    ///
    /// Nothing else is sent any more [MQTT-3.14.4-1]. Does nothing when the connection is closing already.
    pub fn disconnect(&mut self, reason: ReasonCode) {
        self.link.phase = match self.link.phase {
            Phase::Closed | Phase::Refused | Phase::Failing | Phase::Closing => return,
            Phase::Connected if self.link.v5() => Phase::Failing,
            // Before 5.0 only a client says goodbye, and only in peace: it takes the will back [3.1.1:MQTT-3.14.4-3].
            Phase::Connected if !R::SERVER && reason == ReasonCode::NORMAL_DISCONNECTION => {
                Phase::Failing
            }
            // [MQTT-3.14.0-1]: no DISCONNECT before CONNACK.
            _ => Phase::Closing,
        };
        self.link.set_reason(reason);
    }

    /// The connection is gone, by whatever cause: says what is left of it.
    ///
    /// QoS 1 deliveries that were not settled die; everything in flight is due again on the next connection.
    pub fn close(&mut self, now: Instant) -> Closed {
        let closed = self.forecast(now);
        self.forget_connection();
        self.end_of_connection();
        closed
    }

    /// Takes the state out of a live connection, as if that had closed now: how a server hands a session to a new connection.
    ///
    /// What is left here has no past; [disconnect](Self::disconnect) it, and poll what it still has to say.
    pub fn detach(&mut self, now: Instant) -> (SessionState<P, S>, Closed) {
        let closed = self.forecast(now);
        self.end_of_connection();
        R::detached(&mut self.link.role);
        if let Some(owing) = self.link.owing.get_mut() {
            owing.forget();
        }
        self.link.unacknowledged = 0;
        (core::mem::take(&mut self.state), closed)
    }

    /// Everything of a connection ends with it, topic aliases among it [MQTT-3.3.2-7].
    pub(crate) fn forget_connection(&mut self) {
        self.link = Link {
            #[cfg(mutation = "alias-kept")]
            aliases: core::mem::take(&mut self.link.aliases),
            ..Link::default()
        };
    }

    fn forecast(&self, now: Instant) -> Closed {
        let expires = match self.state.session_expiry {
            0 => Expires::Now,
            NEVER => Expires::Never,
            seconds => Expires::At(now.plus_seconds(seconds)),
        };
        Closed {
            will_due: R::will_due(&self.link.role, now, self.state.session_expiry),
            expires,
        }
    }

    fn end_of_connection(&mut self) {
        if let Some(outbound) = self.state.outbound.get_mut() {
            outbound.rewind();
        }
        if let Some(inbound) = self.state.inbound.get_mut() {
            inbound.rewind();
        }
        self.state.trim();
    }

    /// Gives back the memory of tables that are empty; for a connection that has fallen silent.
    pub fn trim(&mut self) {
        self.state.trim();
        // During the handshake and at the end it holds what is still to be said.
        if self.is_connected() && self.link.owing.get().is_some_and(Owing::is_empty) {
            self.link.owing.drop_part();
        }
    }

    /// The peer broke a rule: decides how the connection ends.
    pub(crate) fn fail(&mut self, violation: Violation) -> Violation {
        if self.is_closing() {
            // What is being said already is said.
            return violation;
        }
        let reason = violation.reason_code();
        self.link.phase = match self.link.phase {
            Phase::Connected if self.link.v5() => Phase::Failing,
            Phase::AwaitConnect | Phase::Deciding | Phase::AwaitAuth
                if R::SERVER && self.can_refuse(reason) =>
            {
                Phase::Refused
            }
            _ => Phase::Closing,
        };
        self.link.set_reason(reason);
        if P::REASON_STRINGS {
            self.link.owing.make().failure = Some(violation);
        }
        violation
    }

    /// Whether a CONNACK can tell this reason; before 5.0 many cannot be told [3.1.1:MQTT-3.2.2-6].
    fn can_refuse(&self, reason: ReasonCode) -> bool {
        if self.link.v5() && self.link.phase != Phase::AwaitConnect {
            true
        } else {
            reason.connect_return_code().is_some_and(|code| code != 0)
        }
    }

    /// Starts the windows and the tables of a connection whose handshake is over.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.link.phase = Phase::Connected;
        self.link.clock = now;
    }

    pub(crate) fn aliases_in_use(&self) -> bool {
        P::ALIASES && self.link.v5()
    }

    pub(crate) fn take_packet_id(&mut self) -> Option<PacketId> {
        let outbound = self.state.outbound.get();
        let role = &self.link.role;
        self.state.ids.take(|from| {
            let in_flight = outbound.map_or(u16::MAX, |outbound| outbound.nearest(from));
            in_flight.min(R::nearest(role, from))
        })
    }
}

/// Short answers that fit.
fn most_answers<G: Gate, S: Storage>() -> usize {
    <S::Answers<crate::link::Answer<G>> as Deque<_>>::CAPACITY.min(ANSWERS)
}

/// Whether the codes of one more SUBSCRIBE have room, however many it asks for within what [`most_filters`] allows.
fn has_room_for_codes<C: ByteQueue>(codes: &C) -> bool {
    codes.is_empty()
        || (codes.len() <= ANSWERS && C::CAPACITY - codes.len() >= usize::from(u16::MAX))
}

/// Most filters that a SUBSCRIBE or UNSUBSCRIBE may have: one code each must fit.
pub(crate) fn most_filters<S: Storage>() -> usize {
    S::Codes::CAPACITY.min(usize::from(u16::MAX))
}

/// Writes a packet whose length is known.
pub(crate) fn put<T: Tx>(
    tx: &mut T,
    len: usize,
    encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Misuse> {
    let room = tx.claim(len).ok_or(Misuse::Full)?;
    if encode(room).is_err() {
        tx.retract(len);
        return Err(Misuse::Encode);
    }
    Ok(())
}
