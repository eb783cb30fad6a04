//! CONNECT: who it is, whether it may, which session goes on.

use std::sync::Arc;

use mqtt_codec::{Auth, ConnectView, ReasonCode};
use mqtt_session::{Accept, Commit, Instant, Misuse};

use super::connection::Handshake;
use super::effect::{Effect, Question, QuestionId};
use super::ids::{ConnId, SessionKey};
use super::message::Message;
use super::policy::{Decision, Identity};
use super::routing::is_reserved;
use super::sessions::Will;
use super::store::{Record, Room};
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
            .filter(|_| properties.request_response_information() == Some(true))
            .map(|prefix| format!("{prefix}{client_id}").into_boxed_str());
        let session_expiry = if connect.version().is_v5() {
            properties.session_expiry_interval().unwrap_or(0)
        } else if connect.clean_start() {
            0
        } else {
            // Before 5.0 there is no word for how long.
            u32::MAX
        };
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
                authentication_step: 0,
            },
            clean_start: connect.clean_start(),
            bridge: connect.is_bridge(),
            assigned,
            keep_alive: connect.keep_alive(),
            session_expiry,
            will: connect.will().map(|will| {
                Box::new(Will {
                    message: Arc::new(will_message(&will)),
                    delay: will.properties.will_delay_interval().unwrap_or(0),
                })
            }),
            response_information,
            last_data: None,
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
        let request = &mut handshake.request;
        request.authentication_data = auth.properties.authentication_data().map(Into::into);
        request.authentication_step = request.authentication_step.saturating_add(1);
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
            Decision::Accept => self.accept(id, None, now),
            Decision::AcceptWith(data) => self.accept(id, Some(data), now),
            Decision::Refuse(reason) => self.refuse(id, reason),
            Decision::Challenge(data) => self.challenge(id, &data, now),
            Decision::Ask => {
                let number = self.next_question();
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

    /// The answer to [`Question::Connect`]. A late answer, to a connection that has gone meanwhile or is about to,
    /// does nothing.
    pub fn answer_connect(&mut self, question: QuestionId, decision: Decision, now: Instant) {
        let id = question.conn;
        let Some(handshake) = self
            .conns
            .get_mut(id.slot, id.generation)
            .filter(|conn| !conn.machine.is_closing())
            .and_then(|conn| conn.handshake.as_mut())
            .filter(|handshake| handshake.question == question.number)
        else {
            return;
        };
        // Whoever was asked passes the question on: nobody is left to ask.
        let decision = match decision {
            Decision::Ask => Decision::Refuse(ReasonCode::SERVER_UNAVAILABLE),
            decision => decision,
        };
        // One answer each.
        handshake.question = 0;
        self.apply(id, decision, now);
    }

    pub(super) const fn next_question(&mut self) -> u32 {
        self.questions = match self.questions.wrapping_add(1) {
            0 => 1,
            number => number,
        };
        self.questions
    }

    fn refuse(&mut self, id: ConnId, reason: ReasonCode) {
        self.tally.refused_connections += 1;
        // A refusal that says "success" would leave the client in the belief that it is connected.
        let reason = if reason.is_error() {
            reason
        } else {
            ReasonCode::NOT_AUTHORIZED
        };
        self.with_machine(id, |machine, _| machine.refuse(reason));
        self.touch(id);
    }

    fn challenge(&mut self, id: ConnId, data: &[u8], now: Instant) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_ref() else {
            return;
        };
        let text = mqtt_session::HandshakeText {
            authentication_method: handshake.request.authentication_method.as_deref(),
            authentication_data: Some(data),
            ..Default::default()
        };
        let output = conn.output.get_or_insert_with(|| self.pool.take());
        match conn
            .machine
            .challenge(&mut **output, now, &self.shared.settings().limits, text)
        {
            Ok(()) => self.arm(id, now),
            // The client named no method: AUTH means nothing to it [MQTT-4.12.0-6].
            Err(Misuse::NotNow) => self.refuse(id, ReasonCode::BAD_AUTHENTICATION_METHOD),
            // It cannot be told: nothing is left but to end it.
            Err(_) => conn.machine.disconnect(ReasonCode::PACKET_TOO_LARGE),
        }
    }

    fn accept(&mut self, id: ConnId, data: Option<Box<[u8]>>, now: Instant) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        if conn.machine.is_connected() {
            self.reauthenticated(id, data.as_deref());
            return;
        }
        let Some(handshake) = conn.handshake.as_mut() else {
            return;
        };
        handshake.last_data = data;
        if let Some(will) = handshake.will.as_ref().map(|will| &will.message) {
            let client = Identity {
                client_id: &handshake.request.client_id,
                user_name: handshake.request.user_name.as_deref(),
            };
            // A will is a publication like any other, and the client should learn now that it would come to nothing.
            if is_reserved(will.topic())
                || !self
                    .policy
                    .publish(client, will.topic(), will.qos, will.retain)
            {
                return self.refuse(id, ReasonCode::NOT_AUTHORIZED);
            }
        }
        let (client_id, clean_start) = (handshake.request.client_id.clone(), handshake.clean_start);
        let known = self.find_session(&client_id);
        // Before the session is taken from another connection, which would be in vain.
        let handshake = self.conns.get(id.slot, id.generation);
        let handshake = handshake.and_then(|conn| conn.handshake.as_deref());
        if let Some(reason) = handshake.and_then(|it| self.connect_refusal(it, known)) {
            self.tally.refused_full += 1;
            return self.refuse(id, reason);
        }
        let before = self.may_rise_again(&client_id, known);
        let resumed = known.and_then(|key| self.take_over(key, clean_start, now));
        let (key, state, session_present) = match resumed {
            Some(resumed) => resumed,
            None if self.sessions.len() >= self.shared.settings().sessions as usize => {
                self.tally.turned_away += 1;
                self.with_machine(id, |machine, _| {
                    machine.refuse(ReasonCode::SERVER_UNAVAILABLE)
                });
                return;
            }
            None => (
                self.add_session(client_id),
                connection::State::default(),
                false,
            ),
        };
        self.attach(id, key, state, (session_present, before), now);
    }

    /// The session of this client id as it is now, in any state, and whether CONNACK says that it was there; `None` when it is over and a
    /// new one begins.
    fn take_over(
        &mut self,
        key: SessionKey,
        clean_start: bool,
        now: Instant,
    ) -> Option<(SessionKey, connection::State, bool)> {
        let session = self.sessions.get_mut(key.slot, key.generation)?;
        if let Some(old) = session.conn
            && let Some(conn) = self.conns.get_mut(old.slot, old.generation)
        {
            // [MQTT-3.1.4-3]
            let (state, closed) = conn.machine.detach(now);
            conn.machine.disconnect(ReasonCode::SESSION_TAKEN_OVER);
            conn.session = None;
            self.touch(old);
            self.session_closed(key, state, closed, now);
        }
        if clean_start {
            #[cfg(mutation = "delayed-will-lost-at-takeover")]
            if let Some(session) = self.sessions.get_mut(key.slot, key.generation) {
                session.will = None;
            }
            // [MQTT-3.1.2-4]
            self.end_session(key, now);
            return None;
        }
        let session = self.sessions.get_mut(key.slot, key.generation)?;
        // Resumed in time: a will that was delayed is not published [MQTT-3.1.3-9].
        session.will = None;
        let state = session.offline.take()?.state;
        // One whose client never used it is as good as new. That client may not know that it was made: if CONNACK was lost on the way, it
        // would go on with a session of long ago, and its packet ids.
        let session_present = state.is_used() || !session.subscriptions.is_empty();
        Some((key, state, session_present))
    }

    /// Gives a session to a connection, and answers CONNECT: whether the session was there, and whether one was that a crash may bring back.
    fn attach(
        &mut self,
        id: ConnId,
        key: SessionKey,
        state: connection::State,
        (session_present, before): (bool, bool),
        now: Instant,
    ) {
        let settings = self.shared.settings();
        let who = self.subscriber(key);
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_mut() else {
            return;
        };
        session.lasted |= handshake
            .session_expiry
            .min(settings.session_expiry_maximum)
            != 0;
        session.conn = Some(id);
        session.user_name = handshake.request.user_name.clone();
        session.bridge = handshake.bridge;
        session.will = handshake.will.take();
        if let Some(will) = &mut session.will {
            let mut message = will.message.duplicate();
            message.publisher = who;
            will.message = Arc::new(message);
        }
        handshake.forget_password();
        let most = settings.keep_alive_maximum;
        // Before 5.0 a client cannot be told, and must not be cut off for keeping its own word.
        let server_keep_alive = (handshake.request.version.is_v5()
            && most != 0
            && (handshake.keep_alive == 0 || handshake.keep_alive > most))
            .then_some(most);
        let asked = handshake.session_expiry;
        let session_expiry =
            (asked > settings.session_expiry_maximum).then_some(settings.session_expiry_maximum);
        let peer = handshake.request.peer.clone();
        conn.session = Some(key);
        conn.trim = true;
        conn.noted = state.is_used();
        conn.machine.replace_state(state);
        let mut kept = self.store.record(&Record::Session {
            session: who,
            client_id: &session.client_id,
            user_name: session.user_name.as_deref(),
            expiry: session_expiry.unwrap_or(asked),
            bridge: session.bridge,
        });
        if let Some(will) = &session.will {
            kept = self.store.record(&Record::Will {
                session: who,
                message: &will.message,
                delay: will.delay,
                due: None,
            });
        }
        // Nothing is left of it after a crash, and nothing was there before: CONNACK promises nothing.
        if session_expiry.unwrap_or(asked) == 0 && !before && self.store.room() != Room::Enough {
            kept = Commit::default();
        }
        let accepted = conn.machine.accept(Accept {
            session_present,
            server_keep_alive,
            session_expiry,
            kept,
        });
        debug_assert_eq!(accepted, Ok(()), "CONNECT was being decided");
        self.tally.clients_connected += 1;
        self.policy.connected(session.identity(), &peer);
        self.join_groups(key, now);
    }

    fn reauthenticated(&mut self, id: ConnId, data: Option<&[u8]>) {
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(handshake) = conn.handshake.as_ref() else {
            return;
        };
        let text = mqtt_session::HandshakeText {
            authentication_method: handshake.request.authentication_method.as_deref(),
            authentication_data: data,
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
                "auto-{:016x}{:08x}",
                self.next_random(),
                self.next_random() as u32
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
