//! Bytes of a connection: split into packets, decoded, handled.

use mqtt_codec::{Decoded, FromClient, QoS, ReasonCode};
use mqtt_session::{Commit, Instant, Publication, ServerEvent, Topic, Violation};

use super::ids::{ConnId, SessionKey};
use super::message::Incoming;
use super::routing::is_reserved;
use super::store::Record;
use super::{Core, Received};

impl Core {
    /// Takes the bytes that a connection has, from the start of a packet on.
    pub fn receive(&mut self, id: ConnId, bytes: &[u8], now: Instant) -> Received {
        let mut consumed = 0;
        match self.conns.get_mut(id.slot, id.generation) {
            Some(conn) => conn.machine.heard(now),
            None => return Received::Closing,
        }
        loop {
            let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
                return Received::Closing;
            };
            if conn.machine.is_closing() {
                return Received::Closing;
            }
            let rest = bytes.get(consumed..).unwrap_or_default();
            // What one packet makes for others is bounded by its receivers, what one read makes is not.
            if !conn.takes_input() || self.gathered >= super::ROUND_BATCHES {
                conn.paused = true;
                self.touch(id);
                return Received::Paused { consumed };
            }
            let settings = self.shared.settings();
            let mut decoder = conn.machine.decoder(&settings.limits);
            decoder.maximum_user_properties = settings.user_properties;
            match decoder.from_client(rest) {
                Ok(Decoded::NeedMore(need)) => return Received::More { consumed, need },
                Ok(Decoded::Complete { ref packet, len }) => {
                    // Only the first: a second CONNECT is an error wherever it would be at home [MQTT-3.1.0-2].
                    if let FromClient::Connect(connect) = packet
                        && conn.awaits_connect()
                        && !connect.client_id().is_empty()
                    {
                        let home = self.shared.home(connect.client_id());
                        if home != self.worker {
                            self.conns.remove(id.slot, id.generation);
                            self.tally.connections -= 1;
                            return Received::HandOver { worker: home };
                        }
                    }
                    consumed += len;
                    self.tally.packets_received += 1;
                    self.tally.bytes_received += len as i64;
                    self.packet(id, packet, now);
                }
                Err(error) => {
                    let violation = conn.machine.malformed(error);
                    self.violated(id, violation);
                    return Received::Closing;
                }
            }
        }
    }

    /// The client broke a rule: what answers that is polled.
    pub(super) fn violated(&mut self, id: ConnId, violation: Violation) {
        self.tally.violations += 1;
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
            conn.rare.get_or_insert_default().why = Some(violation);
        }
        self.touch(id);
    }

    fn packet(&mut self, id: ConnId, packet: &FromClient<'_>, now: Instant) {
        let event = self.with_machine(id, |machine, keeper| machine.handle(packet, now, keeper));
        self.touch(id);
        self.note_use(id);
        match event {
            None => {}
            Some(Err(violation)) => self.violated(id, violation),
            Some(Ok(event)) => match event {
                ServerEvent::Publication(publication) => self.publication(id, publication, now),
                ServerEvent::Connect(connect) => self.connect(id, &connect, now),
                ServerEvent::Auth(auth) => self.auth(id, &auth, now),
                ServerEvent::Subscribe(subscribe) => self.subscribe(id, &subscribe, now),
                ServerEvent::Unsubscribe(unsubscribe) => self.unsubscribe(id, &unsubscribe, now),
                // The session knows how it closes; nothing of this connection is left to do.
                ServerEvent::Disconnect(_) | ServerEvent::Nothing => {}
            },
        }
    }

    /// Tells the store, once, that the client of a session has used it: whether the next connection finds it there hangs on that.
    fn note_use(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation)
            && !conn.noted
            && conn.machine.state().is_used()
            // One that ends with its connection is not found by any other.
            && conn.machine.state().session_expiry() != 0
            && let Some(key) = conn.session
        {
            conn.noted = true;
            self.store.record(&Record::Used(self.subscriber(key)));
        }
    }

    fn publication(&mut self, id: ConnId, publication: Publication<'_>, now: Instant) {
        self.tally.publish_received += 1;
        self.tally.payload_received += publication.payload.len() as i64;
        let Some(conn) = self.conns.get(id.slot, id.generation) else {
            return;
        };
        let Some(key) = conn.session else { return };
        // An alias is resolved into memory of our own, because the sessions are touched while the message is routed.
        let resolved: String;
        let topic = match publication.topic {
            Topic::Name(name) => name.as_str(),
            Topic::Alias(alias) => {
                resolved = conn.machine.topic(alias).unwrap_or_default().to_owned();
                &resolved
            }
        };
        let properties = &publication.properties;
        let mut forwarded = core::mem::take(&mut self.scratch);
        forwarded.clear();
        if !properties.is_empty() {
            forwarded.resize(properties.forwarded_len(), 0);
            let written = properties.write_forwarded(&mut forwarded).unwrap_or(0);
            forwarded.truncate(written);
        }
        let mut incoming = Incoming::new(
            topic,
            &forwarded,
            publication.payload,
            publication.qos,
            publication.retain,
        );
        incoming.publisher = self.subscriber(key);
        incoming.expires = properties
            .message_expiry_interval()
            .map(|seconds| now.plus_seconds(seconds));
        let reason = self.accept_publication(key, &mut incoming, now);
        self.scratch = forwarded;
        let reason = match reason {
            Ok(reason) => reason,
            Err(reason) => {
                self.tally.refused_full += 1;
                if let Some(delivery) = publication.delivery {
                    if cfg!(mutation = "full-acknowledged") {
                        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
                            let success = ReasonCode::SUCCESS;
                            conn.machine.settle(delivery, success, Commit::default());
                        }
                        return;
                    }
                    self.with_machine(id, |machine, keeper| {
                        machine.abandon(delivery, reason, keeper)
                    });
                }
                return;
            }
        };
        if let Some(delivery) = publication.delivery {
            let kept = if cfg!(mutation = "acknowledged-before-store") {
                Commit::default()
            } else {
                self.store.latest()
            };
            if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
                conn.machine.settle(delivery, reason, kept);
            }
        }
    }

    /// Asks whether the client may publish this, and routes it if so.
    ///
    /// # Errors
    /// Why the store cannot take it.
    fn accept_publication(
        &mut self,
        key: SessionKey,
        incoming: &mut Incoming<'_>,
        now: Instant,
    ) -> Result<ReasonCode, ReasonCode> {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return Ok(ReasonCode::UNSPECIFIED_ERROR);
        };
        let client = session.identity();
        // What the broker says of itself cannot be said by clients.
        if is_reserved(incoming.topic)
            || !self
                .policy
                .publish(client, incoming.topic, incoming.qos, incoming.retain)
        {
            return Ok(ReasonCode::NOT_AUTHORIZED);
        }
        if let Some(reason) = self.refusal(incoming) {
            return Err(reason);
        }
        if self.policy.wants_messages() {
            self.policy.message(
                Some(client),
                incoming.topic,
                incoming.payload,
                incoming.qos,
                incoming.retain,
            );
        }
        let anybody = self.route(incoming, now);
        Ok(if anybody || incoming.qos == QoS::AtMostOnce {
            ReasonCode::SUCCESS
        } else {
            ReasonCode::NO_MATCHING_SUBSCRIBERS
        })
    }
}
