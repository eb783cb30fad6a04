//! CONNECT, AUTH and CONNACK at the server.

use mqtt_codec::{
    AnyVersion, Auth, ConnAck, ConnectView, Properties, Property, QoS, ReasonCode, Version,
};
use mqtt_topic::TopicName;

use crate::event::{Accept, ServerEvent};
use crate::limits::Limits;
use crate::link::{OwedConnAck, Phase, Question};
use crate::owner::{Gate, HandshakeText, Owner};
use crate::profile::Profile;
use crate::session::put;
use crate::storage::{Deque, Part, Storage, Topics};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule};

use super::ServerSession;

impl<P: Profile, S: Storage> ServerSession<P, S> {
    pub(super) fn connect<'p>(
        &mut self,
        connect: ConnectView<'p>,
        limits: &Limits,
    ) -> Result<ServerEvent<'p>, Rule> {
        let version = connect.version();
        let Some(spoken) = P::Version::of(version) else {
            return Err(Rule::VersionNotSpoken);
        };
        self.link.version = spoken;
        let clean_start = connect.clean_start();
        let properties = connect.properties();
        // From here on a refusal is told in CONNACK, as far as the version can.
        self.link.phase = Phase::Deciding;
        if connect.client_id().is_empty()
            && (version == Version::V31 || (version == Version::V311 && !clean_start))
        {
            return Err(Rule::EmptyClientId);
        }
        if let Some(will) = connect.will() {
            if TopicName::new(will.topic).is_err() {
                return Err(Rule::WillTopic);
            }
            if will.qos > limits.maximum_qos || will.qos > P::MAX_QOS {
                return Err(Rule::WillQoSNotSupported);
            }
            if will.retain && !limits.retain_available {
                return Err(Rule::WillRetainNotSupported);
            }
            self.link.role.has_will = true;
            self.link.role.will_delay = will.properties.will_delay_interval().unwrap_or(0);
        }
        self.link.clean_start = clean_start;
        self.link.keep_alive = connect.keep_alive();
        let capacity = <S::Inbound<()> as Deque<()>>::CAPACITY;
        self.link.receive_maximum = limits.held_to(self.link.v5(), capacity);
        self.link.send_maximum = limits.window(self.link.v5());
        if self.link.v5() {
            self.link.owing.make().connack.session_expiry =
                properties.session_expiry_interval().unwrap_or(0);
            if let Some(maximum) = properties.receive_maximum() {
                self.link.send_maximum = self.link.send_maximum.min(maximum.get());
            }
            if let Some(maximum) = properties.maximum_packet_size() {
                self.link.maximum_packet_size = maximum.get();
            }
            if P::ALIASES {
                self.link.alias_maximum = limits.topic_alias_maximum.min(S::Topics::CAPACITY);
                self.link.alias_send_maximum = limits
                    .topic_alias_send_maximum
                    .min(properties.topic_alias_maximum().unwrap_or(0));
            }
            self.link.authenticating = P::AUTH && properties.authentication_method().is_some();
            self.link.problem_information =
                properties.request_problem_information().unwrap_or(true);
            self.link.owing.make().connack.response_information =
                properties.request_response_information().unwrap_or(false);
        } else {
            // Before 5.0 a session is kept for ever, or dies with its connection [3.1.1:MQTT-3.1.2-6], [3.1.1:MQTT-4.1.0-2].
            self.link.owing.make().connack.session_expiry = if clean_start { 0 } else { u32::MAX };
        }
        Ok(ServerEvent::Connect(connect))
    }

    /// AUTH: during the handshake, or a re-authentication [MQTT-4.12.1-1].
    pub(super) fn auth<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: Auth<'p>,
        owner: &O,
    ) -> Result<ServerEvent<'p>, Rule> {
        if !P::AUTH || !self.link.authenticating {
            return Err(Rule::AuthUnexpected);
        }
        let connected = self.link.phase == Phase::Connected;
        let step_fits = match packet.reason {
            ReasonCode::CONTINUE_AUTHENTICATION => !connected || self.link.role.reauthenticating,
            ReasonCode::RE_AUTHENTICATE => connected && !self.link.role.reauthenticating,
            _ => false,
        };
        if !step_fits {
            return Err(Rule::AuthUnexpected);
        }
        if packet.properties.authentication_method() != owner.handshake_text().authentication_method
        {
            return Err(Rule::AuthMethodChanged);
        }
        if connected {
            self.link.set_question(Question::Reauthenticate);
            self.link.role.reauthenticating = true;
        } else {
            self.link.phase = Phase::Deciding;
        }
        Ok(ServerEvent::Auth(packet))
    }

    /// Answers CONNECT, or the last AUTH of an exchange: CONNACK 0 goes out when its gate opens.
    ///
    /// Put the resumed state in place first ([`replace_state`](Self::replace_state)); the session expiry that this CONNECT asked for
    /// counts, whatever the state says. A re-authentication ends with [`reauthenticated`](Self::reauthenticated) instead.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when CONNECT was not asked about.
    pub fn accept(&mut self, accept: Accept<P::Gate>) -> Result<(), Misuse> {
        if self.link.phase != Phase::Deciding {
            return Err(Misuse::NotNow);
        }
        self.link.session_present = accept.session_present && !self.link.clean_start;
        if !self.link.session_present {
            // A new session begins with nothing [MQTT-3.1.2-4].
            self.state.restart();
        }
        let asked = self.link.owing.make().connack.session_expiry;
        self.state.session_expiry = accept.session_expiry.unwrap_or(asked);
        let connack = &mut self.link.owing.make().connack;
        connack.gate = accept.kept;
        connack.says_expiry = self.state.session_expiry != asked;
        if let Some(keep_alive) = accept.server_keep_alive {
            connack.says_keep_alive = keep_alive != self.link.keep_alive;
            self.link.keep_alive = keep_alive;
        }
        self.link.role.accepted = true;
        self.link.phase = Phase::Accepted;
        Ok(())
    }

    /// Answers CONNECT or AUTH with a refusal: CONNACK (DISCONNECT when [connected](Self::is_connected)), then the connection closes.
    ///
    /// A reason that 3.1.1 cannot tell closes without CONNACK [3.1.1:MQTT-3.2.2-6].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when nothing was asked, [`Misuse::NotSupported`] for a reason below 0x80, which refuses nothing.
    pub fn refuse(&mut self, reason: ReasonCode) -> Result<(), Misuse> {
        if !reason.is_error() {
            return Err(Misuse::NotSupported);
        }
        self.link.phase = match self.link.phase {
            Phase::Deciding
                if self.link.v5() || reason.connect_return_code().is_some_and(|code| code != 0) =>
            {
                Phase::Refused
            }
            Phase::Deciding => Phase::Closing,
            Phase::Connected if self.link.question() == Question::Reauthenticate => Phase::Failing,
            _ => return Err(Misuse::NotNow),
        };
        self.link.set_reason(reason);
        self.link.set_question(Question::None);
        Ok(())
    }

    /// Answers CONNECT or AUTH with a request for more: AUTH 0x18 with the owner's [`HandshakeText`] is written at once
    /// [MQTT-4.12.0-2]; the client's answer is the next question.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when nothing was asked or the client named no method, [`Misuse::Full`].
    pub fn challenge<T: Tx>(
        &mut self,
        tx: &mut T,
        now: Instant,
        limits: &Limits,
        text: HandshakeText<'_>,
    ) -> Result<(), Misuse> {
        let connected = self.is_reauthenticating();
        if !self.link.authenticating || !(connected || self.link.phase == Phase::Deciding) {
            return Err(Misuse::NotNow);
        }
        self.write_auth(tx, ReasonCode::CONTINUE_AUTHENTICATION, text)?;
        if connected {
            self.link.set_question(Question::None);
        } else {
            self.link.phase = Phase::AwaitAuth;
            self.link.clock = now.plus_millis(u64::from(limits.connect_timeout_ms));
        }
        Ok(())
    }

    /// Ends a re-authentication with success: AUTH 0x00 is written at once.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when there is none, [`Misuse::Full`].
    pub fn reauthenticated<T: Tx>(
        &mut self,
        tx: &mut T,
        text: HandshakeText<'_>,
    ) -> Result<(), Misuse> {
        if !self.is_reauthenticating() {
            return Err(Misuse::NotNow);
        }
        self.write_auth(tx, ReasonCode::SUCCESS, text)?;
        self.link.role.reauthenticating = false;
        self.link.set_question(Question::None);
        Ok(())
    }

    fn is_reauthenticating(&self) -> bool {
        self.link.phase == Phase::Connected && self.link.question() == Question::Reauthenticate
    }

    fn write_auth<T: Tx>(
        &self,
        tx: &mut T,
        reason: ReasonCode,
        text: HandshakeText<'_>,
    ) -> Result<(), Misuse> {
        let mut list = List::new();
        // The method is repeated [MQTT-4.12.0-5].
        list.add(
            text.authentication_method
                .map(Property::AuthenticationMethod),
        );
        list.add(text.authentication_data.map(Property::AuthenticationData));
        let packet = Auth {
            reason,
            properties: list.properties(),
        };
        let len = packet.encoded_len(self.link.version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(self.link.version, room))
    }

    pub(super) fn poll_connack<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        tx: &mut T,
        now: Instant,
        owner: &O,
    ) -> Result<bool, Misuse> {
        let accepted = self.link.phase == Phase::Accepted;
        let owed = self.link.owing.get().map(|owing| owing.connack);
        let owed = owed.unwrap_or_default();
        if accepted && !owed.gate.is_open(owner.committed()) {
            return Ok(false);
        }
        let reason = if accepted {
            ReasonCode::SUCCESS
        } else {
            self.link.reason()
        };
        // [MQTT-3.2.2-6]: an error has no session. The byte is reserved in 3.1.
        let session_present =
            accepted && self.link.session_present && self.link.version.version() != Version::V31;
        let mut list = List::new();
        let text = owner.handshake_text();
        if self.link.v5() {
            if accepted {
                self.announce(&mut list, &owed, owner.limits(), text);
            } else {
                list.add(text.server_reference.map(Property::ServerReference));
            }
        }
        let plain = list.len;
        if self.link.v5() && self.link.problem_information {
            let sentence = if P::REASON_STRINGS {
                self.sentence()
            } else {
                None
            };
            list.add(text.reason_string.or(sentence).map(Property::ReasonString));
        }
        let version = self.link.version;
        // The text is left out where it does not fit [MQTT-3.2.2-19].
        if !self.link.takes(
            ConnAck {
                session_present,
                reason,
                properties: list.properties(),
            }
            .encoded_len(version),
        ) {
            list.len = plain;
        }
        let packet = ConnAck {
            session_present,
            reason,
            properties: list.properties(),
        };
        let len = packet.encoded_len(version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(version, room))?;
        if accepted {
            self.connected(now);
        } else {
            self.link.phase = Phase::Closing;
        }
        Ok(true)
    }

    /// What CONNACK says of this server; what equals the protocol's default is left out.
    fn announce<'o>(
        &self,
        list: &mut List<'o>,
        owed: &OwedConnAck<P::Gate>,
        limits: &Limits,
        text: HandshakeText<'o>,
    ) {
        list.add(
            owed.says_expiry
                .then_some(Property::SessionExpiryInterval(self.state.session_expiry)),
        );
        list.add(
            (self.link.receive_maximum != u16::MAX)
                .then(|| mqtt_codec::ReceiveMaximum::new(self.link.receive_maximum))
                .flatten()
                .map(Property::ReceiveMaximum),
        );
        let maximum_qos = limits.maximum_qos.min(P::MAX_QOS);
        list.add((maximum_qos != QoS::ExactlyOnce).then_some(Property::MaximumQoS(maximum_qos)));
        list.add((!limits.retain_available).then_some(Property::RetainAvailable(false)));
        list.add(
            core::num::NonZeroU32::new(limits.maximum_packet_size).map(Property::MaximumPacketSize),
        );
        list.add(
            text.assigned_client_id
                .map(Property::AssignedClientIdentifier),
        );
        list.add(
            (self.link.alias_maximum != 0)
                .then_some(Property::TopicAliasMaximum(self.link.alias_maximum)),
        );
        list.add(
            owed.says_keep_alive
                .then_some(Property::ServerKeepAlive(self.link.keep_alive)),
        );
        list.add(
            text.response_information
                .filter(|_| owed.response_information)
                .map(Property::ResponseInformation),
        );
        list.add(text.server_reference.map(Property::ServerReference));
        if self.link.authenticating {
            list.add(
                text.authentication_method
                    .map(Property::AuthenticationMethod),
            );
            list.add(text.authentication_data.map(Property::AuthenticationData));
        }
    }
}

/// A list of properties on the stack: as many as CONNACK can have, user properties aside.
struct List<'o> {
    items: [Property<'o>; 16],
    len: usize,
}

impl<'o> List<'o> {
    const fn new() -> Self {
        Self {
            items: [Property::RetainAvailable(true); 16],
            len: 0,
        }
    }

    fn add(&mut self, property: Option<Property<'o>>) {
        if let (Some(property), Some(slot)) = (property, self.items.get_mut(self.len)) {
            *slot = property;
            self.len += 1;
        }
    }

    fn properties(&self) -> Properties<'_> {
        Properties::List(self.items.get(..self.len).unwrap_or_default())
    }
}
