//! What is written, and in which order.

use mqtt_codec::{
    Disconnect, PacketId, Properties, Property, PubAck, PubComp, PubRec, PubRel, QoS, ReasonCode,
    ReasonCodes, SubAck, UnsubAck,
};

use crate::event::Output;
use crate::inflight::inbound::Status;
use crate::link::{Answer, AnswerKind, Phase, UNDECIDED};
use crate::owner::{Change, Gate, Owner};
use crate::profile::Profile;
use crate::session::{Role, Session, put};
use crate::storage::{ByteQueue, Deque, Part, Storage};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::Misuse;

/// What came of one call.
pub(crate) enum Polled {
    Idle,
    /// Nothing was written, and there is more to do than one call may.
    Again,
    Did(Output),
}

impl Polled {
    const fn wrote(wrote: bool) -> Self {
        if wrote {
            Self::Did(Output::Wrote)
        } else {
            Self::Idle
        }
    }
}

impl<R: Role, P: Profile, S: Storage> Session<R, P, S> {
    /// Writes at most one packet into `tx`; call it until it says [`Output::Idle`].
    ///
    /// Short answers come first, then acknowledgements in the order in which their messages arrived, then messages. Whatever waits for a
    /// commit is withheld, and what stands behind it in its own order.
    pub fn poll_output<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Output {
        if self.link.paused && self.wants_input() {
            // The clock that stood still starts afresh: it must not fire at once.
            self.link.paused = false;
            self.link.clock = now;
            R::resumed(&mut self.link.role, now, owner.limits());
        }
        let written = match self.link.phase {
            Phase::Connected => self.poll_connected(tx, now, owner),
            Phase::Accepted | Phase::Refused => {
                R::poll_handshake(self, tx, now, owner).map(Polled::wrote)
            }
            Phase::Failing => self.poll_disconnect(tx),
            Phase::Closing => return Output::Close,
            Phase::Closed
            | Phase::AwaitConnect
            | Phase::Deciding
            | Phase::AwaitAuth
            | Phase::AwaitConnAck => return Output::Idle,
        };
        let output = match written {
            Ok(Polled::Idle) => Output::Idle,
            Ok(Polled::Again) => return Output::Wrote,
            Ok(Polled::Did(output)) => output,
            Err(Misuse::Full) => Output::Full,
            // A packet that the peer does not take, or that cannot be written, must not be left out silently.
            Err(_) => {
                self.link.phase = Phase::Closing;
                Output::Close
            }
        };
        if matches!(output, Output::Wrote | Output::Publish { .. }) {
            R::wrote(&mut self.link.role, now);
        }
        if !self.wants_input() {
            self.link.paused = true;
        }
        output
    }

    fn poll_connected<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<Polled, Misuse> {
        if self.poll_answer(tx, owner)?
            || self.poll_release(tx, owner)?
            || self.poll_ping(tx)?
            || self.poll_acknowledgement(tx, owner)?
        {
            return Ok(Polled::Did(Output::Wrote));
        }
        self.poll_publish(tx, now, owner)
    }

    /// Writes a packet that the peer must be able to take.
    fn write<T: Tx>(
        &self,
        tx: &mut T,
        len: usize,
        encode: impl FnOnce(P::Version, &mut [u8]) -> Result<usize, mqtt_codec::EncodeError>,
    ) -> Result<(), Misuse> {
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        let version = self.link.version;
        put(tx, len, |room| encode(version, room))
    }

