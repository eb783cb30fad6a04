//! PUBLISH on its way out: first what is due again, then what the outbox has.

use mqtt_codec::{Delivery, PacketId, PublishHead, QoS, ReasonCode};

use crate::alias::Plan;
use crate::event::Output;
use crate::inflight::outbound::{Releasing, Sending};
use crate::link::Phase;
use crate::owner::{Change, Gate, Outcome, OutgoingMessage, Owner};
use crate::profile::Profile;
use crate::session::{Role, Session, put};
use crate::storage::{Part, Storage};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::Misuse;

use crate::output::Polled;

/// Messages that one call ends without sending them: expired, dropped or refused ones.
const MOST_SKIPPED: u32 = 32;

impl<R: Role, P: Profile, S: Storage> Session<R, P, S> {
    /// First what is due again, then what the outbox has, while the window is open.
    ///
    /// What is due and waits for a commit does not keep later messages from getting their ids: one commit then serves them all.
    pub(crate) fn poll_publish<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<Polled, Misuse> {
        let most = usize::from(self.link.send_maximum);
        for _ in 0..MOST_SKIPPED {
            let outbound = self.state.outbound.get();
            let due = outbound.and_then(|outbound| outbound.due_publish());
            if let Some(due) = due {
                if outbound.is_some_and(|outbound| outbound.unacknowledged() >= most) {
                    return Ok(Polled::Idle);
                }
                if due.gate.is_open(owner.committed()) {
                    // It could not be sent: perhaps a PUBREL is due instead, which comes first.
                    let output = self.send_due(due, tx, now, owner)?;
                    return Ok(output.map_or(Polled::Again, Polled::Did));
                }
            }
            let Some(seq) = owner.next(self.state.cursor) else {
                return Ok(Polled::Idle);
            };
            self.state.cursor = seq;
            if outbound.is_some_and(|outbound| outbound.holds(seq)) {
                self.state.cursor = seq.next();
                continue;
            }
            let Some(message) = owner.message(seq) else {
                self.state.cursor = seq.next();
                continue;
            };
            let qos = message.qos;
            if let Some(outcome) = self.not_to_send(&message, qos, true, now) {
                self.state.cursor = seq.next();
                owner.done(seq, outcome);
                continue;
            }
            if qos == QoS::AtMostOnce {
                if due.is_some() {
                    // Its turn comes after what is due.
                    return Ok(Polled::Idle);
                }
                let written = self.write_head(&message, Delivery::AtMostOnce, false, tx, now);
                if written == Err(Misuse::Full) {
                    return Err(Misuse::Full);
                }
                self.state.cursor = seq.next();
                if written.is_err() {
                    owner.done(seq, Outcome::TooLarge);
                    continue;
                }
                return Ok(Polled::Did(Output::Publish {
                    seq,
                    last_use: true,
                }));
            }
            if outbound.is_some_and(|outbound| !outbound.has_room(most)) {
                return Ok(Polled::Idle);
            }
            let Some(id) = self.take_packet_id() else {
                return Ok(Polled::Idle);
            };
            let exactly_once = qos == QoS::ExactlyOnce;
            let gate = if exactly_once {
                self.state.record(owner, Change::Sent(seq, id))
            } else {
                P::Gate::default()
            };
            let entry = Sending {
                seq,
                gate,
                id: id.get(),
                exactly_once,
                dup: false,
            };
            // There is room: it was looked for above.
            let _ = self.state.outbound.make().push(entry);
            self.state.cursor = seq.next();
        }
        Ok(Polled::Again)
    }

    /// Why this message is not sent to this peer, if so; one whose delivery has begun does not expire any more [MQTT-4.3.3-7].
    fn not_to_send(
        &self,
        message: &OutgoingMessage<'_>,
        qos: QoS,
        new: bool,
        now: Instant,
    ) -> Option<Outcome> {
        if new && message.expires.is_some_and(|expires| expires <= now) {
            return Some(Outcome::Expired);
        }
        if qos > P::MAX_QOS {
            return Some(Outcome::Refused(ReasonCode::QOS_NOT_SUPPORTED));
        }
        R::refuses(&self.link.role, qos, message.retain).map(Outcome::Refused)
    }

