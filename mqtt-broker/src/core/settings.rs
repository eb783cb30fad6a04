//! What an operator can set, with the defaults of the first day.

use mqtt_session::Limits;

/// Settings of a broker's core; the configuration file fills them in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What every connection is held to, and told.
    pub limits: Limits,
    /// Messages that wait for one session, in flight included, or for one shared group; default 10,000.
    pub queue_messages: u32,
    /// Bytes that wait for one session, or for one shared group; default 10,000,000.
    pub queue_bytes: u64,
    /// Subscriptions of one client; default 10,000.
    pub subscriptions_per_client: u32,
    /// User properties of one packet; default 64.
    pub user_properties: u16,
    /// Bytes of output that a client may leave unread before QoS 0 messages to it are dropped; default 1,000,000.
    pub unread_output_bytes: u32,
    /// Connections of one worker; default 1,000,000.
    pub connections: u32,
    /// Sessions of one worker, connected or not; default 1,000,000.
    pub sessions: u32,
    /// Retained messages; default 1,000,000.
    pub retained_messages: u32,
    /// Longest session expiry granted, in seconds; default `u32::MAX`, for ever. Before 5.0, where clients cannot say how long, every kept
    /// session has it.
    pub session_expiry_maximum: u32,
    /// Longest keep-alive granted to clients of 5.0, in seconds; 0, the default, leaves it to the client. Clients of 3.1.1 cannot be told, and
    /// keep their own.
    pub keep_alive_maximum: u16,
    /// Time between two updates of the `$SYS` topics, in milliseconds; 0 switches them off; default 10,000.
    pub sys_interval_ms: u32,
    /// What goes before the client id in Response Information; `None` gives none. Default `"response/"`.
    pub response_prefix: Option<Box<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            queue_messages: 10_000,
            queue_bytes: 10_000_000,
            subscriptions_per_client: 10_000,
            user_properties: 64,
            unread_output_bytes: 1_000_000,
            connections: 1_000_000,
            sessions: 1_000_000,
            retained_messages: 1_000_000,
            session_expiry_maximum: u32::MAX,
            keep_alive_maximum: 0,
            sys_interval_ms: 10_000,
            response_prefix: Some("response/".into()),
        }
    }
}
