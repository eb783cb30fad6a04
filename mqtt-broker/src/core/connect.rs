//! CONNECT: who it is, whether it may, which session goes on.

use std::sync::Arc;

use mqtt_codec::{Auth, ConnectView, ReasonCode};
use mqtt_session::{Accept, Instant, Misuse};

use super::connection::Handshake;
use super::effect::{Effect, Question, QuestionId};
use super::ids::{ConnId, SessionKey, Subscriber};
use super::message::Message;
use super::policy::{Decision, Identity};
use super::store::Record;
use super::{Core, connection};

impl Core {
    pub(super) fn connect(&mut self, id: ConnId, connect: &ConnectView<'_>, now: Instant) {
        let assigned = connect.client_id().is_empty();
        let client_id: Box<str> = if assigned {
            self.new_client_id()
        } else {
            connect.client_id().into()
        };
        let settings = self.shared.settings();
        let properties = connect.properties();
        let response_information = settings
            .response_prefix
            .as_ref()
            .map(|prefix| format!("{prefix}{client_id}").into_boxed_str());
        let Some(handshake) = self
            .conns
            .get_mut(id.slot, id.generation)
            .and_then(|conn| conn.handshake.as_mut())
        else {
            return;
        };
        **handshake = Handshake {
            request: super::ConnectRequest {
                client_id,
                user_name: connect.user_name().map(Into::into),
                password: connect.password().map(Into::into),
                version: connect.version(),
                peer: core::mem::take(&mut handshake.request.peer),
                authentication_method: properties.authentication_method().map(Into::into),
                authentication_data: properties.authentication_data().map(Into::into),
            },
            clean_start: connect.clean_start(),
            bridge: connect.is_bridge(),
            assigned,
            keep_alive: connect.keep_alive(),
            session_expiry: properties.session_expiry_interval().unwrap_or(0),
            will: connect.will().map(|will| Arc::new(will_message(&will))),
            response_information,
            challenge: None,
            question: 0,
        };
        self.decide(id, now);
    }

    /// AUTH: the next step of an exchange.
    pub(super) fn auth(&mut self, id: ConnId, auth: &Auth<'_>, now: Instant) {
        let Some(handshake) = self
            .conns
            .get_mut(id.slot, id.generation)
            .and_then(|conn| conn.handshake.as_mut())
        else {
            return;
        };
        handshake.request.authentication_data =
            auth.properties.authentication_data().map(Into::into);
        self.decide(id, now);
    }

    fn decide(&mut self, id: ConnId, now: Instant) {
        let Some(handshake) = self
            .conns
            .get(id.slot, id.generation)
            .and_then(|conn| conn.handshake.as_ref())
        else {
            return;
        };
        let decision = self.policy.connect(&handshake.request);
        self.apply(id, decision, now);
    }

    fn apply(&mut self, id: ConnId, decision: Decision, now: Instant) {
        self.touch(id);
        match decision {
            Decision::Accept => self.accept(id, now),
            Decision::Refuse(reason) => {
                self.tally.refused_connections += 1;
                self.with_machine(id, |machine, _| machine.refuse(reason));
            }
            Decision::Challenge(data) => self.challenge(id, data, now),
            Decision::Ask => {
                self.questions = self.questions.wrapping_add(1);
                let number = self.questions;
                let Some(handshake) = self
                    .conns
                    .get_mut(id.slot, id.generation)
                    .and_then(|conn| conn.handshake.as_mut())
                else {
                    return;
                };
                handshake.question = number;
                let request = handshake.request.clone();
                self.effects.push(Effect::Ask(
                    QuestionId { conn: id, number },
                    Question::Connect(request),
                ));
            }
        }
    }

    /// The answer to [`Question::Connect`]. A late answer, to a connection that has gone meanwhile, does nothing.
    pub fn answer_connect(&mut self, question: QuestionId, decision: Decision, now: Instant) {
        let id = question.conn;
        let open = self
            .conns
            .get(id.slot, id.generation)
            .and_then(|conn| conn.handshake.as_ref())
            .is_some_and(|handshake| handshake.question == question.number);
        if open && decision != Decision::Ask {
            self.apply(id, decision, now);
        }
    }

