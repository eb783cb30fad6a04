//! What an operator can set, with the defaults of the first day.

use mqtt_session::Limits;

/// Settings of a broker's core; the configuration file fills them in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What every connection is held to, and told.
    pub limits: Limits,
    /// Messages that wait for one session, in flight included, or for one shared group; default 10,000. A new one that finds so many is too
    /// many; what waits already may move, from a group to a member and back, and is never turned away.
    pub queue_messages: u32,
    /// Bytes that wait for one session, or for one shared group; default 10,000,000.
    pub queue_bytes: u64,
    /// Messages that wait for all sessions and groups together, in flight included; 0 is no limit. Default 10,000,000: with places and
    /// indexes about 600 MB, when the messages themselves are on disk. Connected sessions have room for 64 each whatever waits for others.
    pub queue_total_messages: u64,
    /// Their bytes; a message counts in each queue in which it waits. 0 is no limit. Default 10,000,000,000, a thousand full queues: without
    /// a data directory set it to what the machine has.
    pub queue_total_bytes: u64,
    /// What goes when a message comes for which there is no room; default: the message.
    pub queue_policy: QueuePolicy,
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

/// What goes when a message comes for a queue that is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// The message that has come.
    #[default]
    RejectNew,
    /// The messages of its queue that have waited longest, as far as their delivery has not begun.
    DropOldest,
}

impl QueuePolicy {
    /// The names, in order.
    pub const NAMES: &'static [&'static str] = &["reject-new", "drop-oldest"];

    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::RejectNew, Self::DropOldest];
        all.into_iter().find(|policy| policy.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RejectNew => Self::NAMES[0],
            Self::DropOldest => Self::NAMES[1],
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            queue_messages: 10_000,
            queue_bytes: 10_000_000,
            queue_total_messages: 10_000_000,
            queue_total_bytes: 10_000_000_000,
            queue_policy: QueuePolicy::RejectNew,
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
