//! What the broker refuses when its store has no room, and which answers wait for nothing then.

use mqtt_broker::core::Room;
use mqtt_codec::ReasonCode;
use mqtt_session::Instant;

use super::event::When;
use super::model::Model;

/// When something happened: the record up to which it is durable, the time, and whether the store took more.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) record: u64,
    pub(super) now: Instant,
    pub(super) room: Room,
    /// The broker closes the connection.
    pub(super) closing: bool,
}

impl At {
    pub(super) fn when(self) -> When {
        When {
            now: self.now,
            no_room: self.room != Room::Enough,
        }
    }

    /// What an answer waits for; nothing where it promises nothing beyond its connection, and the store has no room.
    pub(super) fn promise(self, lasts: bool) -> u64 {
        if lasts || self.room == Room::Enough {
            self.record
        } else {
            0
        }
    }

    /// Why nothing is taken that has to be kept, if that is so.
    pub(super) const fn refusal(self) -> Option<ReasonCode> {
        match self.room {
            Room::Enough => None,
            Room::Full => Some(ReasonCode::QUOTA_EXCEEDED),
            Room::Failed => Some(ReasonCode::UNSPECIFIED_ERROR),
        }
    }
}

impl Model {
    /// Whether there is something of a client's session that CONNACK speaks of after a crash.
    pub(super) fn outlives_its_connection(&self, client: usize) -> bool {
        let session = &self.state.sessions[client];
        let goodbye = session
            .link
            .and_then(|link| self.wires[link as usize].goodbye);
        let expiry = goodbye.and_then(|goodbye| goodbye.expiry);
        session.exists && (session.link.is_none() || expiry.unwrap_or(session.expiry) != 0)
    }

    /// Why a store without room lets nobody connect so, if it does not. A store that has failed need not vouch for the end of a session
    /// either.
    pub(super) fn connect_refusal(
        &self,
        client: usize,
        v5: bool,
        clean: bool,
        expiry: u32,
        at: At,
    ) -> Option<ReasonCode> {
        let (lasts, before) = (expiry != 0, self.outlives_its_connection(client));
        match at.room {
            Room::Enough => None,
            Room::Full if !lasts || (before && !clean) => None,
            Room::Failed if !lasts && !before => {
                let may_be = self.ended[client] || self.state.lasting()[client] != 0;
                (at.closing && may_be).then_some(ReasonCode::SERVER_UNAVAILABLE)
            }
            Room::Full if v5 => Some(ReasonCode::QUOTA_EXCEEDED),
            _ => Some(ReasonCode::SERVER_UNAVAILABLE),
        }
    }
}
