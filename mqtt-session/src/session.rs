//! A session: its state, its connection, and what both roles do with them.

use core::fmt::Debug;

use mqtt_codec::{
    DecodeError, Decoder, EncodeError, PacketId, QoS, ReasonCode, TopicAlias, Version,
};

use crate::event::{Closed, DeliveryId, Expires};
use crate::inflight::inbound::{Inbound, Status};
use crate::inflight::outbound::Outbound;
use crate::inflight::packet_ids::PacketIds;
use crate::limits::Limits;
use crate::link::{Link, Owing, Phase, Question, UNDECIDED};
use crate::owner::{Change, Gate, Owner, Seq};
use crate::profile::Profile;
use crate::sealed::Quiet;
use crate::storage::{ByteQueue, Deque, Part, Storage, Topics};
use crate::time::{Instant, millis};
use crate::tx::Tx;
use crate::violation::{Misuse, Rule, Violation};

/// The interval that means "never" [MQTT-3.1.2-23].
const NEVER: u32 = u32::MAX;
/// Short answers that may wait before nothing more is read.
const ANSWERS: usize = 1_000;
/// Pings that may wait before nothing more is read.
const PINGS: u8 = 100;

/// Which end of a connection a session is: [`Client`](crate::Client) or [`Server`](crate::Server).
pub trait Role: crate::sealed::Role {}

/// What a session remembers between connections: packet ids, and places in its owner's [`Outbox`](crate::Outbox).
#[derive(Debug)]
pub struct SessionState<P: Profile, S: Storage> {
    pub(crate) outbound: S::Part<Outbound<P::Gate, S>>,
    pub(crate) inbound: S::Part<Inbound<P::Gate, S>>,
    /// The first message that was not yet pulled from the outbox.
    pub(crate) cursor: Seq,
    /// The gate of the latest change: an answer about an id that is unknown by now waits for what made it so.
    pub(crate) latest: P::Gate,
    pub(crate) next_delivery: u32,
    pub(crate) session_expiry: u32,
    pub(crate) ids: PacketIds,
}

impl<P: Profile, S: Storage> Default for SessionState<P, S> {
    fn default() -> Self {
        Self {
            outbound: Default::default(),
            inbound: Default::default(),
            cursor: Seq::default(),
            latest: Default::default(),
            next_delivery: 0,
            session_expiry: 0,
            ids: PacketIds::default(),
        }
    }
}

