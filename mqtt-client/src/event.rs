//! What happens to the connection, for those who want to know.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use mqtt_codec::{Properties, ReasonCode};

use crate::error::ConnectionError;
use crate::queue::Queue;

/// How many events wait for a slow reader before the oldest go.
pub(crate) const CAPACITY: usize = 256;

/// Where a client is with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It opens the transport, or waits for CONNACK.
    Connecting,
    /// The connection is up.
    Connected,
    /// It waits before it tries again.
    Waiting,
    /// It has ended for good.
    Ended,
}

/// What a server said when it accepted the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub(crate) session_present: bool,
    pub(crate) client_id: Box<str>,
    pub(crate) properties: Bytes,
}

impl Accepted {
    /// Whether the server still had the session; 3.1 does not tell, and this is `false`.
    #[must_use]
    pub const fn session_present(&self) -> bool {
        self.session_present
    }

    /// The client id of the session: the one chosen, or the one that the server assigned.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The properties of CONNACK: limits, response information, user properties. Empty before 5.0.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        Properties::stored(&self.properties)
    }
}

/// Something that happened to the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection is up.
    Connected(Accepted),
    /// The connection is lost, or could not be made.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// When it is tried again; `None` when it is not.
        retry_in: Option<Duration>,
    },
    /// After a reconnect the server refused a filter that it had granted before: its streams get nothing more.
    SubscriptionLost {
        /// The filter.
        filter: Box<str>,
        /// Why.
        reason: ReasonCode,
    },
    /// The client has ended; nothing follows.
    Ended,
}

/// A stream of [`Event`]s from [`Client::events`](crate::Client::events). Of a reader that never reads the last 256 are kept.
#[derive(Debug)]
pub struct Events(pub(crate) Arc<Queue<Event>>);

impl Events {
    /// The next event; `None` when the client has ended.
    ///
    /// Cancel safe: an event is taken only when it is returned.
    pub async fn recv(&mut self) -> Option<Event> {
        core::future::poll_fn(|cx| self.0.poll_pop(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_pop(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
