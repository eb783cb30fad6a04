//! The client's end: CONNECT, SUBSCRIBE and UNSUBSCRIBE go out at a call, their answers come back as events.

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, Filters, FromServer, PacketId, PartialPublish, Properties,
    QoS, ReasonCode, Subscribe, SubscribeFilter, Unsubscribe, UnsubscribeFilters, Version,
};
use mqtt_topic::{ParsedFilter, TopicName};

use crate::event::ClientEvent;
use crate::inflight::packet_ids::distance;
use crate::limits::Limits;
use crate::link::{Answer, Phase};
use crate::owner::Owner;
use crate::profile::Profile;
use crate::receive::Payload;
use crate::sealed::{self, Quiet};
use crate::session::{Role, Session, put};
use crate::storage::{Deque, Storage};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule, Violation};

/// The client's end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Client;

/// A session at the client's end.
pub type ClientSession<P, S> = Session<Client, P, S>;

/// A SUBSCRIBE or UNSUBSCRIBE that waits for its answer.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    id: u16,
    /// Filters in it.
    count: u16,
    unsubscribe: bool,
}

/// What a client remembers of one connection.
#[derive(Debug)]
#[expect(unnameable_types, reason = "part of a sealed trait")]
pub struct ClientLink<S: Storage> {
    requests: S::Answers<Request>,
    /// When a packet was last sent.
    sent: Instant,
    /// When PINGRESP must have come.
    pong_due: Option<Instant>,
    /// AUTH 0x19 was sent and its end has not come.
    reauthenticating: bool,
    /// What the server's CONNACK allows.
    maximum_qos: QoS,
    retain_available: bool,
    wildcards_available: bool,
    subscription_ids_available: bool,
    shared_available: bool,
}

impl<S: Storage> Default for ClientLink<S> {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            sent: Instant::ZERO,
            pong_due: None,
            reauthenticating: false,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcards_available: true,
            subscription_ids_available: true,
            shared_available: true,
        }
    }
}

impl<S: Storage> ClientLink<S> {
    /// When the next packet must have been sent [MQTT-3.1.2-20].
    fn ping_at(&self, keep_alive: u16) -> Option<Instant> {
        (keep_alive != 0).then(|| self.sent.plus_seconds(u32::from(keep_alive)))
    }
}

impl Role for Client {}

impl sealed::Role for Client {
    const SERVER: bool = false;
    type Link<S: Storage> = ClientLink<S>;

    fn poll_handshake<P: Profile, S: Storage, T: Tx, O: Owner<Gate = P::Gate>>(
        _session: &mut Session<Self, P, S>,
        _tx: &mut T,
        _now: Instant,
        _owner: &mut O,
    ) -> Result<bool, Misuse> {
        Ok(false)
    }

    fn nearest<S: Storage>(link: &ClientLink<S>, from: u16) -> Option<u16> {
        (0..link.requests.len())
            .filter_map(|at| link.requests.get(at))
            .map(|request| distance(from, request.id))
            .min()
    }

    fn deadline<S: Storage>(
        link: &ClientLink<S>,
        keep_alive: u16,
        paused: bool,
    ) -> Option<Instant> {
        // PINGRESP may lie unread: its clock stands still meanwhile. The server's does not, so pings go on.
        let pong = link.pong_due.filter(|_| !paused);
        match (pong, link.ping_at(keep_alive)) {
            (Some(pong), Some(ping)) => Some(pong.min(ping)),
            (pong, ping) => pong.or(ping),
        }
    }

    fn time_to_ping<S: Storage>(
        link: &mut ClientLink<S>,
        now: Instant,
        quiet: Quiet,
        limits: &Limits,
    ) -> Result<bool, Rule> {
        let timeout = u64::from(limits.ping_timeout_ms);
        if !quiet.paused && link.pong_due.is_some_and(|due| due <= now) {
            // Whatever came meanwhile shows that the server is there: PINGRESP may stand behind it.
            let due = quiet.heard.plus_millis(timeout);
            if due <= now {
                return Err(Rule::PingTimeout);
            }
            link.pong_due = Some(due);
        }
        if link.ping_at(quiet.keep_alive).is_none_or(|at| at > now) {
            return Ok(false);
        }
        if link.pong_due.is_none() {
            link.pong_due = Some(now.plus_millis(timeout));
        }
        Ok(true)
    }