    fn challenge(&mut self, id: ConnId, data: Box<[u8]>, now: Instant) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_ref() else {
            return;
        };
        let text = mqtt_session::HandshakeText {
            authentication_method: handshake.request.authentication_method.as_deref(),
            authentication_data: Some(&data),
            ..Default::default()
        };
        let output = conn.output.get_or_insert_with(|| self.pool.take());
        if let Err(Misuse::TooLarge | Misuse::Encode | Misuse::Full) =
            conn.machine
                .challenge(&mut **output, now, &self.shared.settings().limits, text)
        {
            // It cannot be told: nothing is left but to end it.
            conn.machine.disconnect(ReasonCode::PACKET_TOO_LARGE);
        }
        self.arm(id);
    }

    fn accept(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        if conn.machine.is_connected() {
            self.reauthenticated(id);
            return;
        }
        let Some(handshake) = conn.handshake.as_ref() else {
            return;
        };
        let (client_id, clean_start) = (handshake.request.client_id.clone(), handshake.clean_start);
        let resumed = self
            .find_session(&client_id)
            .and_then(|key| self.take_over(key, clean_start, now));
        let session_present = resumed.is_some();
        let (key, state) = match resumed {
            Some(resumed) => resumed,
            None if self.sessions.len() >= self.shared.settings().sessions as usize => {
                self.tally.turned_away += 1;
                self.with_machine(id, |machine, _| {
                    machine.refuse(ReasonCode::SERVER_UNAVAILABLE)
                });
                return;
            }
            None => (
                self.add_session(client_id, None),
                connection::State::default(),
            ),
        };
        self.attach(id, key, state, session_present, now);
    }

    /// The session of this client id as it is now, in any state; `None` when it is over and a new one begins.
    fn take_over(
        &mut self,
        key: SessionKey,
        clean_start: bool,
        now: Instant,
    ) -> Option<(SessionKey, connection::State)> {
        let session = self.sessions.get_mut(key.slot, key.generation)?;
        if let Some(old) = session.conn
            && let Some(conn) = self.conns.get_mut(old.slot, old.generation)
        {
            // [MQTT-3.1.4-3]
            let (state, closed) = conn.machine.detach(now);
            conn.machine.disconnect(ReasonCode::SESSION_TAKEN_OVER);
            conn.session = None;
            let backlog = conn.backlog.take();
            self.touch(old);
            self.session_closed(key, state, closed, backlog, now);
        }
        let session = self.sessions.get_mut(key.slot, key.generation)?;
        let state = session.offline.take()?.state;
        if clean_start {
            // [MQTT-3.1.2-4]
            self.end_session(key, &state, now);
            return None;
        }
        // Resumed in time: a will that was delayed is not published [MQTT-3.1.3-9].
        if let Some(will) = session.will.take() {
            self.store.record(&Record::Will {
                session: key,
                message: &will,
                due: None,
            });
        }
        Some((key, state))
    }

    /// Gives a session to a connection, and answers CONNECT.
    fn attach(
        &mut self,
        id: ConnId,
        key: SessionKey,
        state: connection::State,
        session_present: bool,
        now: Instant,
    ) {
        let settings = self.shared.settings();
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_mut() else {
            return;
        };
        session.conn = Some(id);
        session.user_name = handshake.request.user_name.clone();
        session.bridge = handshake.bridge;
        session.will = handshake.will.take().map(|will| {
            let mut will = Arc::try_unwrap(will).unwrap_or_else(|will| {
                let mut copy = Message::new(
                    will.topic(),
                    will.properties(),
                    will.payload(),
                    will.qos,
                    will.retain,
                );
                copy.expires = will.expires;
                copy
            });
            will.publisher = Subscriber::session(self.worker, key);
            Arc::new(will)
        });
        handshake.request.password = None;
        let most = settings.keep_alive_maximum;
        let server_keep_alive = (most != 0
            && (handshake.keep_alive == 0 || handshake.keep_alive > most))
            .then_some(most);
        let asked = handshake.session_expiry;
        let session_expiry = (handshake.request.version.is_v5()
            && asked > settings.session_expiry_maximum)
            .then_some(settings.session_expiry_maximum);
        let peer = handshake.request.peer.clone();
        conn.session = Some(key);
        conn.machine.replace_state(state);
        let kept = self.store.record(&Record::Session {
            session: key,
            client_id: &session.client_id,
            expiry: session_expiry.unwrap_or(asked),
        });
        let accepted = conn.machine.accept(Accept {
            session_present,
            server_keep_alive,
            session_expiry,
            kept,
        });
        debug_assert_eq!(accepted, Ok(()), "CONNECT was being decided");
        self.tally.clients_connected += 1;
        self.policy.connected(
            Identity {
                client_id: &session.client_id,
                user_name: session.user_name.as_deref(),
            },
            &peer,
        );
        self.join_groups(key, now);
    }

    fn reauthenticated(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_ref() else {
            return;
        };
        let text = mqtt_session::HandshakeText {
            authentication_method: handshake.request.authentication_method.as_deref(),
            ..Default::default()
        };
        let output = conn.output.get_or_insert_with(|| self.pool.take());
        if conn.machine.reauthenticated(&mut **output, text).is_err() {
            conn.machine.disconnect(ReasonCode::UNSPECIFIED_ERROR);
        }
    }

    /// CONNACK was written: what it needed goes, unless the client may authenticate again.
    pub(super) fn forget_handshake(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation)
            && conn.machine.is_connected()
            && conn
                .handshake
                .as_ref()
                .is_some_and(|handshake| handshake.request.authentication_method.is_none())
        {
            conn.handshake = None;
        }
    }

    /// A client id that is unique, hard to guess, and at home here [MQTT-3.2.2-16].
    fn new_client_id(&mut self) -> Box<str> {
        loop {
            let id = format!(
                "auto-{:016x}{:04x}",
                self.next_random(),
                self.next_random() as u16
            );
            if self.shared.home(&id) == self.worker && self.find_session(&id).is_none() {
                return id.into();
            }
        }
    }
}

/// The will as a message. Its expiry counts from its publication: kept as time since the origin until then.
fn will_message(will: &mqtt_codec::Will<'_>) -> Message {
    let mut properties = vec![0; will.properties.forwarded_len()];
    let written = will
        .properties
        .write_forwarded(&mut properties)
        .unwrap_or(0);
    properties.truncate(written);
    let mut message = Message::new(will.topic, &properties, will.payload, will.qos, will.retain);
    message.expires = will
        .properties
        .message_expiry_interval()
        .map(|seconds| Instant::ZERO.plus_seconds(seconds));
    message
}
