//! What arrives: bytes are carried over in fragments, decoded and handled at the other end.

use mqtt_codec::{Decoded, Decoder, FromClient, FromServer, Packet, ReasonCode};
use mqtt_session::{ClientEvent, ServerEvent, Violation};

use super::{Counters, Question, Sim};
use crate::owners::{Kind, Note, TestOwner};
use crate::text::describe;

impl<C: Kind, S: Kind> Sim<C, S> {
    /// Carries a fragment, or all, to the server, which reads it.
    pub(super) fn carry_up(&mut self) {
        if !self.connected {
            return;
        }
        let len = self.client.tx.len();
        let len = if self.draining || self.rng.one_in(2) {
            len
        } else {
            self.rng.below(len + 1)
        };
        if len > 0 {
            self.server.rx.extend(self.client.tx.drain(..len));
            self.server.session.heard(self.now);
        }
        self.read_server();
    }

    /// The same to the client.
    pub(super) fn carry_down(&mut self) {
        if !self.connected {
            return;
        }
        let len = self.server.tx.len();
        let len = if self.draining || self.rng.one_in(2) {
            len
        } else {
            self.rng.below(len + 1)
        };
        if len > 0 {
            self.client.rx.extend(self.server.tx.drain(..len));
            self.client.session.heard(self.now);
        }
        self.read_client();
    }

    fn read_server(&mut self) {
        loop {
            if self.server.arriving.is_some() {
                self.server.take_part(&mut self.rng, &mut self.up);
                if self.server.arriving.is_some() {
                    return;
                }
            }
            if !self.server.session.wants_input() {
                self.counters
                    .hit_if(!self.server.rx.is_empty(), "not reading");
                return;
            }
            let bytes = core::mem::take(&mut self.server.rx);
            let limits = self.server.owner.limits_mut().clone();
            let decoder = self.server.session.decoder(&limits);
            self.trace_next("server", &bytes);
            let taken = match decoder.from_client(&bytes).expect("well-formed packets") {
                Decoded::Complete { packet, len } => {
                    self.server_takes(packet).expect("no rule is broken");
                    len
                }
                Decoded::NeedMore(_) => match decoder.publish_head_from_client(&bytes) {
                    Ok(Decoded::Complete { packet: part, len })
                        if part.missing > 0 && self.rng.one_in(3) =>
                    {
                        self.counters.hit("payload in parts");
                        let event = self
                            .server
                            .session
                            .handle_part(&part, self.now, &mut self.server.owner)
                            .expect("no rule is broken");
                        let publication = match &event {
                            ServerEvent::Publication(publication) => Some(publication),
                            _ => None,
                        };
                        self.server
                            .publication(publication, &part, &mut self.rng, &mut self.up);
                        len
                    }
                    _ => {
                        self.server.rx = bytes;
                        return;
                    }
                },
            };
            self.server.rx = bytes[taken..].to_vec();
        }
    }

    /// Says what the next whole packet is.
    fn trace_next(&self, who: &str, bytes: &[u8]) {
        if let Ok(Decoded::Complete { packet, .. }) = Decoder::new(self.version).any(bytes) {
            self.counters
                .trace(|| format!("{}: {who} takes {}", self.now, describe(&packet)));
        }
    }

    fn server_takes(&mut self, packet: FromClient<'_>) -> Result<(), Violation> {
        let clean = matches!(&packet, FromClient::Connect(connect) if connect.clean_start());
        let acknowledgement = match packet {
            FromClient::PubAck(packet) => Some(Packet::PubAck(packet)),
            FromClient::PubRec(packet) => Some(Packet::PubRec(packet)),
            FromClient::PubRel(packet) => Some(Packet::PubRel(packet)),
            FromClient::PubComp(packet) => Some(Packet::PubComp(packet)),
            _ => None,
        };
        let publish = match packet {
            FromClient::Publish(publish) => Some(publish),
            _ => None,
        };
        if let FromClient::Connect(connect) = &packet {
            let announced = connect.properties().receive_maximum();
            let most = self.server.owner.limits_mut().send_maximum;
            self.server.watch.receive_maximum = announced.map_or(most, |n| n.get().min(most));
            self.server.watch.alias_maximum = connect.properties().topic_alias_maximum();
        }
        if !matches!(packet, FromClient::Connect(_)) && !self.memory.used {
            self.memory.used = true;
            self.server.owner.keep(Note::Used);
        }
        let event = self
            .server
            .session
            .handle(&packet, self.now, &mut self.server.owner)?;
        let publication = match event {
            ServerEvent::Publication(publication) => Some(publication),
            ServerEvent::Connect(_) => {
                self.question = Some(Question::Connect { clean });
                None
            }
            ServerEvent::Subscribe(subscribe) => {
                let filters = subscribe.filters.iter().count();
                self.question = Some(Question::Subscribe { filters });
                None
            }
            _ => None,
        };
        if let Some(packet) = acknowledgement {
            count(&packet, &mut self.counters);
            self.server.watch.took(&packet);
            let committed = self.client.committed();
            self.server
                .ended(&mut self.down, self.now, committed, &mut self.counters);
        }
        if let Some(publish) = publish {
            self.counters
                .hit_if(publication.is_none(), "repetition not delivered");
            let part = mqtt_codec::PartialPublish {
                publish,
                missing: 0,
            };
            self.server
                .publication(publication.as_ref(), &part, &mut self.rng, &mut self.up);
        }
        Ok(())
    }