    /// Sends a message that has its packet id; `None` when it turns out that it cannot be sent.
    fn send_due<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        due: Sending<P::Gate>,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<Option<Output>, Misuse> {
        let Some(id) = PacketId::new(due.id) else {
            return Ok(None);
        };
        let delivery = if due.exactly_once {
            Delivery::ExactlyOnce(id)
        } else {
            Delivery::AtLeastOnce(id)
        };
        let ended = if let Some(message) = owner.message(due.seq) {
            match self.not_to_send(&message, delivery.qos(), !due.dup, now) {
                Some(outcome) => Some(outcome),
                None => match self.write_head(&message, delivery, due.dup, tx, now) {
                    Ok(()) => {
                        if let Some(outbound) = self.state.outbound.get_mut() {
                            outbound.publish_written();
                        }
                        return Ok(Some(Output::Publish {
                            seq: due.seq,
                            last_use: false,
                        }));
                    }
                    Err(Misuse::Full) => return Err(Misuse::Full),
                    Err(_) => Some(Outcome::TooLarge),
                },
            }
        } else {
            None
        };
        if let Some(outbound) = self.state.outbound.get_mut() {
            outbound.drop_due_publish();
        }
        if due.exactly_once && due.dup {
            // The peer may hold the id from an earlier connection and would swallow the next message that gets it: PUBREL frees it there.
            let gate = self.state.record(owner, Change::PeerReceived(due.seq, id));
            // The place that the PUBLISH had is free.
            let _ = self.state.outbound.make().release(Releasing {
                seq: due.seq,
                gate,
                id: due.id,
            });
        } else if due.exactly_once {
            self.state.record(owner, Change::Completed(id));
        }
        if let Some(outcome) = ended {
            owner.done(due.seq, outcome);
        }
        Ok(None)
    }

    /// Writes the head of a PUBLISH, by alias where the peer takes them.
    fn write_head<T: Tx>(
        &mut self,
        message: &OutgoingMessage<'_>,
        delivery: Delivery,
        dup: bool,
        tx: &mut T,
        now: Instant,
    ) -> Result<(), Misuse> {
        let plan = if self.aliases_in_use() && self.link.alias_send_maximum > 0 {
            self.link
                .aliases
                .make()
                .plan(message.topic, self.link.alias_send_maximum)
        } else {
            Plan::Topic
        };
        let mut head = PublishHead {
            dup: dup && !cfg!(mutation = "dup-missing"),
            retain: message.retain,
            delivery,
            topic: if matches!(plan, Plan::Known(_)) {
                ""
            } else {
                message.topic
            },
            topic_alias: plan.alias(),
            // What has waited is taken off [MQTT-3.3.2-6]. What is left is said in the nearest number of seconds, and so never as more than
            // the publisher gave: the clock of the thread that took the message may be some milliseconds ahead.
            message_expiry: if self.link.v5() {
                let left = |expires: Instant| match expires.plus_millis(500).seconds_since(now) {
                    // One that was sent before goes on although nothing is left of it.
                    0 if expires > now => 1,
                    seconds => seconds,
                };
                message.expires.map(left)
            } else {
                None
            },
            // A client has none to tell [MQTT-3.3.4-6].
            subscription_ids: if R::SERVER {
                message.subscription_ids
            } else {
                &[]
            },
            properties: message.properties,
            payload_len: message.payload_len,
        };
        let version = self.link.version;
        let mut plan = plan;
        if matches!(plan, Plan::New(_)) && !self.link.takes(head.frame_len(version)) {
            // The alias is what makes it too large.
            plan = Plan::Topic;
            head.topic_alias = None;
        }
        if !self.link.takes(head.frame_len(version)) {
            return Err(Misuse::TooLarge);
        }
        put(tx, head.encoded_len(version), |room| {
            head.encode(version, room)
        })?;
        if let Plan::New(_) = plan {
            self.link.aliases.make().written(plan, message.topic);
        }
        Ok(())
    }

    /// Sends a QoS 0 message past the outbox: its head is written, the caller appends the payload.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] before the handshake is over, [`Misuse::Full`], [`Misuse::TooLarge`] for the peer; the message counts as sent
    /// in none of these cases.
    pub fn publish_at_most_once<T: Tx>(
        &mut self,
        message: &OutgoingMessage<'_>,
        tx: &mut T,
        now: Instant,
    ) -> Result<(), Misuse> {
        if self.link.phase != Phase::Connected {
            return Err(Misuse::NotNow);
        }
        if R::refuses(&self.link.role, QoS::AtMostOnce, message.retain).is_some() {
            return Err(Misuse::NotSupported);
        }
        self.write_head(message, Delivery::AtMostOnce, false, tx, now)?;
        R::wrote(&mut self.link.role, now);
        Ok(())
    }
}