    fn resumed<S: Storage>(link: &mut ClientLink<S>, now: Instant, limits: &Limits) {
        if link.pong_due.is_some() {
            link.pong_due = Some(now.plus_millis(u64::from(limits.ping_timeout_ms)));
        }
    }

    fn wrote<S: Storage>(link: &mut ClientLink<S>, now: Instant) {
        link.sent = now;
    }

    fn refuses<S: Storage>(link: &ClientLink<S>, qos: QoS, retain: bool) -> Option<ReasonCode> {
        if qos > link.maximum_qos {
            // [MQTT-3.2.2-11]
            Some(ReasonCode::QOS_NOT_SUPPORTED)
        } else if retain && !link.retain_available {
            // [MQTT-3.2.2-14]
            Some(ReasonCode::RETAIN_NOT_SUPPORTED)
        } else {
            None
        }
    }
}

impl<P: Profile, S: Storage> ClientSession<P, S> {
    /// A connection was opened: writes CONNECT.
    ///
    /// What the packet's properties announce (Receive Maximum, Topic Alias Maximum, Session Expiry Interval) is what the server is held
    /// to; before 5.0 it is `limits`. A clean start forgets this session's state, and what was in flight will be sent as new.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] while a connection is open, [`Misuse::NotSupported`] when the profile does not speak the version, or when more
    /// is announced than the tables hold, [`Misuse::Topic`] for the will, [`Misuse::Full`], [`Misuse::Encode`].
    pub fn connect<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        connect: &Connect<'_>,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<(), Misuse> {
        if self.link.phase != Phase::Closed {
            return Err(Misuse::NotNow);
        }
        if !P::speaks(connect.version) {
            return Err(Misuse::NotSupported);
        }
        if connect
            .will
            .as_ref()
            .is_some_and(|will| TopicName::new(will.topic).is_err())
        {
            return Err(Misuse::Topic);
        }
        // An id of no characters is the server's to replace; it cannot name a session that was kept [3.1.1: MQTT-3.1.3-7].
        if connect.client_id.is_empty()
            && (connect.version == Version::V31
                || (connect.version == Version::V311 && !connect.clean_start))
        {
            return Err(Misuse::NotSupported);
        }
        let capacity = <S::Inbound<()> as Deque<()>>::CAPACITY;
        let limits = owner.limits();
        let v5 = connect.version.is_v5();
        let receive_maximum = if v5 {
            connect
                .properties
                .receive_maximum()
                .map_or(u16::MAX, |maximum| maximum.get())
        } else {
            limits.held_to(capacity)
        };
        if v5 && usize::from(receive_maximum) > capacity {
            return Err(Misuse::NotSupported);
        }
        let alias_maximum = if v5 {
            connect.properties.topic_alias_maximum().unwrap_or(0)
        } else {
            0
        };
        if alias_maximum
            > if P::ALIASES {
                <S::Topics as crate::storage::Topics>::CAPACITY
            } else {
                0
            }
        {
            return Err(Misuse::NotSupported);
        }
        let (send_maximum, alias_send_maximum, timeout) = (
            limits.window(v5),
            limits.topic_alias_send_maximum,
            limits.connect_timeout_ms,
        );
        put(tx, connect.encoded_len(), |room| connect.encode(room))?;
        self.link = Default::default();
        self.link.version = connect.version;
        self.link.clean_start = connect.clean_start;
        self.link.keep_alive = connect.keep_alive;
        self.link.receive_maximum = receive_maximum;
        self.link.send_maximum = send_maximum;
        self.link.alias_maximum = alias_maximum;
        self.link.alias_send_maximum = alias_send_maximum;
        self.link.authenticating =
            P::AUTH && v5 && connect.properties.authentication_method().is_some();
        self.link.phase = Phase::AwaitConnAck;
        self.link.clock = now.plus_millis(u64::from(timeout));
        self.link.role.sent = now;
        // A 3.1 server does not tell that a session has ended with its connection.
        let ended = connect.version == Version::V31 && self.state.session_expiry == 0;
        self.state.session_expiry = match (v5, connect.clean_start) {
            (true, _) => connect.properties.session_expiry_interval().unwrap_or(0),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        if connect.clean_start || ended {
            self.state.forget_peer(owner);
        }
        Ok(())
    }

    /// Takes one decoded packet; call it only while [`wants_input`](Self::wants_input).
    ///
    /// # Errors
    /// The server broke a rule: keep polling the output, which answers and closes.
    pub fn handle<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: FromServer<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Violation> {
        self.heard(now);
        self.dispatch(packet, Payload::Whole, now, owner)
            .map_err(|rule| self.fail(rule.into()))
    }