    fn read_client(&mut self) {
        loop {
            if self.client.arriving.is_some() {
                self.client.take_part(&mut self.rng, &mut self.down);
                if self.client.arriving.is_some() {
                    return;
                }
            }
            if !self.client.session.wants_input() {
                self.counters
                    .hit_if(!self.client.rx.is_empty(), "not reading");
                return;
            }
            let bytes = core::mem::take(&mut self.client.rx);
            let limits = self.client.owner.limits_mut().clone();
            let decoder = self.client.session.decoder(&limits);
            self.trace_next("client", &bytes);
            let taken = match decoder.from_server(&bytes).expect("well-formed packets") {
                Decoded::Complete { packet, len } => {
                    self.client_takes(packet).expect("no rule is broken");
                    len
                }
                Decoded::NeedMore(_) => match decoder.publish_head(&bytes) {
                    Ok(Decoded::Complete { packet: part, len })
                        if part.missing > 0 && self.rng.one_in(3) =>
                    {
                        self.counters.hit("payload in parts");
                        let event = self
                            .client
                            .session
                            .handle_part(&part, self.now, &mut self.client.owner)
                            .expect("no rule is broken");
                        let publication = match &event {
                            ClientEvent::Publication(publication) => Some(publication),
                            _ => None,
                        };
                        self.client
                            .publication(publication, &part, &mut self.rng, &mut self.down);
                        len
                    }
                    _ => {
                        self.client.rx = bytes;
                        return;
                    }
                },
            };
            self.client.rx = bytes[taken..].to_vec();
        }
    }

    fn client_takes(&mut self, packet: FromServer<'_>) -> Result<(), Violation> {
        let acknowledgement = match packet {
            FromServer::PubAck(packet) => Some(Packet::PubAck(packet)),
            FromServer::PubRec(packet) => Some(Packet::PubRec(packet)),
            FromServer::PubRel(packet) => Some(Packet::PubRel(packet)),
            FromServer::PubComp(packet) => Some(Packet::PubComp(packet)),
            FromServer::SubAck(packet) => Some(Packet::SubAck(packet)),
            _ => None,
        };
        let publish = match packet {
            FromServer::Publish(publish) => Some(publish),
            _ => None,
        };
        let event = self
            .client
            .session
            .handle(&packet, self.now, &mut self.client.owner)?;
        let publication = match event {
            ClientEvent::Publication(publication) => Some(publication),
            ClientEvent::Connected(connack) => {
                self.confirmed(&connack);
                None
            }
            ClientEvent::Subscribed(..) => {
                self.subscribing = false;
                self.client_subscribed = true;
                self.client.owner.keep(Note::Subscribed);
                None
            }
            _ => None,
        };
        if let Some(packet) = acknowledgement {
            count(&packet, &mut self.counters);
            self.client.watch.took(&packet);
            let committed = self.server.committed();
            self.client
                .ended(&mut self.up, self.now, committed, &mut self.counters);
        }
        if let Some(publish) = publish {
            self.counters
                .hit_if(publication.is_none(), "repetition not delivered");
            let part = mqtt_codec::PartialPublish {
                publish,
                missing: 0,
            };
            self.client
                .publication(publication.as_ref(), &part, &mut self.rng, &mut self.down);
        }
        Ok(())
    }

    /// Answers what the server's owner was asked.
    pub(super) fn answer(&mut self) {
        match self.question.take() {
            None => {}
            Some(Question::Connect { clean }) => self.accept(clean),
            Some(Question::Subscribe { filters }) => {
                self.memory.subscribed = true;
                let kept = self.server.owner.keep(Note::Subscribed);
                self.server.watch.subacks.push_back(kept);
                let codes = core::iter::repeat_n(ReasonCode::SUCCESS, filters);
                self.server
                    .session
                    .answer_subscribe(codes, kept)
                    .expect("it was asked");
            }
            Some(Question::Unsubscribe { filters }) => {
                unreachable!("this client keeps its {filters} filters")
            }
        }
    }
}

/// Counts what is worth telling of an acknowledgement that arrived.
pub(crate) fn count(packet: &Packet<'_>, counters: &mut Counters) {
    let (reason, properties, [refuses, says]) = match packet {
        Packet::PubAck(packet) => (
            packet.reason,
            packet.properties,
            ["PUBACK refuses", "PUBACK with properties"],
        ),
        Packet::PubRec(packet) => (
            packet.reason,
            packet.properties,
            ["PUBREC refuses", "PUBREC with properties"],
        ),
        Packet::PubRel(packet) => (
            packet.reason,
            packet.properties,
            ["PUBREL for nothing", "PUBREL with properties"],
        ),
        Packet::PubComp(packet) => (
            packet.reason,
            packet.properties,
            ["PUBCOMP for nothing", "PUBCOMP with properties"],
        ),
        _ => return,
    };
    counters.hit_if(reason.is_error(), refuses);
    counters.hit_if(!properties.is_empty(), says);
    counters.hit_if(
        reason == ReasonCode::NO_MATCHING_SUBSCRIBERS,
        "nobody subscribed",
    );
}
