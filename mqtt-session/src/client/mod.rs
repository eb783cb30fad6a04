//! The client's end: CONNECT, SUBSCRIBE and UNSUBSCRIBE go out at a call, their answers come back as events.

mod handshake;
mod requests;

use mqtt_codec::{FromServer, PartialPublish, Publish, QoS, ReasonCode};

use crate::event::{ClientEvent, Publication};
use crate::inflight::packet_ids::distance;
use crate::limits::Limits;
use crate::link::Phase;
use crate::owner::Owner;
use crate::profile::Profile;
use crate::receive::Payload;
use crate::sealed::{self, Quiet};
use crate::session::{Role, Session};
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

    fn nearest<S: Storage>(link: &ClientLink<S>, from: u16) -> u16 {
        let requests = (0..link.requests.len()).filter_map(|at| link.requests.get(at));
        requests.fold(u16::MAX, |nearest, request| {
            nearest.min(distance(from, request.id))
        })
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
    /// Takes one decoded packet; call it only while [`wants_input`](Self::wants_input).
    ///
    /// # Errors
    /// The server broke a rule: keep polling the output, which answers and closes.
    #[inline]
    pub fn handle<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &FromServer<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Violation> {
        self.heard(now);
        match packet {
            FromServer::Publish(publish) if self.is_connected() => {
                self.receive(publish, Payload::Whole, owner)
            }
            _ => self
                .dispatch(packet, now, owner)
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
    ) -> Result<ClientEvent<'p>, Violation> {
        self.heard(now);
        let payload = if part.missing == 0 {
            Payload::Whole
        } else {
            Payload::Arriving
        };
        if self.is_connected() {
            return self.receive(&part.publish, payload, owner);
        }
        self.dispatch(&FromServer::Publish(part.publish), now, owner)
            .map_err(|rule| self.fail(rule.into()))
    }

    /// PUBLISH, of which there are more than of all others together: the event is made where the caller wants it.
    fn receive<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &Publish<'p>,
        payload: Payload,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Violation> {
        match self.admit(packet, payload, owner) {
            Ok(Some(known)) => Ok(ClientEvent::Publication(Publication::of(packet, known))),
            Ok(None) => Ok(ClientEvent::Nothing),
            Err(rule) => Err(self.fail(rule.into())),
        }
    }

    fn dispatch<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &FromServer<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Rule> {
        match self.link.phase {
            Phase::Connected => {}
            Phase::AwaitConnAck => {
                return match *packet {
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
        match *packet {
            FromServer::ConnAck(_) => Err(Rule::SecondConnAck),
            // `receive` has taken it.
            FromServer::Publish(_) => Ok(ClientEvent::Nothing),
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