impl<P: Profile, S: Storage> SessionState<P, S> {
    /// Whether no handshake of any message is open.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight() == 0 && self.received() == 0
    }

    /// Messages on their way to the peer whose handshake is not over.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outbound.get().map_or(0, Outbound::len)
    }

    /// QoS 2 messages from the peer whose handshake is not over.
    #[must_use]
    pub fn received(&self) -> usize {
        self.inbound.get().map_or(0, Inbound::len)
    }

    /// The first place of the outbox that was not yet pulled.
    #[must_use]
    pub const fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Starts pulling at `cursor`: for a session whose outbox was restored.
    pub const fn set_cursor(&mut self, cursor: Seq) {
        self.cursor = cursor;
    }

    /// How long the session outlives its connection, in seconds; `u32::MAX` is for ever.
    #[must_use]
    pub const fn session_expiry(&self) -> u32 {
        self.session_expiry
    }

    /// Sets how long the session outlives its connection: for a session that is restored.
    pub const fn set_session_expiry(&mut self, seconds: u32) {
        self.session_expiry = seconds;
    }

    /// Replays a change that was recorded earlier; a received message counts as settled with success.
    ///
    /// A state that had no [expiry](Self::set_session_expiry) never expires from then on.
    ///
    /// The place in the outbox needs no restoring: pulling starts at the front of what the outbox still has, and what has its packet id
    /// already is not pulled twice.
    ///
    /// # Errors
    /// [`Misuse::Exhausted`] when a fixed table has no room for it.
    pub fn restore(&mut self, change: Change) -> Result<(), Misuse> {
        use crate::inflight::inbound::Received;
        use crate::inflight::outbound::{Releasing, Sending};
        let full = |_| Misuse::Exhausted;
        if self.session_expiry == 0 {
            // What was recorded outlived a connection.
            self.session_expiry = NEVER;
        }
        match change {
            Change::Received(id) => {
                let number = self.next_number();
                let entry = Received {
                    id: id.get(),
                    status: Status::Settled(ReasonCode::SUCCESS),
                    here: false,
                    number,
                    gate: P::Gate::default(),
                };
                self.inbound.make().push(entry).map_err(full)?;
            }
            Change::Released(id) => {
                self.inbound.make().remove(id.get());
            }
            Change::Sent(seq, id) => {
                self.ids.taken(id);
                let entry = Sending {
                    seq,
                    gate: P::Gate::default(),
                    id: id.get(),
                    exactly_once: true,
                    dup: true,
                };
                self.outbound.make().push(entry).map_err(full)?;
            }
            Change::PeerReceived(seq, id) => {
                let outbound = self.outbound.make();
                outbound.drop_publish(id);
                outbound
                    .release(Releasing {
                        seq,
                        gate: P::Gate::default(),
                        id: id.get(),
                    })
                    .map_err(full)?;
            }
            Change::Completed(id) => {
                let outbound = self.outbound.make();
                outbound.drop_publish(id);
                outbound.drop_release(id);
            }
            Change::Reset => self.restart(),
        }
        Ok(())
    }

    /// The changes that lead from nothing to this state, for a store that starts a new log with them.
    ///
    /// They are what [`restore`](Self::restore) takes. QoS 1 messages in flight are not among them: they start anew after a restart.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let received = self.inbound.get().into_iter().flat_map(Inbound::ids);
        let sent = self.outbound.get().into_iter().flat_map(Outbound::sending);
        let released = self
            .outbound
            .get()
            .into_iter()
            .flat_map(Outbound::releasing);
        received
            .filter_map(|id| PacketId::new(id).map(Change::Received))
            .chain(
                sent.filter(|entry| entry.exactly_once)
                    .filter_map(|entry| Some(Change::Sent(entry.seq, PacketId::new(entry.id)?))),
            )
            .chain(released.filter_map(|entry| {
                Some(Change::PeerReceived(entry.seq, PacketId::new(entry.id)?))
            }))
    }

    pub(crate) fn next_number(&mut self) -> u32 {
        self.next_delivery = self.next_delivery.wrapping_add(1);
        self.next_delivery
    }

    /// Records a change and remembers its gate.
    pub(crate) fn record<O: Owner<Gate = P::Gate>>(
        &mut self,
        owner: &mut O,
        change: Change,
    ) -> P::Gate {
        self.latest = owner.record(change);
        self.latest
    }

    /// The peer has no session: what was in flight will be sent as new, and what was received is forgotten.
    pub(crate) fn forget_peer<O: Owner<Gate = P::Gate>>(&mut self, owner: &mut O) {
        if !self.is_quiet() {
            self.record(owner, Change::Reset);
        }
        if let Some(outbound) = self.outbound.get_mut() {
            while let Some(entry) = outbound.pop_released() {
                owner.complete(entry.seq, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND);
            }
        }
        self.restart();
    }

    /// All ids are free, and what was in flight will be sent as new.
    pub(crate) fn restart(&mut self) {
        if let Some(first) = self.outbound.get().and_then(Outbound::first_seq) {
            self.cursor = self.cursor.min(first);
        }
        self.outbound.drop_part();
        self.inbound.drop_part();
    }

    fn trim(&mut self) {
        if self.in_flight() == 0 {
            self.outbound.drop_part();
        }
        if self.received() == 0 {
            self.inbound.drop_part();
        }
    }
}

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
    pub const fn version(&self) -> Version {
        self.link.version
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
    pub fn decoder(&self, limits: &Limits) -> Decoder {
        let mut decoder = Decoder::new(self.link.version);
        decoder.maximum_packet_size = limits.maximum_packet_size;
        decoder
    }

    /// Bytes of the peer came in, whether or not they complete a packet: it is alive.
    ///
    /// A client may also tell so that the transport took bytes of its output: a PINGREQ that waits behind a long payload is then not
    /// given up.
    pub fn heard(&mut self, now: Instant) {
        if self.link.phase == Phase::Connected {
            self.link.clock = now;
        }
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
    /// message is acknowledged [3.1.1: MQTT-3.3.5-2].
    pub fn settle(&mut self, delivery: DeliveryId, reason: ReasonCode, kept: P::Gate) -> bool {
        if P::MAX_QOS == QoS::ExactlyOnce && delivery.exactly_once {
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
            // Before 5.0 only a client says goodbye, and only in peace: it takes the will back [3.1.1: MQTT-3.14.4-3].
            Phase::Connected if !R::SERVER && reason == ReasonCode::NORMAL_DISCONNECTION => {
                Phase::Failing
            }
            // [MQTT-3.14.0-1]: no DISCONNECT before CONNACK.
            _ => Phase::Closing,
        };
        self.link.set_reason(reason);
    }

    /// The one deadline: call [`timeout`](Self::timeout) then, or later.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.link.phase {
            Phase::AwaitConnect | Phase::AwaitAuth | Phase::AwaitConnAck => Some(self.link.clock),
            Phase::Connected if R::SERVER => {
                if self.link.keep_alive == 0 || self.is_paused() {
                    return None;
                }
                // One and a half times [MQTT-3.1.2-22].
                let span = millis(u32::from(self.link.keep_alive));
                Some(self.link.clock.plus_millis(span + (span >> 1)))
            }
            Phase::Connected => {
                // A ping that is due already is not due again.
                let keep_alive = match self.link.pings_due {
                    0 => self.link.keep_alive,
                    _ => 0,
                };
                R::deadline(&self.link.role, keep_alive, self.is_paused())
            }
            Phase::Closed
            | Phase::Deciding
            | Phase::Accepted
            | Phase::Refused
            | Phase::Failing
            | Phase::Closing => None,
        }
    }

    /// Whether the peer's silence counts for nothing, since it may be ours: its bytes are not read.
    fn is_paused(&self) -> bool {
        self.link.paused || !self.wants_input()
    }

    /// Time has passed: acts on the deadline if it has come, else does nothing.
    ///
    /// # Errors
    /// The peer was silent for too long; the connection closes as after any other violation.
    pub fn timeout(&mut self, now: Instant, limits: &Limits) -> Result<(), Violation> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let rule = match self.link.phase {
            Phase::Connected if R::SERVER => Rule::KeepAliveTimeout,
            Phase::Connected => {
                let quiet = Quiet {
                    heard: self.link.clock,
                    keep_alive: self.link.keep_alive,
                    paused: self.is_paused(),
                };
                match R::time_to_ping(&mut self.link.role, now, quiet, limits) {
                    Ok(due) => {
                        if due {
                            self.link.pings_due = 1;
                        }
                        return Ok(());
                    }
                    Err(rule) => rule,
                }
            }
            _ => {
                self.link.phase = Phase::Closing;
                return Err(Violation::Rule(Rule::ConnectTimeout));
            }
        };
        Err(self.fail(rule.into()))
    }

    /// The connection is gone, by whatever cause: says what is left of it.
    ///
    /// QoS 1 deliveries that were not settled die; everything in flight is due again on the next connection.
    pub fn close(&mut self, now: Instant) -> Closed {
        let closed = self.forecast(now);
        self.link = Link::default();
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

    /// Whether a CONNACK can tell this reason; before 5.0 many cannot be told [3.1.1: MQTT-3.2.2-6].
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
            let in_flight = outbound.and_then(|outbound| outbound.nearest(from));
            match (in_flight, R::nearest(role, from)) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
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
