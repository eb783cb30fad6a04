//! When the store takes nothing more: what is refused, and what goes on.
//!
//! Refused is what would have to be kept and is not there yet: messages of QoS 1 and 2, retained ones, new sessions that outlive their
//! connection, their subscriptions. Everything that helps to get rid of what is there goes on: sessions are resumed, messages delivered and
//! acknowledged, subscriptions given up, sessions ended. So does what promises nothing: QoS 0, and sessions that end with their connection.
//! Of these nothing is asked of the store: while it has no room, their answers wait for no commit. But the end of a session
//! that outlived connections is promised by CONNACK, whoever has ended it: that waits.
//!
//! A store that has failed makes nothing durable any more, and what was recorded since is never acknowledged. A session that outlives its
//! connection cannot be resumed then either: CONNACK would be a promise.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mqtt_codec::{QoS, ReasonCode};
use mqtt_session::{Commit, Instant};
use mqtt_topic::TopicName;

use super::Core;
use super::connection::Handshake;
use super::ids::{ConnId, SessionKey};
use super::message::{Incoming, Message};
use super::routing::is_reserved;
use super::store::Room;

/// Sessions that outlived connections and whose end is not durable yet, by the hash of their client id. Those are few while the store has
/// room; while it has none, no new ones begin.
#[derive(Debug, Default)]
pub(super) struct Ending {
    by_client: HashMap<u64, Commit>,
    in_order: VecDeque<(Commit, u64)>,
}

impl Ending {
    pub(super) fn insert(&mut self, client: u64, ended: Commit) {
        self.by_client.insert(client, ended);
        self.in_order.push_back((ended, client));
    }

    fn contains(&self, client: u64) -> bool {
        self.by_client.contains_key(&client)
    }