    /// Takes a PUBLISH whose payload is not complete: its first part goes with the event, hand the others over yourself, then call
    /// [`payload_complete`](Self::payload_complete) and settle. Without an event the message is a repetition: skip its payload.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub fn handle_part<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        part: PartialPublish<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Violation> {
        self.heard(now);
        let payload = if part.missing == 0 {
            Payload::Whole
        } else {
            Payload::Arriving
        };
        self.dispatch(FromServer::Publish(part.publish), payload, now, owner)
            .map_err(|rule| self.fail(rule.into()))
    }

    fn dispatch<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: FromServer<'p>,
        payload: Payload,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Rule> {
        match self.link.phase {
            Phase::Connected => {}
            Phase::AwaitConnAck => {
                return match packet {
                    FromServer::ConnAck(connack) => self.connack(connack, now, owner),
                    FromServer::Auth(auth) => self.auth(auth, owner),
                    FromServer::Publish(_)
                    | FromServer::PubAck(_)
                    | FromServer::PubRec(_)
                    | FromServer::PubRel(_)
                    | FromServer::PubComp(_)
                    | FromServer::SubAck(_)
                    | FromServer::UnsubAck(_)
                    | FromServer::PingResp
                    | FromServer::Disconnect(_) => Err(Rule::ConnAckFirst),
                };
            }
            _ => return Ok(ClientEvent::Nothing),
        }
        match packet {
            FromServer::ConnAck(_) => Err(Rule::SecondConnAck),
            FromServer::Publish(publish) => Ok(self
                .publication(publish, payload, owner)?
                .map_or(ClientEvent::Nothing, ClientEvent::Publication)),
            FromServer::PubAck(packet) => self.puback(&packet, owner).map(nothing),
            FromServer::PubRec(packet) => self.pubrec(&packet, owner).map(nothing),
            FromServer::PubRel(packet) => self.pubrel(&packet, owner).map(nothing),
            FromServer::PubComp(packet) => self.pubcomp(&packet, owner).map(nothing),
            FromServer::SubAck(packet) => {
                let request = self.answered(packet.packet_id, false)?;
                if packet.codes.len() != usize::from(request.count) {
                    return Err(Rule::SubAckCount);
                }
                Ok(ClientEvent::Subscribed(
                    packet.packet_id,
                    packet.codes,
                    packet.properties,
                ))
            }
            FromServer::UnsubAck(packet) => {
                let request = self.answered(packet.packet_id, true)?;
                if self.link.v5() && packet.codes.len() != usize::from(request.count) {
                    return Err(Rule::SubAckCount);
                }
                Ok(ClientEvent::Unsubscribed(
                    packet.packet_id,
                    packet.codes,
                    packet.properties,
                ))
            }
            FromServer::PingResp => {
                self.link.role.pong_due = None;
                Ok(ClientEvent::Nothing)
            }
            FromServer::Disconnect(packet) => {
                self.link.phase = Phase::Closing;
                Ok(ClientEvent::Disconnect(packet))
            }
            FromServer::Auth(packet) => self.auth(packet, owner),
        }
    }

    fn connack<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: ConnAck<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Rule> {
        if packet.reason != ReasonCode::SUCCESS {
            self.link.phase = Phase::Closing;
            return Ok(ClientEvent::Refused(packet));
        }
        let session_present = packet.session_present && self.link.version != Version::V31;
        if session_present && self.link.clean_start {
            return Err(Rule::UnexpectedSession);
        }
        if self.link.v5() {
            let properties = packet.properties;
            if let Some(expiry) = properties.session_expiry_interval() {
                self.state.session_expiry = expiry;
            }
            if let Some(maximum) = properties.receive_maximum() {
                self.link.send_maximum = self.link.send_maximum.min(maximum.get());
            }
            if let Some(maximum) = properties.maximum_packet_size() {
                self.link.maximum_packet_size = maximum.get();
            }
            if let Some(keep_alive) = properties.server_keep_alive() {
                // [MQTT-3.2.2-21]
                self.link.keep_alive = keep_alive;
            }
            // Absent means none [MQTT-3.2.2-18].
            self.link.alias_send_maximum = self
                .link
                .alias_send_maximum
                .min(properties.topic_alias_maximum().unwrap_or(0));
            let role = &mut self.link.role;
            role.maximum_qos = properties.maximum_qos().unwrap_or(QoS::ExactlyOnce);
            role.retain_available = properties.retain_available().unwrap_or(true);
            role.wildcards_available = properties.wildcard_subscription_available().unwrap_or(true);
            role.subscription_ids_available = properties
                .subscription_identifier_available()
                .unwrap_or(true);
            role.shared_available = properties.shared_subscription_available().unwrap_or(true);
        }
        if !session_present && self.link.version != Version::V31 {
            // [MQTT-3.2.2-5]
            self.state.forget_peer(owner);
        }
        self.connected(now);
        Ok(ClientEvent::Connected(packet))
    }

    fn auth<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: Auth<'p>,
        owner: &O,
    ) -> Result<ClientEvent<'p>, Rule> {
        if !P::AUTH || !self.link.authenticating {
            return Err(Rule::AuthUnexpected);
        }
        let connected = self.link.phase == Phase::Connected;
        let step_fits = match packet.reason {
            ReasonCode::CONTINUE_AUTHENTICATION => !connected || self.link.role.reauthenticating,
            ReasonCode::SUCCESS => connected && self.link.role.reauthenticating,
            _ => false,
        };
        if !step_fits {
            return Err(Rule::AuthUnexpected);
        }
        if packet.properties.authentication_method() != owner.handshake_text().authentication_method
        {
            return Err(Rule::AuthMethodChanged);
        }
        if packet.reason == ReasonCode::SUCCESS {
            self.link.role.reauthenticating = false;
        }
        Ok(ClientEvent::Auth(packet))
    }

    fn answered(&mut self, id: PacketId, unsubscribe: bool) -> Result<Request, Rule> {
        let requests = &mut self.link.role.requests;
        let at = requests
            .position(|request| request.id == id.get() && request.unsubscribe == unsubscribe);
        at.and_then(|at| requests.remove(at))
            .ok_or(Rule::UnknownSubAck)
    }

    /// Whether the server takes Subscription Identifiers: 5.0, unless its CONNACK says no.
    #[must_use]
    pub fn subscription_ids_available(&self) -> bool {
        self.link.v5() && self.link.role.subscription_ids_available
    }

    /// Writes SUBSCRIBE; its answer comes as [`ClientEvent::Subscribed`] with the id that is returned.
    ///
    /// The answer is owed on this connection only: make the subscription again after a reconnect that finds no session.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] without a connection, [`Misuse::Topic`], [`Misuse::NotSupported`] for what the server does not have,
    /// [`Misuse::Exhausted`], [`Misuse::TooLarge`], [`Misuse::Full`], [`Misuse::Encode`].
    pub fn subscribe<T: Tx>(
        &mut self,
        filters: &[SubscribeFilter<'_>],
        properties: Properties<'_>,
        tx: &mut T,
        now: Instant,
    ) -> Result<PacketId, Misuse> {
        for entry in filters {
            let parsed = ParsedFilter::parse(entry.filter).map_err(|_| Misuse::Topic)?;
            let role = &self.link.role;
            let shared = parsed.share.is_some();
            if (shared && !role.shared_available)
                || (parsed.filter.has_wildcards() && !role.wildcards_available)
            {
                return Err(Misuse::NotSupported);
            }
            if entry.options.qos > P::MAX_QOS {
                return Err(Misuse::NotSupported);
            }
            if shared && entry.options.no_local && self.link.v5() {
                // [MQTT-3.8.3-4]
                return Err(Misuse::Topic);
            }
        }
        if !self.link.role.subscription_ids_available
            && properties.subscription_identifiers().next().is_some()
        {
            return Err(Misuse::NotSupported);
        }
        let version = self.link.version;
        self.request(filters.len(), false, tx, now, |packet_id, tx, takes| {
            let packet = Subscribe {
                packet_id,
                properties,
                filters: Filters::List(filters),
            };
            let len = packet.encoded_len(version);
            if len > takes {
                return Err(Misuse::TooLarge);
            }
            put(tx, len, |room| packet.encode(version, room))
        })
    }

    /// Writes UNSUBSCRIBE; its answer comes as [`ClientEvent::Unsubscribed`] with the id that is returned.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn unsubscribe<T: Tx>(
        &mut self,
        filters: &[&str],
        properties: Properties<'_>,
        tx: &mut T,
        now: Instant,
    ) -> Result<PacketId, Misuse> {
        if filters
            .iter()
            .any(|filter| ParsedFilter::parse(filter).is_err())
        {
            return Err(Misuse::Topic);
        }
        let version = self.link.version;
        self.request(filters.len(), true, tx, now, |packet_id, tx, takes| {
            let packet = Unsubscribe {
                packet_id,
                properties,
                filters: UnsubscribeFilters::List(filters),
            };
            let len = packet.encoded_len(version);
            if len > takes {
                return Err(Misuse::TooLarge);
            }
            put(tx, len, |room| packet.encode(version, room))
        })
    }

    fn request<T: Tx>(
        &mut self,
        count: usize,
        unsubscribe: bool,
        tx: &mut T,
        now: Instant,
        write: impl FnOnce(PacketId, &mut T, usize) -> Result<(), Misuse>,
    ) -> Result<PacketId, Misuse> {
        if self.link.phase != Phase::Connected {
            return Err(Misuse::NotNow);
        }
        // At least one filter [MQTT-3.8.3-2], [MQTT-3.10.3-2].
        let count = u16::try_from(count)
            .ok()
            .filter(|&count| count > 0)
            .ok_or(Misuse::Count)?;
        if self.link.role.requests.len() >= <S::Answers<Answer<P::Gate>> as Deque<_>>::CAPACITY {
            return Err(Misuse::Exhausted);
        }
        let ids = self.state.ids;
        let id = self.take_packet_id().ok_or(Misuse::Exhausted)?;
        if let Err(misuse) = write(id, tx, self.link.maximum_packet_size as usize) {
            self.state.ids = ids;
            return Err(misuse);
        }
        let request = Request {
            id: id.get(),
            count,
            unsubscribe,
        };
        self.link
            .role
            .requests
            .push(request)
            .map_err(|_| Misuse::Exhausted)?;
        self.link.role.sent = now;
        Ok(id)
    }

    /// Writes AUTH: 0x18 to go on with an exchange [MQTT-4.12.0-3], 0x19 to start a re-authentication; the properties repeat the method.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when CONNECT named no method [MQTT-4.12.0-7] or this step does not fit the exchange, [`Misuse::Full`],
    /// [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn authenticate<T: Tx>(
        &mut self,
        reason: ReasonCode,
        properties: Properties<'_>,
        tx: &mut T,
        now: Instant,
    ) -> Result<(), Misuse> {
        let step_fits = match (self.link.phase, reason) {
            (Phase::AwaitConnAck, ReasonCode::CONTINUE_AUTHENTICATION) => true,
            (Phase::Connected, ReasonCode::CONTINUE_AUTHENTICATION) => {
                self.link.role.reauthenticating
            }
            (Phase::Connected, ReasonCode::RE_AUTHENTICATE) => !self.link.role.reauthenticating,
            _ => false,
        };
        if !P::AUTH || !self.link.authenticating || !step_fits {
            return Err(Misuse::NotNow);
        }
        let packet = Auth { reason, properties };
        let len = packet.encoded_len(self.link.version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(self.link.version, room))?;
        if self.link.phase == Phase::Connected {
            self.link.role.reauthenticating = true;
        }
        self.link.role.sent = now;
        Ok(())
    }

    /// Writes DISCONNECT with properties; then the connection closes. [`disconnect`](Self::disconnect) does without properties.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] without a connection, [`Misuse::NotSupported`] when a session that ends with its connection shall be kept,
    /// [`Misuse::Full`], [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn disconnect_with<T: Tx>(
        &mut self,
        packet: &Disconnect<'_>,
        tx: &mut T,
    ) -> Result<(), Misuse> {
        if self.link.phase != Phase::Connected {
            return Err(Misuse::NotNow);
        }
        let expiry = packet.properties.session_expiry_interval();
        if self.state.session_expiry == 0 && expiry.is_some_and(|expiry| expiry != 0) {
            return Err(Misuse::NotSupported);
        }
        let len = packet.encoded_len(self.link.version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(self.link.version, room))?;
        if let Some(expiry) = expiry.filter(|_| self.link.v5()) {
            self.state.session_expiry = expiry;
        }
        self.link.phase = Phase::Closing;
        Ok(())
    }

    /// Asks for a PINGREQ at the next poll, whatever the keep-alive says.
    pub fn ping(&mut self, now: Instant, limits: &Limits) {
        if self.link.phase == Phase::Connected && self.link.role.pong_due.is_none() {
            self.link.pings_due = 1;
            self.link.role.pong_due = Some(now.plus_millis(u64::from(limits.ping_timeout_ms)));
        }
    }
}

const fn nothing<'p>((): ()) -> ClientEvent<'p> {
    ClientEvent::Nothing
}
