//! What the handles ask of the background task.

use core::time::Duration;
use std::sync::Arc;

use mqtt_codec::ReasonCode;
use tokio::sync::oneshot;

use crate::error::{DisconnectError, SubscribeError};
use crate::queue::Queue;
use crate::subscription::{Item, SubscribeOptions};

/// Who waits for the answer to a SUBSCRIBE or UNSUBSCRIBE.
pub(crate) type CodesWaiter = oneshot::Sender<Result<Vec<ReasonCode>, SubscribeError>>;

/// How to say goodbye: the reason, and what else DISCONNECT can carry.
///
/// ```
/// use core::time::Duration;
/// use mqtt_client::{Goodbye, ReasonCode};
///
/// // The server publishes the will, and keeps the session for an hour (5.0).
/// let goodbye = Goodbye::new()
///     .reason(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE)
///     .session_expiry(Duration::from_secs(3_600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    pub(crate) reason: ReasonCode,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) user_properties: Vec<(Box<str>, Box<str>)>,
    pub(crate) flush_timeout: Option<Duration>,
}

impl Default for Goodbye {
    fn default() -> Self {
        Self::new()
    }
}

impl Goodbye {
    /// A normal disconnection.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            reason: ReasonCode::NORMAL_DISCONNECTION,
            session_expiry: None,
            user_properties: Vec::new(),
            flush_timeout: None,
        }
    }

    /// The reason to give; default a normal disconnection. Before 5.0 any other reason closes without DISCONNECT, so that the server
    /// publishes the will.
    #[must_use]
    pub const fn reason(mut self, reason: ReasonCode) -> Self {
        self.reason = reason;
        self
    }

    /// How long the server keeps the session from now on (5.0), in whole seconds; default as it was.
    #[must_use]
    pub fn session_expiry(mut self, time: Duration) -> Self {
        self.session_expiry = Some(crate::options::seconds(time));
        self
    }

    /// A name and a value of your own (5.0); may be repeated.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// How long to wait for the acknowledgement of messages; default [`Options::flush_timeout`](crate::Options::flush_timeout).
    #[must_use]
    pub const fn flush_timeout(mut self, time: Duration) -> Self {
        self.flush_timeout = Some(time);
        self
    }
}

/// A request of a handle.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe {
        stream: u64,
        queue: Arc<Queue<Item>>,
        options: SubscribeOptions,
        done: CodesWaiter,
    },
    /// A stream is gone.
    Release {
        stream: u64,
        unsubscribe: bool,
        done: Option<CodesWaiter>,
    },
    Unsubscribe {
        filters: Vec<Box<str>>,
        user_properties: Vec<(Box<str>, Box<str>)>,
        done: CodesWaiter,
    },
    Disconnect {
        goodbye: Goodbye,
        done: oneshot::Sender<Result<(), DisconnectError>>,
    },
}
