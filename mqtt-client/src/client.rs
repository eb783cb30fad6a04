//! The handle.

use std::sync::Arc;

use mqtt_codec::ReasonCode;
use mqtt_topic::ParsedFilter;
use tokio::sync::{mpsc, oneshot};

use crate::command::{Command, Goodbye};
use crate::delivery::{Ack, Delivery};
use crate::driver::Driver;
use crate::error::{ConnectionError, DisconnectError, OptionsError, PublishError, SubscribeError};
use crate::event::{Events, State};
use crate::message::Message;
use crate::options::Options;
use crate::queue::{Queue, locked};
use crate::shared::Shared;
use crate::subscription::{SubscribeOptions, Subscription};

/// What keeps the background task alive: handles and subscriptions.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Inner {
    /// A task that has ended needs no commands; who waits for an answer sees its sender dropped.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// A client: a cheap handle on a background task that keeps the connection.
///
/// Clone it into as many tasks as you like; all clones share one connection. Nothing needs to be polled: reading, keep-alive,
/// acknowledgements, reconnecting, subscribing again and sending again what was on its way are the background task's work.
///
/// [`disconnect`](Self::disconnect) ends it in order. When all handles and subscriptions are dropped it ends by itself in the same way.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Starts a client that connects in the background, for as long as it takes.
    ///
    /// Messages may be published and filters subscribed to at once; they wait for the connection.
    ///
    /// # Errors
    /// Options that no CONNECT can carry.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> Result<Self, OptionsError> {
        Self::spawn(options, None)
    }

    /// Starts a client and waits until the server has accepted it. A first attempt that fails ends it; later ones follow
    /// [`Options::reconnect`].
    ///
    /// Cancel safe: dropping the future ends the client.
    ///
    /// # Errors
    /// Why there is no connection.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(options: Options) -> Result<Self, ConnectionError> {
        let (first, answer) = oneshot::channel();
        let client = Self::spawn(options, Some(first))?;
        answer.await.unwrap_or(Err(ConnectionError::Ended))?;
        Ok(client)
    }

    fn spawn(
        options: Options,
        first: Option<oneshot::Sender<Result<(), ConnectionError>>>,
    ) -> Result<Self, OptionsError> {
        options.check()?;
        let shared = Arc::new(Shared::new(&options));
        let (commands, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(options, Arc::clone(&shared), receiver, first);
        tokio::spawn(driver.run());
        let inner = Arc::new(Inner { shared, commands });
        Ok(Self { inner })
    }

    /// Publishes a message and waits until it has arrived: PUBACK at QoS 1, PUBCOMP at QoS 2; at QoS 0 until the transport has it.
    ///
    /// While there is no connection the message waits for one. Messages are sent in the order in which they were queued.
    ///
    /// Cancel safety: dropped while it waits for room in the queue, the message is not sent; dropped later, it is sent all the same.
    ///
    /// # Errors
    /// See [`PublishError`]; [`PublishError::QueueFull`] does not occur unless the policy is to drop.
    pub async fn publish(&self, message: Message) -> Result<Ack, PublishError> {
        self.enqueue(message).await?.await
    }

    /// Queues a message, waiting for room if need be, and gives a token that waits for its acknowledgement: for sending many at once.
    ///
    /// Cancel safe: dropped before it is ready, the message is not sent.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn enqueue(&self, message: Message) -> Result<Delivery, PublishError> {
        self.inner.shared.enqueue(message).await
    }

    /// Queues a message now or not at all. Never waits, so it may be called from anywhere, a stream's reader included.
    ///
    /// # Errors
    /// [`PublishError::QueueFull`], and what [`publish`](Self::publish) knows before it waits.
    pub fn try_publish(&self, message: Message) -> Result<Delivery, PublishError> {
        self.inner.shared.try_enqueue(message)
    }

    /// How many messages wait to be sent or acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        locked(&self.inner.shared.outbox).len()
    }

    /// Subscribes to one filter or several, waits for the server's answer, and gives a stream of their messages.
    ///
    /// While there is no connection it waits for one. The client has one subscription for each filter at the server: subscribing to the
    /// same filter again replaces its options, and both streams get its messages.
    ///
    /// Cancel safe: dropped before it is ready, the subscription is taken back.
    ///
    /// # Errors
    /// See [`SubscribeError`]; when some filters are refused and others granted, [`Subscription::granted`] tells which.
    pub async fn subscribe(
        &self,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeError> {
        let options = options.into();
        check(&options.filters)?;
        let queue = Arc::new(Queue::default());
        let mut subscription = Subscription {
            queue: Arc::clone(&queue),
            inner: Arc::clone(&self.inner),
            stream: self.inner.shared.next_stream(),
            granted: Vec::new(),
            live: true,
        };
        let (done, answer) = oneshot::channel();
        self.inner.send(Command::Subscribe {
            stream: subscription.stream,
            queue,
            options,
            done,
        });
        subscription.granted = answer.await.unwrap_or(Err(SubscribeError::Closed))?;
        Ok(subscription)
    }

    /// Unsubscribes from filters, whoever subscribed to them: a stream of this client, or an earlier run of the program. Gives one reason
    /// for each filter; before 5.0 it is always success.
    ///
    /// Cancel safe: the UNSUBSCRIBE is on its way from the first poll on, and goes out whether or not somebody waits.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn unsubscribe<F: Into<Box<str>>>(
        &self,
        filters: impl IntoIterator<Item = F>,
    ) -> Result<Vec<ReasonCode>, SubscribeError> {
        let none: [(&str, &str); 0] = [];
        self.unsubscribe_with(filters, none).await
    }

    /// As [`unsubscribe`](Self::unsubscribe), with user properties (5.0).
    ///
    /// # Errors
    /// As there.
    pub async fn unsubscribe_with<F: Into<Box<str>>, P: Into<Box<str>>>(
        &self,
        filters: impl IntoIterator<Item = F>,
        user_properties: impl IntoIterator<Item = (P, P)>,
    ) -> Result<Vec<ReasonCode>, SubscribeError> {
        let filters: Vec<Box<str>> = filters.into_iter().map(Into::into).collect();
        check(&filters)?;
        let user_properties = user_properties
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let (done, answer) = oneshot::channel();
        self.inner.send(Command::Unsubscribe {
            filters,
            user_properties,
            done,
        });
        answer.await.unwrap_or(Err(SubscribeError::Closed))
    }

    /// Ends the client: takes no more messages, waits until all are acknowledged (at most [`Options::flush_timeout`]), sends DISCONNECT
    /// and closes the connection. Streams end after the messages that were received before.
    ///
    /// Cancel safe: the client ends whether or not somebody waits.
    ///
    /// # Errors
    /// [`DisconnectError::Unsent`] when the time was over, for instance because there was no connection.
    pub async fn disconnect(&self) -> Result<(), DisconnectError> {
        self.disconnect_with(Goodbye::new()).await
    }

    /// As [`disconnect`](Self::disconnect), with a reason and properties.
    ///
    /// # Errors
    /// As there, and [`DisconnectError::NotPossible`].
    pub async fn disconnect_with(&self, goodbye: Goodbye) -> Result<(), DisconnectError> {
        let (done, answer) = oneshot::channel();
        self.inner.send(Command::Disconnect { goodbye, done });
        answer.await.unwrap_or(Err(DisconnectError::Closed))
    }

    /// A stream of what happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.inner.shared.events()
    }

    /// Where the client is with its connection at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        *self.inner.shared.state.borrow()
    }

    /// Waits until the client has ended and tells why; `Ok` when it was asked to.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The connection error that was not tried again.
    pub async fn ended(&self) -> Result<(), ConnectionError> {
        let mut state = self.inner.shared.state.subscribe();
        // The sender lives as long as this handle.
        let _ = state.wait_for(|state| *state == State::Ended).await;
        match &*locked(&self.inner.shared.ended) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

fn check(filters: &[Box<str>]) -> Result<(), SubscribeError> {
    if filters.is_empty() {
        return Err(SubscribeError::NoFilter);
    }
    for filter in filters {
        ParsedFilter::parse(filter).map_err(|source| SubscribeError::Filter {
            filter: filter.clone(),
            source,
        })?;
    }
    Ok(())
}
