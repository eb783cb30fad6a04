//! The server's end of the simulation, and the connections between both.

use mqtt_codec::{
    Connect, Decoded, Decoder, FromClient, Packet, PartialPublish, Properties, QoS, ReasonCode,
    Version,
};
use mqtt_session::compact::{Device, Queue};
use mqtt_session::{Accept, Expires, Profile, ServerEvent, SessionState, Violation};

use super::sim::Sim;
use crate::owners::{Memory, TestOwner};
use crate::sim::Question;
use crate::sim::read::count;
use crate::text::describe;

impl<D: Device, Q: Queue> Sim<D, Q> {
    /// A new connection: CONNECT is due.
    pub(super) fn connect(&mut self) {
        let clean = self.want_clean || (!self.draining && self.rng.one_in(20));
        let connect = Connect {
            clean_start: clean,
            keep_alive: 20,
            properties: Properties::EMPTY,
            ..Connect::new(self.version, "c")
        };
        self.client
            .connect(&connect, self.now)
            .expect("a CONNECT that can be sent");
        // Before CONNACK nobody knows what the server takes.
        self.watch.receive_maximum = D::WINDOW;
        self.watch.alias_maximum = None;
        if clean {
            self.want_clean = true;
            self.up.may_repeat();
            self.down.may_repeat();
        }
        // In 3.1 a session that ended with its connection is not told by CONNACK.
        if clean || (self.version == Version::V31 && self.was_clean) {
            self.lost();
        }
        self.was_clean = clean;
        let limits = self.server.owner.limits_mut().clone();
        self.server.session.open(self.now, &limits);
        self.connected = true;
    }

    /// The client's peer has no session of it: what the peer had of it is over, and the application is told.
    fn lost(&mut self) {
        let over = self.watch.renew(D::EARLY);
        self.subscribed = false;
        self.over.extend(over);
        for (id, number) in self.watch.numbers() {
            assert_eq!(self.ids.get(&id), Some(&number), "{id} was forgotten");
        }
    }

    /// CONNACK 0 came.
    pub(super) fn confirmed(&mut self, session_present: bool, resumed: bool) {
        self.want_clean = false;
        let limits = self.server.owner.limits_mut();
        if self.version.is_v5() {
            self.watch.receive_maximum = limits.receive_maximum.min(D::WINDOW);
            self.watch.alias_maximum = Some(limits.topic_alias_maximum);
        }
        assert!(session_present || !resumed);
        if !session_present && self.version != Version::V31 {
            self.lost();
        }
        if !resumed && self.version != Version::V31 {
            self.subscribed = false;
        }
    }

    /// Carries a fragment, or all, to the server, which reads it.
    pub(super) fn carry_up(&mut self) {
        if !self.connected {
            return;
        }
        let len = self.link.len();
        let len = if self.draining || self.rng.one_in(2) {
            len
        } else {
            self.rng.below(len + 1)
        };
        if len > 0 {
            self.server.rx.extend(self.link.drain(..len));
            self.server.session.heard(self.now);
        }
        while self.server.session.wants_input() {
            let bytes = core::mem::take(&mut self.server.rx);
            let limits = self.server.owner.limits_mut().clone();
            let decoder = self.server.session.decoder(&limits);
            if let Ok(Decoded::Complete { packet, .. }) = Decoder::new(self.version).any(&bytes) {
                self.counters
                    .trace(|| format!("{}: the server takes {}", self.now, describe(&packet)));
            }
            match decoder.from_client(&bytes).expect("well-formed packets") {
                Decoded::Complete { packet, len } => {
                    self.server_takes(packet).expect("no rule is broken");
                    self.server.rx = bytes[len..].to_vec();
                }
                Decoded::NeedMore(_) => {
                    self.server.rx = bytes;
                    return;
                }
            }
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
        } else if self.client.is_connected() {
            // What is sent before CONNACK came does not show that the client knows of the session.
            self.memory.used = true;
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
            ServerEvent::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters.iter().count();
                self.question = Some(Question::Unsubscribe { filters });
                None
            }
            ServerEvent::Disconnect(_) => {
                self.counters.hit("goodbye heard");
                None
            }
            _ => None,
        };
        if let Some(packet) = acknowledgement {
            count(&packet, &mut self.counters);
            self.server.watch.took(&packet);
            self.server
                .ended(&mut self.down, self.now, (), &mut self.counters);
        }
        if let Some(publish) = publish {
            self.counters.hit_if(
                publication.is_none(),
                "repetition not delivered by the server",
            );
            let part = PartialPublish {
                publish,
                missing: 0,
            };
            self.server
                .publication(publication.as_ref(), &part, &mut self.rng, &mut self.up);
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
                self.server.watch.subacks.push_back(());
                let qos = <D::Profile as Profile>::MAX_QOS.min(QoS::ExactlyOnce);
                let codes = core::iter::repeat_n(ReasonCode(qos as u8), filters);
                self.server
                    .session
                    .answer_subscribe(codes, ())
                    .expect("it was asked");
            }
            Some(Question::Unsubscribe { filters }) => {
                self.memory.subscribed = false;
                self.server.watch.subacks.push_back(());
                let codes = core::iter::repeat_n(ReasonCode::SUCCESS, filters);
                self.server
                    .session
                    .answer_unsubscribe(codes, ())
                    .expect("it was asked");
            }
        }
    }

    /// The server accepts CONNECT: with the session that it has, or with a new one.
    fn accept(&mut self, clean: bool) {
        let expired = self.version != Version::V31 && !self.draining && self.rng.one_in(12);
        let present = self.memory.exists && self.memory.used && !clean && !expired;
        if !present {
            self.forget_session();
            self.memory.exists = true;
            self.memory.kept = self.version.is_v5() || !clean;
        }
        self.counters.hit(if present {
            "resumed with a session"
        } else {
            "connected without a session"
        });
        self.server
            .session
            .accept(Accept {
                session_present: present,
                server_keep_alive: None,
                session_expiry: None,
                kept: (),
            })
            .expect("it was asked");
    }

    /// The server's session ends, with everything in it.
    fn forget_session(&mut self) {
        self.server.session.replace_state(SessionState::default());
        self.server.owner.forget();
        self.server.watch.forget();
        self.server.forget_received();
        self.memory = Memory::default();
        self.down.may_vanish();
        self.up.may_repeat();
    }

    /// The connection is cut: what is under way is lost.
    pub(super) fn cut(&mut self) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.counters.hit("cut");
        self.cut_client();
        let closed = self.server.session.close(self.now);
        self.server.cut(&mut self.counters);
        self.question = None;
        if closed.expires == Expires::Now {
            self.forget_session();
        }
    }
}
