//! Acknowledgements that come in, and the packets of the queue that they name.

use mqtt_codec::{PacketId, PacketType, QoS, ReasonCode};

use crate::profile::Profile;
use crate::rules::{Acknowledgement, Awaits, Step, acknowledge};
use crate::violation::Rule;

use super::device::Device;
use super::event::Event;
use super::queue::{Queue, Record, Stage};
use super::receive::Broken;
use super::send::PUBREL;
use super::state::Core;

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    /// PUBREL came: the id is free, and PUBCOMP says so, whether or not it was known.
    pub(super) fn released(&mut self, id: PacketId) -> Result<(), Broken> {
        if D::Profile::MAX_QOS != QoS::ExactlyOnce {
            return Err(self.broken(Rule::ReleaseTooEarly));
        }
        let known = self.replace_received(id.get(), 0);
        let first = (PacketType::PubComp as u8) << 4;
        self.answer_id(first, id.get(), known);
        if self.left_out && self.received.iter().all(|id| *id == [0; 2]) {
            // There are places again, and the next connection brings what was left out.
            self.end(ReasonCode::NORMAL_DISCONNECTION);
        }
        Ok(())
    }

    pub(super) fn acknowledged(
        &mut self,
        packet_type: PacketType,
        id: PacketId,
        reason: ReasonCode,
    ) -> Result<Event, Broken> {
        let acknowledgement = match packet_type {
            PacketType::PubRec | PacketType::PubComp if D::Profile::MAX_QOS != QoS::ExactlyOnce => {
                return Err(self.broken(Rule::WrongAcknowledgement));
            }
            PacketType::PubRec => Acknowledgement::PubRec,
            PacketType::PubComp => Acknowledgement::PubComp,
            _ => Acknowledgement::PubAck,
        };
        let found = self.find(PacketType::Publish, id);
        if self.writes_body && found.is_some_and(|record| record.slot == self.body.slot) {
            // It is being sent again, and will be answered again.
            return Ok(Event::Nothing);
        }
        let awaits = found.map_or(Awaits::Nothing, |record| self.awaits(record));
        let step = match acknowledge(awaits, acknowledgement, reason.is_error()) {
            Ok(step) => step,
            Err(rule) => return Err(self.broken(rule)),
        };
        match step {
            Step::Ignore => return Ok(Event::Nothing),
            Step::Finish => {
                if let Some(record) = found {
                    self.finish(record);
                }
                // A PUBCOMP that knows no such id answers a repetition: the message was delivered.
                let reason = if acknowledgement == Acknowledgement::PubComp
                    && !cfg!(mutation = "compact-pubcomp-refuses")
                {
                    ReasonCode::SUCCESS
                } else {
                    reason
                };
                return Ok(Event::Acknowledged(id, reason));
            }
            Step::Release | Step::ReleaseAgain => {
                if let Some(record) = found {
                    self.queue.mark(record.slot, Stage::RELEASED);
                }
            }
            Step::ReleaseUnknown => {}
        }
        self.answer_id(PUBREL, id.get(), step != Step::ReleaseUnknown);
        Ok(Event::Nothing)
    }

    /// The packet is over, and its id free.
    pub(super) fn finish(&mut self, record: Record) {
        if record.is_publish() && self.was_sent(record) {
            self.in_flight -= 1;
        }
        self.queue.mark(record.slot, Stage::DONE);
    }

    /// Whether a packet, or its PUBREL, was sent on this connection.
    pub(super) fn was_sent(&self, record: Record) -> bool {
        record.slot.is_before(self.due)
    }

    fn awaits(&self, record: Record) -> Awaits {
        let sent = self.was_sent(record);
        if D::Profile::MAX_QOS == QoS::ExactlyOnce && record.is_exactly_once() {
            if record.stage.has_reached(Stage::RELEASED) {
                if sent {
                    Awaits::PubComp
                } else {
                    Awaits::DuePubRel
                }
            } else if record.stage.has_reached(Stage::SENT) {
                // The broker may tell by itself that it has a message of an earlier connection: sent again, it would be a new one.
                Awaits::PubRec
            } else {
                Awaits::Nothing
            }
        } else if sent {
            Awaits::PubAck
        } else {
            Awaits::Nothing
        }
    }

    /// SUBACK or UNSUBACK came: its request is over.
    pub(super) fn answered(&mut self, packet_type: PacketType, id: PacketId) -> Result<(), Broken> {
        match self.find(packet_type, id) {
            Some(record) if self.was_sent(record) => {
                self.finish(record);
                Ok(())
            }
            _ => Err(self.broken(Rule::UnknownSubAck)),
        }
    }

    fn find(&self, packet_type: PacketType, id: PacketId) -> Option<Record> {
        let mut next = self.queue.get(self.queue.start());
        while let Some(record) = next {
            if record.id == id.get() && record.packet_type() == packet_type as u8 {
                break;
            }
            next = self.queue.get(self.queue.after(record));
        }
        next
    }
}
