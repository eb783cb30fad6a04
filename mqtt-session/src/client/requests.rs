//! SUBSCRIBE and UNSUBSCRIBE at the client, and who waits for their answers.

use mqtt_codec::{
    Filters, PacketId, Properties, Subscribe, SubscribeFilter, Unsubscribe, UnsubscribeFilters,
};
use mqtt_topic::ParsedFilter;

use crate::limits::packet_size;
use crate::link::{Answer, Phase};
use crate::profile::Profile;
use crate::session::put;
use crate::storage::{Deque, Storage};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule};

use super::{ClientSession, Request};

impl<P: Profile, S: Storage> ClientSession<P, S> {
    /// Whether the server takes Subscription Identifiers: 5.0, unless its CONNACK says no.
    #[must_use]
    pub fn subscription_ids_available(&self) -> bool {
        self.link.v5() && self.link.role.subscription_ids_available
    }

    /// Writes SUBSCRIBE; its answer comes as [`ClientEvent::Subscribed`](crate::ClientEvent::Subscribed) with the id that is returned.
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
            // Only a 5.0 server says that it has not got them.
            if self.link.v5()
                && ((shared && !role.shared_available)
                    || (parsed.filter.has_wildcards() && !role.wildcards_available))
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
        if self.link.v5()
            && !self.link.role.subscription_ids_available
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

    /// Writes UNSUBSCRIBE; its answer comes as [`ClientEvent::Unsubscribed`](crate::ClientEvent::Unsubscribed) with the id that is returned.
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
        if let Err(misuse) = write(id, tx, packet_size(self.link.maximum_packet_size)) {
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

    pub(super) fn answered(&mut self, id: PacketId, unsubscribe: bool) -> Result<Request, Rule> {
        let requests = &mut self.link.role.requests;
        let at = requests
            .position(|request| request.id == id.get() && request.unsubscribe == unsubscribe);
        at.and_then(|at| requests.remove(at))
            .ok_or(Rule::UnknownSubAck)
    }
}
