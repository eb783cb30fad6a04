//! The server's end: CONNECT and SUBSCRIBE end in questions to the owner, CONNACK and SUBACK in its answers.

mod handshake;
mod subscribe;

use mqtt_codec::{Disconnect, FromClient, PartialPublish, Publish, ReasonCode};

use crate::event::{Publication, ServerEvent};
use crate::limits::Limits;
use crate::link::Phase;
use crate::owner::Owner;
use crate::profile::Profile;
use crate::receive::Payload;
use crate::sealed;
use crate::session::{Role, Session};
use crate::storage::Storage;
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule, Violation};

/// The server's end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Server;

/// A session at the server's end.
pub type ServerSession<P, S> = Session<Server, P, S>;

/// What a server remembers of one connection.
#[derive(Debug, Default)]
#[expect(unnameable_types, reason = "part of a sealed trait")]
pub struct ServerLink {
    /// The Will Delay Interval in seconds.
    will_delay: u32,
    /// There is a will, and it was not taken back.
    has_will: bool,
    /// CONNECT was accepted: the will counts.
    accepted: bool,
    /// AUTH 0x19 came and the exchange is not over.
    reauthenticating: bool,
}

impl Role for Server {}

impl sealed::Role for Server {
    const SERVER: bool = true;
    type Link<S: Storage> = ServerLink;

    fn poll_handshake<P: Profile, S: Storage, T: Tx, O: Owner<Gate = P::Gate>>(
        session: &mut Session<Self, P, S>,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<bool, Misuse> {
        session.poll_connack(tx, now, owner)
    }

    fn detached<S: Storage>(link: &mut ServerLink) {
        link.has_will = false;
    }

    fn will_due<S: Storage>(
        link: &ServerLink,
        now: Instant,
        session_expiry: u32,
    ) -> Option<Instant> {
        // Whichever comes first: the delay has passed or the session ends [MQTT-3.1.2-8].
        (link.has_will && link.accepted)
            .then(|| now.plus_seconds(link.will_delay.min(session_expiry)))
    }
}

impl<P: Profile, S: Storage> ServerSession<P, S> {
    /// A connection was opened: CONNECT must come within the time that `limits` gives.
    pub fn open(&mut self, now: Instant, limits: &Limits) {
        self.forget_connection();
        self.link.phase = Phase::AwaitConnect;
        self.link.clock = now.plus_millis(u64::from(limits.connect_timeout_ms));
    }

    /// Takes one decoded packet; call it only while [`wants_input`](Self::wants_input).
    ///
    /// # Errors
    /// The client broke a rule: keep polling the output, which answers and closes.
    #[inline]
    pub fn handle<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &FromClient<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ServerEvent<'p>, Violation> {
        self.heard(now);
        match packet {
            FromClient::Publish(publish) if self.is_connected() => {
                self.receive(publish, Payload::Whole, owner)
            }
            _ => self
                .dispatch(packet, owner)
                .map_err(|rule| self.fail(rule.into())),
        }
    }

    /// Takes a PUBLISH whose payload is not complete: its first part goes with the event, hand the others over yourself, then call
    /// [`payload_complete`](Self::payload_complete) and settle. Without an event the message is a repetition: skip its payload.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub fn handle_part<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        part: &PartialPublish<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ServerEvent<'p>, Violation> {
        self.heard(now);
        let payload = if part.missing == 0 {
            Payload::Whole
        } else {
            Payload::Arriving
        };
        if self.is_connected() {
            return self.receive(&part.publish, payload, owner);
        }
        self.dispatch(&FromClient::Publish(part.publish), owner)
            .map_err(|rule| self.fail(rule.into()))
    }

    /// PUBLISH, of which there are more than of all others together: the event is made where the caller wants it.
    fn receive<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &Publish<'p>,
        payload: Payload,
        owner: &mut O,
    ) -> Result<ServerEvent<'p>, Violation> {
        self.state.mark_used();
        match self.admit(packet, payload, owner) {
            Ok(Some(known)) => Ok(ServerEvent::Publication(Publication::of(packet, known))),
            Ok(None) => Ok(ServerEvent::Nothing),
            Err(rule) => Err(self.fail(rule.into())),
        }
    }

    fn dispatch<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &FromClient<'p>,
        owner: &mut O,
    ) -> Result<ServerEvent<'p>, Rule> {
        match self.link.phase {
            Phase::Connected => self.state.mark_used(),
            Phase::AwaitConnect => {
                return match *packet {
                    FromClient::Connect(connect) => self.connect(connect, owner.limits()),
                    FromClient::Publish(_)
                    | FromClient::PubAck(_)
                    | FromClient::PubRec(_)
                    | FromClient::PubRel(_)
                    | FromClient::PubComp(_)
                    | FromClient::Subscribe(_)
                    | FromClient::Unsubscribe(_)
                    | FromClient::PingReq
                    | FromClient::Disconnect(_)
                    | FromClient::Auth(_) => Err(Rule::ConnectFirst),
                };
            }
            Phase::AwaitAuth => {
                return match *packet {
                    FromClient::Auth(auth) => self.auth(auth, owner),
                    // [MQTT-3.1.2-30]: nothing but AUTH and DISCONNECT before CONNACK.
                    FromClient::Disconnect(disconnect) => self.goodbye(disconnect),
                    _ => Err(Rule::UnexpectedPacket),
                };
            }
            // `wants_input` was false: nothing is looked at.
            _ => return Ok(ServerEvent::Nothing),
        }
        match *packet {
            FromClient::Connect(_) => Err(Rule::SecondConnect),
            // `receive` has taken it.
            FromClient::Publish(_) => Ok(ServerEvent::Nothing),
            FromClient::PubAck(packet) => self.puback(&packet, owner).map(nothing),
            FromClient::PubRec(packet) => self.pubrec(&packet, owner).map(nothing),
            FromClient::PubRel(packet) => self.pubrel(&packet, owner).map(nothing),
            FromClient::PubComp(packet) => self.pubcomp(&packet, owner).map(nothing),
            FromClient::Subscribe(packet) => self.subscribe(packet, owner.limits()),
            FromClient::Unsubscribe(packet) => self.unsubscribe(packet, owner.limits()),
            FromClient::PingReq => {
                self.link.pings_due = self.link.pings_due.saturating_add(1);
                Ok(ServerEvent::Nothing)
            }
            FromClient::Disconnect(packet) => self.goodbye(packet),
            FromClient::Auth(packet) => self.auth(packet, owner),
        }
    }

    fn goodbye<'p>(&mut self, packet: Disconnect<'p>) -> Result<ServerEvent<'p>, Rule> {
        if self.link.v5()
            && let Some(expiry) = packet.properties.session_expiry_interval()
        {
            if self.state.session_expiry == 0 && expiry != 0 {
                return Err(Rule::SessionExpiryRaised);
            }
            self.state.session_expiry = expiry;
        }
        // A will survives only a goodbye that asks for it [MQTT-3.14.4-3].
        if packet.reason == ReasonCode::NORMAL_DISCONNECTION {
            self.link.role.has_will = false;
        }
        self.link.phase = Phase::Closing;
        Ok(ServerEvent::Disconnect(packet))
    }
}

const fn nothing<'p>((): ()) -> ServerEvent<'p> {
    ServerEvent::Nothing
}
