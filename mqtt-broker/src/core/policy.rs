//! Questions about who may do what, and news about who came and went.

use core::net::SocketAddr;

use mqtt_codec::{QoS, ReasonCode, Version};

/// Where a connection comes from.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The address; `None` when the transport has none.
    pub address: Option<SocketAddr>,
}

/// Who a client is, once its CONNECT was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The client id.
    pub client_id: &'a str,
    /// The user name, if it gave one.
    pub user_name: Option<&'a str>,
}

/// What CONNECT says about the client. The password does not show in `Debug`.
#[derive(Clone)]
pub struct ConnectRequest {
    /// The client id, assigned if the client gave none.
    pub client_id: Box<str>,
    /// The user name.
    pub user_name: Option<Box<str>>,
    /// The password.
    pub password: Option<Box<[u8]>>,
    /// The version of MQTT.
    pub version: Version,
    /// Where it comes from.
    pub peer: Peer,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Box<str>>,
    /// Data of enhanced authentication: of CONNECT, then of each AUTH.
    pub authentication_data: Option<Box<[u8]>>,
    /// The number of AUTH packets so far: 0 at CONNECT.
    pub authentication_step: u32,
}

impl core::fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("version", &self.version)
            .field("peer", &self.peer)
            .field("authentication_method", &self.authentication_method)
            .finish_non_exhaustive()
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Accept,
    /// No, for this reason (0x80 or more; 3.1.1 is told the nearest code that it has).
    Refuse(ReasonCode),
    /// Yes, and the client is told this data, the last of an enhanced authentication. At SUBSCRIBE the same as [`Accept`](Self::Accept).
    AcceptWith(Box<[u8]>),
    /// Enhanced authentication: more data is needed, this is what the client gets.
    Challenge(Box<[u8]>),
    /// Not known yet: ask whoever can wait ([`Effect::Ask`](super::Effect::Ask)), and answer later.
    Ask,
}

/// Who may do what. Every method has a default that allows it; enhanced authentication is refused by default.
///
/// Called on the worker: it must not block.
pub trait Policy: Send + Sync {
    /// May this client connect? Called again for each AUTH of an exchange.
    fn connect(&self, request: &ConnectRequest) -> Decision {
        // [MQTT-4.12.0-1]
        if request.authentication_method.is_some() {
            Decision::Refuse(ReasonCode::BAD_AUTHENTICATION_METHOD)
        } else {
            Decision::Accept
        }
    }

    /// May this client subscribe to `filter` (`$share/group/` included)?
    fn subscribe(&self, _client: Identity<'_>, _filter: &str, _qos: QoS) -> Decision {
        Decision::Accept
    }

    /// May this client publish to `topic`? A refusal is told to 5.0 clients; others get an acknowledgement and the message is dropped.
    ///
    /// Asked about a will as well: at CONNECT, which a refusal ends, and when the will is published, which a refusal prevents.
    fn publish(&self, _client: Identity<'_>, _topic: &str, _qos: QoS, _retain: bool) -> bool {
        true
    }

    /// A client is connected.
    fn connected(&self, _client: Identity<'_>, _peer: &Peer) {}

    /// A client's connection has ended.
    fn disconnected(&self, _client: Identity<'_>) {}

    /// Whether [`message`](Self::message) wants to be called.
    fn wants_messages(&self) -> bool {
        false
    }

    /// A message was accepted and is about to be routed.
    fn message(
        &self,
        _client: Option<Identity<'_>>,
        _topic: &str,
        _payload: &[u8],
        _qos: QoS,
        _retain: bool,
    ) {
    }
}

/// Everybody may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {}
