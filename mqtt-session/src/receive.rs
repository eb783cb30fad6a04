//! Packets that both roles receive: PUBLISH, and the acknowledgements of what was sent.

use mqtt_codec::{Delivery, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, TopicAlias};
use mqtt_topic::TopicName;

use crate::event::{DeliveryId, Handshake, Publication, Topic};
use crate::inflight::inbound::{Received, Status};
use crate::inflight::outbound::{Found, Releasing};
use crate::limits::Limits;
use crate::link::{Answer, AnswerKind, Owed, UNDECIDED};
use crate::owner::{Change, Outcome, Owner};
use crate::profile::Profile;
use crate::rules::{Acknowledgement, Step, acknowledge};
use crate::session::{Role, Session};
use crate::storage::{Deque, Part, Storage};
use crate::violation::Rule;

/// Whether the payload is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Whole,
    Arriving,
}

impl<'p> Publication<'p> {
    /// The packet in the owner's terms.
    #[inline(always)]
    pub(crate) const fn of(
        packet: &Publish<'p>,
        (topic, delivery): (Topic<'p>, Option<DeliveryId>),
    ) -> Self {
        Self {
            delivery,
            topic,
            qos: packet.delivery.qos(),
            retain: packet.retain,
            dup: packet.dup,
            properties: packet.properties,
            payload: packet.payload,
        }
    }
}

impl<R: Role, P: Profile, S: Storage> Session<R, P, S> {
    /// PUBLISH: its topic, and what is to be settled; `None` when it repeats a message that the owner has already.
    #[inline(always)]
    pub(crate) fn admit<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &Publish<'p>,
        payload: Payload,
        owner: &mut O,
    ) -> Result<Option<(Topic<'p>, Option<DeliveryId>)>, Rule> {
        let qos = packet.delivery.qos();
        let limits = owner.limits();
        if qos > P::MAX_QOS || (R::SERVER && qos > limits.maximum_qos) {
            return Err(Rule::QoSNotSupported);
        }
        if R::SERVER && packet.retain && !limits.retain_available {
            return Err(Rule::RetainNotSupported);
        }
        let topic = self.resolve(packet, limits)?;
        let delivery = match packet.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce(id) => Some(self.owe_puback(id.get())?),
            // What is above the highest QoS was refused.
            Delivery::ExactlyOnce(_) if P::MAX_QOS != QoS::ExactlyOnce => return Ok(None),
            Delivery::ExactlyOnce(id) => match self.owe_pubrec(id, payload, owner)? {
                Some(delivery) => Some(delivery),
                None => return Ok(None),
            },
        };
        Ok(Some((topic, delivery)))
    }

    /// The topic of a PUBLISH: in full, or the alias that stands for it.
    fn resolve<'p>(&mut self, packet: &Publish<'p>, limits: &Limits) -> Result<Topic<'p>, Rule> {
        let alias = if self.link.v5() {
            packet.properties.topic_alias()
        } else {
            None
        };
        // The maximum is 0 where aliases are not spoken.
        if let Some(alias) = alias
            && alias.get() > self.link.alias_maximum
        {
            return Err(Rule::TopicAliasRange);
        }
        match alias {
            Some(alias) if packet.topic.is_empty() => self.known_alias(alias),
            _ => {
                let name = TopicName::new(packet.topic).map_err(|_| Rule::TopicName)?;
                // A topic has no more levels than bytes, plus one.
                if packet.topic.len() >= usize::from(limits.topic_levels)
                    && name.level_count() > usize::from(limits.topic_levels)
                {
                    return Err(Rule::TopicName);
                }
                if let Some(alias) = alias {
                    self.link
                        .aliases
                        .make()
                        .learn(alias, packet.topic)
                        .map_err(|_| Rule::AliasTopicTooLong)?;
                }
                Ok(Topic::Name(name))
            }
        }
    }

    fn known_alias<'p>(&self, alias: TopicAlias) -> Result<Topic<'p>, Rule> {
        if self.topic(alias).is_some() {
            Ok(Topic::Alias(alias))
        } else {
            Err(Rule::TopicAliasUnknown)
        }
    }

    /// Whether the peer may not send one more message.
    fn is_window_full(&self) -> bool {
        self.link.unacknowledged >= self.link.receive_maximum
    }

    /// Frees the id of a message from the peer.
    pub(crate) fn remove_received(&mut self, id: mqtt_codec::PacketId) {
        let removed = self
            .state
            .inbound
            .get_mut()
            .and_then(|inbound| inbound.remove(id.get()));
        if removed.is_some_and(|entry| entry.here) {
            self.link.unacknowledged -= 1;
        }
    }

    fn owe_puback(&mut self, id: u16) -> Result<DeliveryId, Rule> {
        // Before 5.0 nobody was told a maximum: whoever sends more is not read, see `wants_input`.
        if self.link.v5() && self.is_window_full() {
            return Err(Rule::ReceiveMaximumExceeded);
        }
        let number = self.state.next_number();
        let owed = Owed {
            number,
            id,
            exactly_once: false,
            verdict: UNDECIDED,
            gate: P::Gate::default(),
        };
        self.link
            .owing
            .make()
            .acks
            .push(owed)
            .map_err(|_| Rule::ReceiveMaximumExceeded)?;
        if self.link.v5() {
            self.link.unacknowledged += 1;
        }
        Ok(DeliveryId {
            number,
            id,
            handshake: Handshake::PubAck,
        })
    }

    /// `None` when the message came before: PUBREC is owed again, the owner has it already [MQTT-4.3.3-10].
    fn owe_pubrec<O: Owner<Gate = P::Gate>>(
        &mut self,
        id: mqtt_codec::PacketId,
        payload: Payload,
        owner: &mut O,
    ) -> Result<Option<DeliveryId>, Rule> {
        let known = self
            .state
            .inbound
            .get()
            .and_then(|inbound| inbound.find(id));
        // Before 5.0 nobody was told a maximum, and only what must be remembered counts.
        if self.link.v5() && known.is_none_or(|entry| !entry.here) && self.is_window_full() {
            return Err(Rule::ReceiveMaximumExceeded);
        }
        let number = match known {
            Some(entry) => {
                if self.link.v5()
                    && !entry.here
                    && let Some(entry) = self.state.inbound.make().entry(id.get(), entry.number)
                {
                    entry.here = true;
                    self.link.unacknowledged += 1;
                }
                entry.number
            }
            None => {
                let most = usize::from(self.link.receive_maximum);
                if (!self.link.v5() && self.state.received() >= most)
                    || !self.state.inbound.make().has_room()
                {
                    return Err(Rule::ReceiveMaximumExceeded);
                }
                let number = self.state.next_number();
                let (status, gate) = match payload {
                    Payload::Whole => (
                        Status::Unsettled,
                        self.state.record(owner, Change::Received(id)),
                    ),
                    Payload::Arriving => (Status::Arriving, P::Gate::default()),
                };
                let entry = Received {
                    id: id.get(),
                    status,
                    here: self.link.v5(),
                    number,
                    gate,
                };
                self.state
                    .inbound
                    .make()
                    .push(entry)
                    .map_err(|_| Rule::ReceiveMaximumExceeded)?;
                if self.link.v5() {
                    self.link.unacknowledged += 1;
                }
                number
            }
        };
        let owing = self.link.owing.make();
        // A repetition while its PUBREC is still owed asks for nothing more.
        if known.is_none()
            || owing
                .acks
                .position(|owed| owed.exactly_once && owed.number == number)
                .is_none()
        {
            let owed = Owed {
                number,
                id: id.get(),
                exactly_once: true,
                verdict: UNDECIDED,
                gate: P::Gate::default(),
            };
            owing
                .acks
                .push(owed)
                .map_err(|_| Rule::ReceiveMaximumExceeded)?;
        }
        Ok(known.is_none().then_some(DeliveryId {
            number,
            id: id.get(),
            handshake: Handshake::PubRec,
        }))
    }

    /// The last part of a message that [arrived in parts](crate::ServerSession::handle_part) was handed over.
    pub fn payload_complete<O: Owner<Gate = P::Gate>>(
        &mut self,
        delivery: DeliveryId,
        owner: &mut O,
    ) {
        if !delivery.exactly_once() || P::MAX_QOS != QoS::ExactlyOnce {
            return;
        }
        let Some(id) = mqtt_codec::PacketId::new(delivery.id) else {
            return;
        };
        let arriving = self
            .state
            .inbound
            .get()
            .and_then(|inbound| inbound.find(id));
        if arriving.is_some_and(|entry| {
            entry.number == delivery.number && entry.status == Status::Arriving
        }) {
            let gate = self.state.record(owner, Change::Received(id));
            if let Some(entry) = self
                .state
                .inbound
                .get_mut()
                .and_then(|inbound| inbound.entry(delivery.id, delivery.number))
            {
                entry.status = Status::Unsettled;
                entry.gate = gate;
            }
        }
    }

    /// The owner cannot keep a received message, and it is as if that had never come. A 5.0 peer is told why, by PUBACK or PUBREC; before
    /// 5.0 nothing is said: there is no refusal, and an acknowledgement would be a lie. The peer still has the message, and sends it
    /// again on its next connection.
    ///
    /// Unlike after a refusal by [`settle`](Self::settle), the id of a QoS 2 message is free at once, and the answer waits for no commit. So
    /// call this before the owner commits the batch in which it has noted [`Change::Received`]: the [`Change::Released`] that takes it back
    /// has to stand in the same. Returns whether there was something to give up, as `settle` does. `reason` is 0x80 or more.
    pub fn abandon<O: Owner<Gate = P::Gate>>(
        &mut self,
        delivery: DeliveryId,
        reason: ReasonCode,
        owner: &mut O,
    ) -> bool {
        if P::MAX_QOS == QoS::ExactlyOnce && delivery.exactly_once() {
            let inbound = self.state.inbound.get_mut();
            let entry = inbound.and_then(|inbound| inbound.entry(delivery.id, delivery.number));
            let Some(status) = entry.map(|entry| entry.status) else {
                return false;
            };
            let Some(id) = mqtt_codec::PacketId::new(delivery.id) else {
                return false;
            };
            match status {
                Status::Settled(_) => return false,
                Status::Unsettled => {
                    self.state.record(owner, Change::Released(id));
                }
                Status::Arriving => {}
            }
            self.remove_received(id);
            self.answer_abandoned(delivery, reason);
            return true;
        }
        self.answer_abandoned(delivery, reason)
    }

    /// The peer is told, where that can be, in its turn; where not, nothing waits for this message any more.
    fn answer_abandoned(&mut self, delivery: DeliveryId, reason: ReasonCode) -> bool {
        let v5 = self.link.v5();
        let Some(owing) = self.link.owing.get_mut() else {
            return false;
        };
        let place = owing.acks.position(|owed| {
            owed.number == delivery.number
                && owed.exactly_once == delivery.exactly_once()
                && owed.verdict == UNDECIDED
        });
        let Some(at) = place else { return false };
        if v5 {
            if let Some(owed) = owing.acks.get_mut(at) {
                owed.verdict = reason.0;
                owed.gate = P::Gate::default();
            }
        } else {
            owing.acks.remove(at);
        }
        true
    }

    pub(crate) fn puback<O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &PubAck<'_>,
        owner: &mut O,
    ) -> Result<(), Rule> {
        let Some(outbound) = self.state.outbound.get_mut() else {
            return Ok(());
        };
        let found = outbound.find(packet.packet_id);
        let step = acknowledge(found.awaits(), Acknowledgement::PubAck, false)?;
        if let (Step::Finish, Found::AwaitPubAck(at)) = (step, found)
            && let Some(entry) = outbound.acknowledged(at)
        {
            owner.done(entry.seq, outcome(packet.reason, Outcome::Acknowledged));
        }
        Ok(())
    }

    pub(crate) fn pubrec<O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &PubRec<'_>,
        owner: &mut O,
    ) -> Result<(), Rule> {
        if P::MAX_QOS != QoS::ExactlyOnce {
            return Err(Rule::WrongAcknowledgement);
        }
        let id = packet.packet_id;
        let found = self
            .state
            .outbound
            .get()
            .map_or(Found::Nothing, |outbound| outbound.find(id));
        let refused = packet.reason.is_error();
        match acknowledge(found.awaits(), Acknowledgement::PubRec, refused)? {
            Step::Ignore => {}
            Step::Finish | Step::Release => {
                let Found::AwaitPubRec(at) = found else {
                    return Ok(());
                };
                let outbound = self.state.outbound.get_mut();
                let Some(entry) = outbound.and_then(|outbound| outbound.acknowledged(at)) else {
                    return Ok(());
                };
                if refused {
                    if cfg!(mutation = "quota-refilled-twice") {
                        self.link.send_maximum = self.link.send_maximum.saturating_add(1);
                    }
                    self.state.record(owner, Change::Completed(id));
                    owner.done(entry.seq, Outcome::Refused(packet.reason));
                } else {
                    let gate = self
                        .state
                        .record(owner, Change::PeerReceived(entry.seq, id));
                    // The place in the window was kept for it.
                    let _ = self.state.outbound.make().release(Releasing {
                        seq: entry.seq,
                        gate,
                        id: entry.id,
                    });
                    owner.done(entry.seq, Outcome::Received(packet.reason));
                }
            }
            Step::ReleaseAgain => {
                if let (Found::AwaitPubComp(at), Some(outbound)) =
                    (found, self.state.outbound.get_mut())
                {
                    outbound.release_again(at);
                }
            }
            Step::ReleaseUnknown => {
                return self.owe(
                    AnswerKind::PubRel,
                    id,
                    ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                    0,
                    self.state.latest,
                );
            }
        }
        Ok(())
    }

    pub(crate) fn pubrel<O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &PubRel<'_>,
        owner: &mut O,
    ) -> Result<(), Rule> {
        if P::MAX_QOS != QoS::ExactlyOnce {
            return Err(Rule::ReleaseTooEarly);
        }
        if cfg!(mutation = "pubrel-with-properties-ignored") && !packet.properties.is_empty() {
            return Ok(());
        }
        let id = packet.packet_id;
        let known = self
            .state
            .inbound
            .get()
            .and_then(|inbound| inbound.find(id));
        // A sender that has dropped the message asks no more for PUBREC; only one that is owed on this connection has to come first.
        let owed = known.is_some_and(|entry| {
            entry.status == Status::Unsettled
                && self.link.owing.get().is_some_and(|owing| {
                    owing
                        .acks
                        .position(|owed| owed.exactly_once && owed.number == entry.number)
                        .is_some()
                })
        });
        match known.map(|entry| entry.status) {
            Some(Status::Arriving) => Err(Rule::ReleaseTooEarly),
            Some(Status::Unsettled) if owed => Err(Rule::ReleaseTooEarly),
            Some(Status::Unsettled | Status::Settled(_)) => {
                self.remove_received(id);
                let gate = self.state.record(owner, Change::Released(id));
                self.owe(AnswerKind::PubComp, id, ReasonCode::SUCCESS, 0, gate)
            }
            #[cfg(mutation = "fuzz-pubrel-unknown")]
            None if self.link.v5() && self.link.owing.make().acks.len() > 0 => {
                self.link.unacknowledged -= 1;
                Ok(())
            }
            // Its release may have been recorded and not yet be durable.
            None => self.owe(
                AnswerKind::PubComp,
                id,
                ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                0,
                self.state.latest,
            ),
        }
    }

    pub(crate) fn pubcomp<O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: &PubComp<'_>,
        owner: &mut O,
    ) -> Result<(), Rule> {
        let Some(outbound) = self.state.outbound.get_mut() else {
            return Ok(());
        };
        let found = outbound.find(packet.packet_id);
        let step = acknowledge(found.awaits(), Acknowledgement::PubComp, false)?;
        if let (Step::Finish, Found::AwaitPubComp(at)) = (step, found)
            && let Some(entry) = outbound.completed(at)
        {
            self.state
                .record(owner, Change::Completed(packet.packet_id));
            owner.complete(entry.seq, packet.reason);
        }
        Ok(())
    }

    /// Queues a short answer.
    pub(crate) fn owe(
        &mut self,
        kind: AnswerKind,
        id: mqtt_codec::PacketId,
        reason: ReasonCode,
        count: u16,
        gate: P::Gate,
    ) -> Result<(), Rule> {
        let answer = Answer {
            gate,
            id: id.get(),
            count,
            kind,
            reason: reason.0,
        };
        self.link
            .owing
            .make()
            .answers
            .push(answer)
            .map_err(|_| Rule::TooManyAnswers)
    }
}

fn outcome(reason: ReasonCode, accepted: impl FnOnce(ReasonCode) -> Outcome) -> Outcome {
    if reason.is_error() {
        Outcome::Refused(reason)
    } else {
        accepted(reason)
    }
}
