//! A subscription: what to ask for, and the stream of its messages.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use futures::Stream;
use mqtt_codec::{QoS, ReasonCode, RetainHandling, SubscriptionOptions};
use mqtt_session::DeliveryId;
use tokio::sync::oneshot;

use crate::client::Inner;
use crate::command::Command;
use crate::error::SubscribeError;
use crate::message::Publication;
use crate::queue::Queue;
use crate::shared::Shared;

/// When a QoS 1 or QoS 2 message is acknowledged, and with that what happens when its stream is not read fast enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// When it was put into the queue of its stream. A full queue gives up its oldest message, whatever its QoS, which
    /// [`Subscription::missed`] counts; no other stream is affected.
    #[default]
    OnArrival,
    /// When it was taken from the stream: no QoS 1 or QoS 2 message is lost. As acknowledgements keep their order, a stream that is
    /// not read makes the server stop sending to *all* streams once Receive Maximum messages wait. QoS 0 messages that find the queue
    /// full are dropped and counted.
    WhenTaken,
}

/// What to subscribe to: one filter or several, with the options of the subscription.
///
/// ```
/// use mqtt_client::{QoS, SubscribeOptions};
///
/// let options = SubscribeOptions::new("greenhouse/+/temperature")
///     .filter("greenhouse/+/humidity")
///     .qos(QoS::AtLeastOnce)
///     .capacity(100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    pub(crate) filters: Vec<Box<str>>,
    pub(crate) options: SubscriptionOptions,
    pub(crate) capacity: usize,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) user_properties: Vec<(Box<str>, Box<str>)>,
}

impl SubscribeOptions {
    /// The messages of this filter, at up to QoS 1.
    pub fn new(filter: impl Into<Box<str>>) -> Self {
        Self {
            filters: vec![filter.into()],
            options: SubscriptionOptions::new(QoS::AtLeastOnce),
            capacity: 1_000,
            acknowledge: Acknowledge::default(),
            user_properties: Vec::new(),
        }
    }

    /// The messages of this filter too.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<Box<str>>) -> Self {
        self.filters.push(filter.into());
        self
    }

    /// The highest QoS to be delivered with; default QoS 1.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.options.qos = qos;
        self
    }

    /// Leaves out what this client publishes itself (5.0). Default no.
    #[must_use]
    pub const fn no_local(mut self, no_local: bool) -> Self {
        self.options.no_local = no_local;
        self
    }

    /// Keeps the RETAIN flag as it was published (5.0). Default no.
    #[must_use]
    pub const fn retain_as_published(mut self, keep: bool) -> Self {
        self.options.retain_as_published = keep;
        self
    }

    /// When retained messages are sent (5.0). Default at every SUBSCRIBE, also the one after a reconnect that found no session.
    #[must_use]
    pub const fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.options.retain_handling = handling;
        self
    }

    /// How many messages wait in the stream's queue; default 1,000, at least 1.
    #[must_use]
    pub const fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// When messages are acknowledged; default [`Acknowledge::OnArrival`].
    #[must_use]
    pub const fn acknowledge(mut self, when: Acknowledge) -> Self {
        self.acknowledge = when;
        self
    }

    /// A name and a value of your own for SUBSCRIBE (5.0); may be repeated.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }
}

impl From<&str> for SubscribeOptions {
    fn from(filter: &str) -> Self {
        Self::new(filter)
    }
}

impl From<String> for SubscribeOptions {
    fn from(filter: String) -> Self {
        Self::new(filter)
    }
}

/// Settles a delivery when the last stream that it went to has taken it, or is gone.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) delivery: DeliveryId,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.taken(self.delivery);
    }
}

/// A message in the queue of a stream.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) publication: Publication,
    /// Dropped when the message is taken.
    pub(crate) hold: Option<Arc<Hold>>,
}

/// A stream of the messages of one [`subscribe`](crate::Client::subscribe), and of no other.
///
/// It goes on over lost connections: the client subscribes again by itself. It ends when the client ends. Dropping it unsubscribes from
/// the filters that no other stream of the client asked for; [`detach`](Self::detach) leaves them at the server.
///
/// A message that matches filters of several subscriptions goes to each of their streams, once.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) queue: Arc<Queue<Item>>,
    pub(crate) inner: Arc<Inner>,
    pub(crate) stream: u64,
    pub(crate) granted: Vec<ReasonCode>,
    pub(crate) live: bool,
}

impl Subscription {
    /// What the server said to each filter, in their order: the granted QoS, or why it refused. At least one was granted.
    #[must_use]
    pub fn granted(&self) -> &[ReasonCode] {
        &self.granted
    }

    /// The next message; `None` when the client has ended.
    ///
    /// Cancel safe: a message is taken only when it is returned.
    pub async fn recv(&mut self) -> Option<Publication> {
        core::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The next message, if one waits.
    pub fn try_recv(&mut self) -> Option<Publication> {
        self.queue.try_pop().map(|item| item.publication)
    }

    /// How many messages were lost because this stream was not read fast enough.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.queue.missed()
    }

    /// How many messages wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Ends the subscription and waits for the server's answer: one reason for each filter that no other stream asked for.
    ///
    /// Cancel safe: the UNSUBSCRIBE is on its way from the first poll on, and goes out whether or not somebody waits.
    ///
    /// # Errors
    /// [`SubscribeError::Closed`] when the client has ended; [`SubscribeError::NotPossible`].
    pub async fn unsubscribe(mut self) -> Result<Vec<ReasonCode>, SubscribeError> {
        let (done, answer) = oneshot::channel();
        self.release(true, Some(done));
        answer.await.unwrap_or(Err(SubscribeError::Closed))
    }

    /// Ends the stream, but leaves the subscription at the server: for a session that a later run of the program takes up again.
    pub fn detach(mut self) {
        self.release(false, None);
    }

    fn release(
        &mut self,
        unsubscribe: bool,
        done: Option<oneshot::Sender<Result<Vec<ReasonCode>, SubscribeError>>>,
    ) {
        if core::mem::take(&mut self.live) {
            self.inner.send(Command::Release {
                stream: self.stream,
                unsubscribe,
                done,
            });
        }
        self.queue.abandon();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Publication>> {
        self.queue
            .poll_pop(cx)
            .map(|item| item.map(|item| item.publication))
    }
}

impl Stream for Subscription {
    type Item = Publication;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Publication>> {
        self.poll(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.release(true, None);
    }
}
