//! CONNECT, CONNACK, AUTH and DISCONNECT at the client.

use mqtt_codec::{
    AnyVersion, Auth, ConnAck, Connect, Disconnect, Properties, QoS, ReasonCode, Version,
};
use mqtt_topic::TopicName;

use crate::event::ClientEvent;
use crate::link::Phase;
use crate::owner::Owner;
use crate::profile::Profile;
use crate::rules::session_claim;
use crate::session::put;
use crate::storage::{Deque, Storage};
use crate::time::Instant;
use crate::tx::Tx;
use crate::violation::{Misuse, Rule};

use super::ClientSession;

impl<P: Profile, S: Storage> ClientSession<P, S> {
    /// A connection was opened: writes CONNECT.
    ///
    /// What the packet's properties announce (Receive Maximum, Topic Alias Maximum, Session Expiry Interval) is what the server is held
    /// to; before 5.0 it is `limits`. A clean start forgets this session's state, and what was in flight will be sent as new.
    ///
    /// Without a clean start the caller says that this is the client's session. A server that claims one after a clean start is not believed,
    /// but a client that "does not have Session State" [MQTT-3.2.2-4] cannot be told from one whose state is empty, as it is when nothing
    /// was in flight, and a program that comes back only for what it has missed keeps none: so no other claim is refused. A caller that has
    /// lost the state of a session asks for a clean start; if it does not, QoS 2 messages that it had received before may come again.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] while a connection is open, [`Misuse::NotSupported`] when the profile does not speak the version, or when more
    /// is announced than the tables hold, [`Misuse::Topic`] for the will, [`Misuse::Full`], [`Misuse::Encode`].
    pub fn connect<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        connect: &Connect<'_>,
        tx: &mut T,
        now: Instant,
        owner: &mut O,
    ) -> Result<(), Misuse> {
        if self.link.phase != Phase::Closed {
            return Err(Misuse::NotNow);
        }
        let Some(version) = P::Version::of(connect.version) else {
            return Err(Misuse::NotSupported);
        };
        if connect
            .will
            .as_ref()
            .is_some_and(|will| TopicName::new(will.topic).is_err())
        {
            return Err(Misuse::Topic);
        }
        // An id of no characters is the server's to replace; it cannot name a session that was kept [3.1.1:MQTT-3.1.3-7].
        if connect.client_id.is_empty()
            && (version.version() == Version::V31
                || (version.version() == Version::V311 && !connect.clean_start))
        {
            return Err(Misuse::NotSupported);
        }
        let capacity = <S::Inbound<()> as Deque<()>>::CAPACITY;
        let limits = owner.limits();
        let v5 = version.is_v5();
        let receive_maximum = if v5 {
            connect
                .properties
                .receive_maximum()
                .map_or(u16::MAX, |maximum| maximum.get())
        } else {
            limits.held_to(true, capacity)
        };
        if v5 && usize::from(receive_maximum) > capacity {
            return Err(Misuse::NotSupported);
        }
        let alias_maximum = if v5 {
            connect.properties.topic_alias_maximum().unwrap_or(0)
        } else {
            0
        };
        if alias_maximum
            > if P::ALIASES {
                <S::Topics as crate::storage::Topics>::CAPACITY
            } else {
                0
            }
        {
            return Err(Misuse::NotSupported);
        }
        let (send_maximum, alias_send_maximum, timeout) = (
            limits.window(v5),
            limits.topic_alias_send_maximum,
            limits.connect_timeout_ms,
        );
        put(tx, connect.encoded_len_only(version), |room| {
            connect.encode_only(version, room)
        })?;
        self.forget_connection();
        self.link.version = version;
        self.link.clean_start = connect.clean_start;
        self.link.keep_alive = connect.keep_alive;
        self.link.receive_maximum = receive_maximum;
        self.link.send_maximum = send_maximum;
        self.link.alias_maximum = alias_maximum;
        self.link.alias_send_maximum = alias_send_maximum;
        self.link.authenticating =
            P::AUTH && v5 && connect.properties.authentication_method().is_some();
        self.link.phase = Phase::AwaitConnAck;
        self.link.clock = now.plus_millis(u64::from(timeout));
        self.link.role.sent = now;
        // A 3.1 server does not tell that a session has ended with its connection.
        let ended = version.version() == Version::V31 && self.state.session_expiry == 0;
        self.state.session_expiry = match (v5, connect.clean_start) {
            (true, _) => connect.properties.session_expiry_interval().unwrap_or(0),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        if connect.clean_start || ended {
            self.state.forget_peer(owner);
        }
        Ok(())
    }

    pub(super) fn connack<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: ConnAck<'p>,
        now: Instant,
        owner: &mut O,
    ) -> Result<ClientEvent<'p>, Rule> {
        if packet.reason != ReasonCode::SUCCESS {
            self.link.phase = Phase::Closing;
            return Ok(ClientEvent::Refused(packet));
        }
        let session_present = packet.session_present && self.link.version.version() != Version::V31;
        session_claim(session_present, self.link.clean_start)?;
        if self.link.v5() {
            let properties = packet.properties;
            if let Some(expiry) = properties.session_expiry_interval() {
                self.state.session_expiry = expiry;
            }
            if let Some(maximum) = properties.receive_maximum() {
                self.link.send_maximum = self.link.send_maximum.min(maximum.get());
            }
            if let Some(maximum) = properties.maximum_packet_size() {
                self.link.maximum_packet_size = maximum.get();
            }
            if let Some(keep_alive) = properties.server_keep_alive() {
                // [MQTT-3.2.2-21]
                self.link.keep_alive = keep_alive;
            }
            // Absent means none [MQTT-3.2.2-18].
            self.link.alias_send_maximum = self
                .link
                .alias_send_maximum
                .min(properties.topic_alias_maximum().unwrap_or(0));
            let role = &mut self.link.role;
            role.maximum_qos = properties.maximum_qos().unwrap_or(QoS::ExactlyOnce);
            role.retain_available = properties.retain_available().unwrap_or(true);
            role.wildcards_available = properties.wildcard_subscription_available().unwrap_or(true);
            role.subscription_ids_available = properties
                .subscription_identifier_available()
                .unwrap_or(true);
            role.shared_available = properties.shared_subscription_available().unwrap_or(true);
        }
        if !session_present && self.link.version.version() != Version::V31 {
            // [MQTT-3.2.2-5]
            self.state.forget_peer(owner);
        }
        self.connected(now);
        Ok(ClientEvent::Connected(packet))
    }

    pub(super) fn auth<'p, O: Owner<Gate = P::Gate>>(
        &mut self,
        packet: Auth<'p>,
        owner: &O,
    ) -> Result<ClientEvent<'p>, Rule> {
        if !P::AUTH || !self.link.authenticating {
            return Err(Rule::AuthUnexpected);
        }
        let connected = self.link.phase == Phase::Connected;
        let step_fits = match packet.reason {
            ReasonCode::CONTINUE_AUTHENTICATION => !connected || self.link.role.reauthenticating,
            ReasonCode::SUCCESS => connected && self.link.role.reauthenticating,
            _ => false,
        };
        if !step_fits {
            return Err(Rule::AuthUnexpected);
        }
        if packet.properties.authentication_method() != owner.handshake_text().authentication_method
        {
            return Err(Rule::AuthMethodChanged);
        }
        if packet.reason == ReasonCode::SUCCESS {
            self.link.role.reauthenticating = false;
        }
        Ok(ClientEvent::Auth(packet))
    }

    /// Writes AUTH: 0x18 to go on with an exchange [MQTT-4.12.0-3], 0x19 to start a re-authentication; the properties repeat the method.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when CONNECT named no method [MQTT-4.12.0-7] or this step does not fit the exchange,
    /// [`Misuse::NotSupported`] for another method than the owner's [`HandshakeText`](crate::HandshakeText) names [MQTT-4.12.1-1],
    /// [`Misuse::Full`], [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn authenticate<T: Tx, O: Owner<Gate = P::Gate>>(
        &mut self,
        reason: ReasonCode,
        properties: Properties<'_>,
        tx: &mut T,
        now: Instant,
        owner: &O,
    ) -> Result<(), Misuse> {
        let step_fits = match (self.link.phase, reason) {
            (Phase::AwaitConnAck, ReasonCode::CONTINUE_AUTHENTICATION) => true,
            (Phase::Connected, ReasonCode::CONTINUE_AUTHENTICATION) => {
                self.link.role.reauthenticating
            }
            (Phase::Connected, ReasonCode::RE_AUTHENTICATE) => !self.link.role.reauthenticating,
            _ => false,
        };
        if !P::AUTH || !self.link.authenticating || !step_fits {
            return Err(Misuse::NotNow);
        }
        if properties.authentication_method() != owner.handshake_text().authentication_method {
            return Err(Misuse::NotSupported);
        }
        let packet = Auth { reason, properties };
        let len = packet.encoded_len(self.link.version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(self.link.version, room))?;
        if self.link.phase == Phase::Connected {
            self.link.role.reauthenticating = true;
        }
        self.link.role.sent = now;
        Ok(())
    }

    /// Writes DISCONNECT with properties; then the connection closes. [`disconnect`](Self::disconnect) does without properties.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] without a connection, [`Misuse::NotSupported`] when a session that ends with its connection shall be kept,
    /// [`Misuse::Full`], [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn disconnect_with<T: Tx>(
        &mut self,
        packet: &Disconnect<'_>,
        tx: &mut T,
    ) -> Result<(), Misuse> {
        if self.link.phase != Phase::Connected {
            return Err(Misuse::NotNow);
        }
        let expiry = packet.properties.session_expiry_interval();
        if self.state.session_expiry == 0 && expiry.is_some_and(|expiry| expiry != 0) {
            return Err(Misuse::NotSupported);
        }
        let len = packet.encoded_len(self.link.version);
        if !self.link.takes(len) {
            return Err(Misuse::TooLarge);
        }
        put(tx, len, |room| packet.encode(self.link.version, room))?;
        if let Some(expiry) = expiry.filter(|_| self.link.v5()) {
            self.state.session_expiry = expiry;
        }
        self.link.phase = Phase::Closing;
        Ok(())
    }
}