    /// What was recorded up to here is durable.
    pub(super) fn committed(&mut self, committed: Commit) {
        while let Some(&(ended, client)) = self.in_order.front()
            && ended <= committed
        {
            self.in_order.pop_front();
            if self.by_client.get(&client) == Some(&ended) {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Core {
    /// Whether the store takes more.
    #[must_use]
    pub fn room(&self) -> Room {
        self.store.room()
    }

    /// How far everything is durable that this worker has recorded.
    #[must_use]
    pub fn committed(&self) -> Commit {
        self.store.committed()
    }

    /// Why a message cannot be taken, if it cannot.
    pub(super) fn refusal(&self, incoming: &Incoming<'_>) -> Option<ReasonCode> {
        // An empty retained message takes one away.
        let retained = incoming.retain && !incoming.payload.is_empty();
        if incoming.qos == QoS::AtMostOnce && (!retained || is_reserved(incoming.topic)) {
            return None;
        }
        match self.store.room() {
            Room::Enough => None,
            Room::Full => Some(ReasonCode::QUOTA_EXCEEDED),
            Room::Failed => Some(ReasonCode::UNSPECIFIED_ERROR),
        }
    }

    /// Why a subscription of this session cannot be made, if it cannot.
    pub(super) fn subscription_refusal(&self, id: ConnId) -> Option<ReasonCode> {
        let conn = self.conns.get(id.slot, id.generation)?;
        if conn.machine.state().session_expiry() == 0 {
            return None;
        }
        match self.store.room() {
            Room::Enough => None,
            Room::Full => Some(ReasonCode::QUOTA_EXCEEDED),
            Room::Failed => Some(ReasonCode::UNSPECIFIED_ERROR),
        }
    }

    /// What an answer to a client waits for: that what was recorded so far is durable. Of a session that ends with its connection nothing is
    /// left after a crash, so that it need not wait for a store without room.
    pub(super) fn promise(&self, id: ConnId) -> Commit {
        let conn = self.conns.get(id.slot, id.generation);
        let lasts = conn.is_none_or(|conn| conn.machine.state().session_expiry() != 0);
        if lasts || self.store.room() == Room::Enough {
            self.store.latest()
        } else {
            Commit::default()
        }
    }

    /// Why this client cannot be connected, if it cannot; `known` is its session.
    pub(super) fn connect_refusal(
        &self,
        handshake: &Handshake,
        known: Option<SessionKey>,
    ) -> Option<ReasonCode> {
        let room = self.store.room();
        if room == Room::Enough {
            return None;
        }
        let most = self.shared.settings().session_expiry_maximum;
        let lasts = handshake.session_expiry.min(most) != 0;
        let before = known.is_some_and(|key| self.outlives_its_connection(key));
        let client_id = &*handshake.request.client_id;
        let reason = match room {
            Room::Full if !lasts || (before && !handshake.clean_start) => return None,
            Room::Failed if !lasts && !self.may_rise_again(client_id, known) => return None,
            Room::Full if handshake.request.version.is_v5() => ReasonCode::QUOTA_EXCEEDED,
            // Before 5.0 this is the one that says so.
            _ => ReasonCode::SERVER_UNAVAILABLE,
        };
        Some(reason)
    }

    /// Whether a session of this client may be there after a crash that CONNACK says is over; `known` is the one that is here.
    pub(super) fn may_rise_again(&self, client_id: &str, known: Option<SessionKey>) -> bool {
        let known = known.and_then(|key| self.sessions.get(key.slot, key.generation));
        known.is_some_and(|session| session.lasted)
            || self.ending.contains(self.shared.hash(client_id))
    }

    /// Whether there is something of a session that CONNACK speaks of after a crash.
    pub(super) fn outlives_its_connection(&self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return false;
        };
        let conn = session.conn;
        let conn = conn.and_then(|id| self.conns.get(id.slot, id.generation));
        match (conn, &session.offline) {
            (Some(conn), _) => conn.machine.state().session_expiry() != 0,
            (None, offline) => offline.is_some(),
        }
    }

    /// Publishes what somebody inside this process has to say, and gives the number that has to be [committed](Self::committed) before that
    /// is sure; 0 when nothing is promised.
    ///
    /// # Errors
    /// The state of the store that cannot take it; nobody gets it then.
    pub fn publish(&mut self, message: &Arc<Message>, now: Instant) -> Result<Commit, Room> {
        let mut incoming = Incoming::of(message);
        if self.refusal(&incoming).is_some() {
            self.tally.refused_full += 1;
            return Err(self.store.room());
        }
        if self.policy.wants_messages() {
            self.policy.message(
                None,
                message.topic(),
                message.payload(),
                message.qos,
                message.retain,
            );
        }
        self.route(&mut incoming, now);
        let promised = message.qos != QoS::AtMostOnce || message.retain;
        Ok(if promised {
            self.store.latest()
        } else {
            Commit::default()
        })
    }

    /// Routes a message of the broker's own, a will. If it cannot be kept, whoever is connected gets it all the same, with QoS 0, since
    /// nothing can be promised about it; it is counted.
    pub(super) fn route_own(&mut self, incoming: &mut Incoming<'_>, now: Instant) {
        if self.refusal(incoming).is_none() {
            self.route(incoming, now);
            return;
        }
        self.tally.unstored += 1;
        incoming.qos = QoS::AtMostOnce;
        if let Ok(name) = TopicName::new(incoming.topic) {
            self.deliver_to_all(&name, incoming, now);
        }
    }

    /// Says once for all workers when the store has no room any more, or has it again.
    pub(super) fn note_room(&mut self) {
        let room = self.store.room();
        if core::mem::replace(&mut self.room, room) == room || !self.shared.room_changed(room) {
            return;
        }
        match room {
            Room::Enough => tracing::warn!("the store has room again"),
            Room::Full => tracing::warn!(
                "the store is full: new messages of QoS 1 and 2, retained messages, sessions and subscriptions are refused"
            ),
            Room::Failed => tracing::error!(
                "the store has failed: nothing is acknowledged any more that would have to be kept; restart when the cause is gone"
            ),
        }
    }
}