    fn poll_answer<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        owner: &O,
    ) -> Result<bool, Misuse> {
        let Some(answer) = self
            .link
            .owing
            .get()
            .and_then(|owing| owing.answers.front())
            .copied()
        else {
            return Ok(false);
        };
        if !answer.gate.is_open(owner.committed()) {
            return Ok(false);
        }
        let Some(packet_id) = PacketId::new(answer.id) else {
            return Ok(false);
        };
        let reason = if self.link.v5() {
            ReasonCode(answer.reason)
        } else {
            ReasonCode::SUCCESS
        };
        let properties = Properties::EMPTY;
        match answer.kind {
            AnswerKind::PubComp => {
                let packet = PubComp {
                    packet_id,
                    reason,
                    properties,
                };
                self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                    packet.encode(v, room)
                })?;
            }
            AnswerKind::PubRel => {
                let packet = PubRel {
                    packet_id,
                    reason,
                    properties,
                };
                self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                    packet.encode(v, room)
                })?;
            }
            AnswerKind::SubAck | AnswerKind::UnsubAck if R::SERVER => {
                self.write_codes(tx, packet_id, answer)?;
            }
            AnswerKind::SubAck | AnswerKind::UnsubAck => {}
        }
        if let Some(owing) = self.link.owing.get_mut() {
            owing.answers.pop();
            owing.codes.consume(usize::from(answer.count));
        }
        Ok(true)
    }

    fn write_codes<T: Tx>(
        &self,
        tx: &mut T,
        packet_id: PacketId,
        answer: Answer<P::Gate>,
    ) -> Result<(), Misuse> {
        let codes = self
            .link
            .owing
            .get()
            .map(|owing| owing.codes.front(usize::from(answer.count)))
            .unwrap_or_default();
        let (codes, properties) = (ReasonCodes::from(codes), Properties::EMPTY);
        if answer.kind == AnswerKind::SubAck {
            let packet = SubAck {
                packet_id,
                properties,
                codes,
            };
            self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                packet.encode(v, room)
            })
        } else {
            let packet = UnsubAck {
                packet_id,
                properties,
                codes,
            };
            self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                packet.encode(v, room)
            })
        }
    }

    fn poll_release<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        owner: &O,
    ) -> Result<bool, Misuse> {
        if P::MAX_QOS != QoS::ExactlyOnce {
            return Ok(false);
        }
        let Some(due) = self
            .state
            .outbound
            .get()
            .and_then(|outbound| outbound.due_release())
        else {
            return Ok(false);
        };
        let Some(packet_id) = PacketId::new(due.id) else {
            return Ok(false);
        };
        if !due.gate.is_open(owner.committed()) {
            return Ok(false);
        }
        let packet = PubRel {
            packet_id,
            reason: ReasonCode::SUCCESS,
            properties: Properties::EMPTY,
        };
        self.write(tx, packet.encoded_len(self.link.version), |v, room| {
            packet.encode(v, room)
        })?;
        if let Some(outbound) = self.state.outbound.get_mut() {
            outbound.release_written();
        }
        Ok(true)
    }

    fn poll_ping<T: Tx>(&mut self, tx: &mut T) -> Result<bool, Misuse> {
        if self.link.pings_due == 0 {
            return Ok(false);
        }
        let packet = if R::SERVER {
            mqtt_codec::PINGRESP
        } else {
            mqtt_codec::PINGREQ
        };
        self.write(tx, packet.len(), |_, room| {
            room.copy_from_slice(&packet);
            Ok(packet.len())
        })?;
        self.link.pings_due -= 1;
        Ok(true)
    }

    /// PUBACK and PUBREC: strictly in the order in which their messages arrived [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    fn poll_acknowledgement<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        owner: &mut O,
    ) -> Result<bool, Misuse> {
        loop {
            let Some(owed) = self
                .link
                .owing
                .get()
                .and_then(|owing| owing.acks.front())
                .copied()
            else {
                return Ok(false);
            };
            let Some(packet_id) = PacketId::new(owed.id) else {
                return Ok(false);
            };
            let v5 = self.link.v5();
            let properties = Properties::EMPTY;
            if P::MAX_QOS == QoS::ExactlyOnce && owed.exactly_once && owed.verdict != UNDECIDED {
                // A refusal: the sender may use the id anew [MQTT-4.3.3-9] once it is durable that it is free here.
                if !owed.gate.is_open(owner.committed()) {
                    return Ok(false);
                }
                let packet = PubRec {
                    packet_id,
                    reason: ReasonCode(owed.verdict),
                    properties,
                };
                self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                    packet.encode(v, room)
                })?;
            } else if P::MAX_QOS == QoS::ExactlyOnce && owed.exactly_once {
                let entry = self
                    .state
                    .inbound
                    .get()
                    .and_then(|inbound| inbound.find(packet_id))
                    .filter(|entry| entry.number == owed.number);
                let Some(entry) = entry else {
                    // Released meanwhile: the peer has its PUBREC from an earlier connection.
                    self.pop_owed();
                    continue;
                };
                let Status::Settled(verdict) = entry.status else {
                    return Ok(false);
                };
                if v5 && verdict.is_error() {
                    self.remove_received(packet_id);
                    let gate = self.state.record(owner, Change::Released(packet_id));
                    if let Some(owed) = self.link.owing.make().acks.get_mut(0) {
                        owed.verdict = verdict.0;
                        owed.gate = gate.and(entry.gate);
                    }
                    continue;
                }
                if !entry.gate.is_open(owner.committed()) {
                    return Ok(false);
                }
                let packet = PubRec {
                    packet_id,
                    reason: if v5 { verdict } else { ReasonCode::SUCCESS },
                    properties,
                };
                self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                    packet.encode(v, room)
                })?;
                if cfg!(mutation = "id-released-at-pubrec") {
                    self.remove_received(packet_id);
                }
            } else {
                let durable = owed.gate.is_open(owner.committed())
                    || cfg!(mutation = "acknowledged-before-commit");
                if owed.verdict == UNDECIDED || !durable {
                    return Ok(false);
                }
                let reason = if v5 {
                    ReasonCode(owed.verdict)
                } else {
                    ReasonCode::SUCCESS
                };
                let packet = PubAck {
                    packet_id,
                    reason,
                    properties,
                };
                self.write(tx, packet.encoded_len(self.link.version), |v, room| {
                    packet.encode(v, room)
                })?;
                if v5 {
                    self.link.unacknowledged -= 1;
                }
            }
            self.pop_owed();
            return Ok(true);
        }
    }

    fn pop_owed(&mut self) {
        if let Some(owing) = self.link.owing.get_mut() {
            owing.acks.pop();
        }
    }

    fn poll_disconnect<T: Tx>(&mut self, tx: &mut T) -> Result<Polled, Misuse> {
        let reason = self.link.reason();
        // An error says its name where no rule was broken: some clients read the reason code only when more than it is there.
        let sentence = if P::REASON_STRINGS && self.link.problem_information {
            self.sentence()
                .or_else(|| reason.name().filter(|_| reason.is_error()))
        } else {
            None
        };
        let text = [Property::ReasonString(sentence.unwrap_or_default())];
        let with_text = Disconnect {
            reason,
            properties: Properties::List(&text),
        };
        let plain = Disconnect {
            reason,
            properties: Properties::EMPTY,
        };
        let version = self.link.version;
        // The text is left out where it does not fit [MQTT-3.14.2-3].
        let packet = if self.link.v5()
            && sentence.is_some()
            && self.link.takes(with_text.encoded_len(version))
        {
            with_text
        } else {
            plain
        };
        let len = packet.encoded_len(version);
        if self.link.takes(len) {
            put(tx, len, |room| packet.encode(version, room))?;
            self.link.phase = Phase::Closing;
            return Ok(Polled::Did(Output::Wrote));
        }
        self.link.phase = Phase::Closing;
        Ok(Polled::Did(Output::Close))
    }

    /// What the violated rule says.
    pub(crate) fn sentence(&self) -> Option<&'static str> {
        Some(self.link.owing.get()?.failure?.sentence())
    }
}
