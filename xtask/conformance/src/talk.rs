//! What clients do in many cases, as one call each: subscribe, publish with the whole handshake, take a message.

use mqtt_codec::{
    Delivery, Disconnect, Filters, FromServer, Properties, Property, PubAck, PubComp, PubRec,
    PubRel, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter, SubscriptionOptions, Unsubscribe,
    UnsubscribeFilters,
};

use crate::client::Client;
use crate::failure::{Step, failed, same};
use crate::frame::{Frame, at, publish};

impl Client {
    /// Subscribes and gives the codes of the SUBACK.
    #[track_caller]
    pub(crate) fn subscribe(
        &mut self,
        filters: &[(&str, SubscriptionOptions)],
    ) -> Step<Vec<ReasonCode>> {
        self.subscribe_with(filters, &[])
    }

    /// Subscribes with properties and gives the codes of the SUBACK.
    #[track_caller]
    pub(crate) fn subscribe_with(
        &mut self,
        filters: &[(&str, SubscriptionOptions)],
        properties: &[Property<'_>],
    ) -> Step<Vec<ReasonCode>> {
        let packet_id = self.fresh_id();
        let filters: Vec<_> = filters
            .iter()
            .map(|&(filter, options)| SubscribeFilter { filter, options })
            .collect();
        self.send(&Subscribe {
            packet_id,
            properties: Properties::List(properties),
            filters: Filters::List(&filters),
        });
        let answer =
            self.receive_where("SUBACK", |packet| matches!(packet, FromServer::SubAck(_)))?;
        let answer = answer.sub_ack()?;
        same("packet identifier of SUBACK", answer.packet_id, packet_id)?;
        Ok(answer.codes.iter().collect())
    }

    /// Subscribes to one filter with nothing but a QoS, which must be granted in full.
    #[track_caller]
    pub(crate) fn subscribe_at(&mut self, filter: &str, qos: QoS) -> Step {
        let codes = self.subscribe(&[(filter, at(qos))])?;
        same("codes of SUBACK", codes, [ReasonCode(qos as u8)])
    }

    /// Unsubscribes and gives the codes of the UNSUBACK (none before 5.0).
    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Step<Vec<ReasonCode>> {
        let packet_id = self.fresh_id();
        self.send(&Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: UnsubscribeFilters::List(filters),
        });
        let answer = self.receive_where("UNSUBACK", |packet| {
            matches!(packet, FromServer::UnsubAck(_))
        })?;
        let answer = answer.unsub_ack()?;
        same("packet identifier of UNSUBACK", answer.packet_id, packet_id)?;
        Ok(answer.codes.iter().collect())
    }

    /// Publishes at `qos` and completes the handshake; the broker must not refuse.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: QoS) -> Step {
        self.publish_packet(&publish(topic, payload), qos)
    }

    /// Publishes `packet` at `qos` with a fresh packet identifier and completes the handshake; the broker must not refuse.
    #[track_caller]
    pub(crate) fn publish_packet(&mut self, packet: &Publish<'_>, qos: QoS) -> Step {
        let reason = self.try_publish(packet, qos)?;
        if reason.is_error() {
            return failed("the PUBLISH is accepted", format!("{reason:?}"));
        }
        Ok(())
    }

    /// Publishes `packet` at `qos` with a fresh packet identifier, completes the handshake and gives the reason code.
    #[track_caller]
    pub(crate) fn try_publish(&mut self, packet: &Publish<'_>, qos: QoS) -> Step<ReasonCode> {
        match qos {
            QoS::AtMostOnce => {
                self.send(packet);
                Ok(ReasonCode::SUCCESS)
            }
            QoS::AtLeastOnce => {
                let id = self.fresh_id();
                self.send(&Publish {
                    delivery: Delivery::AtLeastOnce(id),
                    ..*packet
                });
                let answer = self.receive_where(
                    "PUBACK",
                    |packet| matches!(packet, FromServer::PubAck(ack) if ack.packet_id == id),
                )?;
                Ok(answer.pub_ack()?.reason)
            }
            QoS::ExactlyOnce => {
                let id = self.fresh_id();
                self.send(&Publish {
                    delivery: Delivery::ExactlyOnce(id),
                    ..*packet
                });
                let received = self.receive_where(
                    "PUBREC",
                    |packet| matches!(packet, FromServer::PubRec(ack) if ack.packet_id == id),
                )?;
                let reason = received.pub_rec()?.reason;
                if !reason.is_error() {
                    self.send(&PubRel::new(id));
                    self.receive_where(
                        "PUBCOMP",
                        |packet| matches!(packet, FromServer::PubComp(ack) if ack.packet_id == id),
                    )?;
                }
                Ok(reason)
            }
        }
    }

    /// Waits for the next packet, which must be a PUBLISH, and completes its handshake.
    #[track_caller]
    pub(crate) fn take(&mut self) -> Step<Frame> {
        let frame = self.receive()?;
        match frame.publish()?.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(id) => self.send(&PubAck::new(id)),
            Delivery::ExactlyOnce(id) => {
                self.send(&PubRec::new(id));
                self.receive_where(
                    "PUBREL",
                    |packet| matches!(packet, FromServer::PubRel(release) if release.packet_id == id),
                )?;
                self.send(&PubComp::new(id));
            }
        }
        Ok(frame)
    }

    /// As [`Self::take`], shown as `topic|qos|retain|payload`, the topic without what all topics of the case begin with.
    #[track_caller]
    pub(crate) fn take_text(&mut self) -> Step<String> {
        let frame = self.take()?;
        self.text(&frame)
    }

    /// The next message, which must be `expected`, see [`Self::take_text`]; completes its handshake.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> Step {
        let got = self.take_text()?;
        same("message", got.as_str(), expected)
    }

    /// A PUBLISH as `topic|qos|retain|payload`, the topic without what all topics of the case begin with.
    #[track_caller]
    pub(crate) fn text(&self, frame: &Frame) -> Step<String> {
        let publish = frame.publish()?;
        let payload = String::from_utf8_lossy(publish.payload);
        let topic = publish
            .topic
            .strip_prefix(self.prefix())
            .unwrap_or(publish.topic);
        Ok(format!(
            "{topic}|{}|{}|{payload}",
            publish.delivery.qos() as u8,
            u8::from(publish.retain)
        ))
    }

    /// Sends DISCONNECT, closes, and waits for the broker to close too.
    #[track_caller]
    pub(crate) fn disconnect(mut self) -> Step {
        self.send(&Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
        self.leave()
    }
}
