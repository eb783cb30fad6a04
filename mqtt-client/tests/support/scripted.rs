//! A server session at the other end of a pipe: tests say what it does with every packet. Virtual time, no sockets.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use mqtt_client::{Address, Connecting, Connector, Options, QoS, ReasonCode, Transport, Version};
use mqtt_codec::{Decoded, Properties, SubscriptionOptions};
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Accept, Change, DeliveryId, Instant, Limits, Outbox, Outcome, OutgoingMessage, Output, Owner,
    Seq, ServerEvent, ServerSession, SessionState, Topic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// Gives the client one end of a new pipe for each attempt.
#[derive(Debug)]
pub(crate) struct Pipes(mpsc::UnboundedSender<DuplexStream>);

impl Connector for Pipes {
    fn connect<'a>(&'a self, _address: &'a Address) -> Connecting<'a> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            self.0
                .send(theirs)
                .map_err(|_| std::io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}

/// Where the other ends come out.
#[derive(Debug)]
pub(crate) struct Listener(mpsc::UnboundedReceiver<DuplexStream>);

/// Options of a client whose connections come out at the listener.
pub(crate) fn options() -> (Options, Listener) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let options = Options::new(("server", 1883))
        .client_id("me")
        .session_expiry(Duration::from_secs(3_600))
        .randomness(|| 0)
        .connector(Pipes(sender));
    (options, Listener(receiver))
}

/// A session's state between two connections.
pub(crate) type Kept = (SessionState<Full, Heap>, Messages);

/// Topic, QoS, payload and Subscription Identifiers of a message.
type Queued = (String, QoS, Vec<u8>, Vec<mqtt_codec::SubscriptionId>);

/// The messages that the server has for the client.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    limits: Limits,
    queue: Vec<Option<Queued>>,
    /// How each ended.
    pub(crate) ended: Vec<(u64, Outcome)>,
    /// How each QoS 2 handshake ended.
    pub(crate) completed: Vec<u64>,
}

impl Outbox for Messages {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        (from.0..self.queue.len() as u64)
            .find(|seq| self.queue[*seq as usize].is_some())
            .map(Seq)
    }
    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let (topic, qos, payload, ids) = self.queue.get(seq.0 as usize)?.as_ref()?;
        Some(OutgoingMessage {
            topic,
            qos: *qos,
            retain: false,
            expires: None,
            subscription_ids: ids,
            properties: Properties::EMPTY,
            payload_len: payload.len() as u32,
        })
    }
    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.ended.push((seq.0, outcome));
    }
    fn complete(&mut self, seq: Seq, _: ReasonCode) {
        self.completed.push(seq.0);
    }
}

impl Owner for Messages {
    type Gate = ();
    fn record(&mut self, _: Change) {}
    fn committed(&self) {}
    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// What the client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: QoS,
        dup: bool,
        expiry: Option<u32>,
        delivery: Option<DeliveryId>,
    },
    Subscribe(Vec<(String, SubscriptionOptions)>, Option<u32>),
    Unsubscribe(Vec<String>),
    Disconnect(ReasonCode, Option<u32>),
    /// The end of the connection.
    End,
}

/// What CONNECT said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

/// The server's end of one connection.
pub(crate) struct Peer {
    stream: DuplexStream,
    session: ServerSession<Full, Heap>,
    pub(crate) messages: Messages,
    rx: BytesMut,
    seen: VecDeque<Seen>,
    asked: Option<Asked>,
}

fn now() -> Instant {
    Instant::from_millis(1)
}

impl Listener {
    /// The next connection, after its CONNECT was accepted: with a new session, or with one that was kept.
    pub(crate) async fn accept(&mut self, kept: Option<Kept>) -> (Peer, Asked) {
        self.accept_with(kept, |_| {}).await
    }

    /// The same with limits of the server.
    pub(crate) async fn accept_with(
        &mut self,
        kept: Option<Kept>,
        limits: impl FnOnce(&mut Limits),
    ) -> (Peer, Asked) {
        let mut peer = self.open().await;
        limits(&mut peer.messages.limits);
        let asked = peer.connect().await;
        let session_present = kept.is_some();
        if let Some((state, messages)) = kept {
            peer.session.replace_state(state);
            peer.messages = messages;
        }
        peer.session
            .accept(Accept {
                session_present,
                server_keep_alive: None,
                session_expiry: None,
                kept: (),
            })
            .unwrap();
        peer.flush().await;
        (peer, asked)
    }

    /// The next connection, refused.
    pub(crate) async fn refuse(&mut self, reason: ReasonCode) -> Asked {
        let mut peer = self.open().await;
        let asked = peer.connect().await;
        peer.session.refuse(reason).unwrap();
        peer.flush().await;
        asked
    }

    /// The next connection, before CONNECT.
    pub(crate) async fn open(&mut self) -> Peer {
        let stream = self.0.recv().await.expect("the client connects");
        let mut session = ServerSession::new();
        let messages = Messages::default();
        session.open(now(), &messages.limits);
        Peer {
            stream,
            session,
            messages,
            rx: BytesMut::new(),
            seen: VecDeque::new(),
            asked: None,
        }
    }

    /// Panics if the client has connected again.
    pub(crate) fn assert_quiet(&mut self) {
        assert!(self.0.try_recv().is_err(), "there is no further connection");
    }
}

impl Peer {
    async fn connect(&mut self) -> Asked {
        while self.asked.is_none() {
            assert!(self.read().await, "CONNECT comes before the end");
        }
        self.asked.take().unwrap()
    }

    /// Writes what the session has to say.
    pub(crate) async fn flush(&mut self) {
        let mut tx = Vec::new();
        loop {
            match self.session.poll_output(&mut tx, now(), &mut self.messages) {
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    let slot = &mut self.messages.queue[seq.0 as usize];
                    tx.extend_from_slice(&slot.as_ref().unwrap().2);
                    if last_use {
                        *slot = None;
                    }
                }
                Output::Idle | Output::Full => break,
                Output::Close => {
                    let _ = self.stream.write_all(&tx).await;
                    let _ = self.stream.shutdown().await;
                    return;
                }
            }
        }
        // The client may be gone.
        let _ = self.stream.write_all(&tx).await;
    }

    /// Writes bytes past the session.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads some and handles it; `false` at the end.
    async fn read(&mut self) -> bool {
        if !matches!(self.stream.read_buf(&mut self.rx).await, Ok(1..)) {
            return false;
        }
        self.handle();
        self.flush().await;
        true
    }

    fn handle(&mut self) {
        while self.session.wants_input() {
            let decoder = self.session.decoder(&self.messages.limits);
            let frame = self.rx.clone();
            let Ok(Decoded::Complete { packet, len }) = decoder.from_client(&frame) else {
                return;
            };
            let event = self.session.handle(&packet, now(), &mut self.messages);
            let seen = match event.expect("the client keeps to the rules") {
                ServerEvent::Connect(connect) => {
                    self.asked = Some(Asked {
                        version: connect.version(),
                        clean_start: connect.clean_start(),
                        client_id: connect.client_id().into(),
                        user_name: connect.user_name().map(Into::into),
                        password: connect.password().map(Into::into),
                    });
                    None
                }
                ServerEvent::Publication(publication) => {
                    let topic = match publication.topic {
                        Topic::Name(name) => name.as_str().to_owned(),
                        Topic::Alias(alias) => self.session.topic(alias).unwrap().to_owned(),
                    };
                    Some(Seen::Publish {
                        topic,
                        payload: publication.payload.to_vec(),
                        qos: publication.qos,
                        dup: publication.dup,
                        expiry: publication.properties.message_expiry_interval(),
                        delivery: publication.delivery,
                    })
                }
                ServerEvent::Subscribe(subscribe) => {
                    let filters = subscribe
                        .filters
                        .iter()
                        .map(|entry| (entry.filter.to_owned(), entry.options))
                        .collect();
                    let id = subscribe.properties.subscription_identifier();
                    Some(Seen::Subscribe(filters, id.map(|id| id.get())))
                }
                ServerEvent::Unsubscribe(unsubscribe) => Some(Seen::Unsubscribe(
                    unsubscribe.filters.iter().map(ToOwned::to_owned).collect(),
                )),
                ServerEvent::Disconnect(disconnect) => Some(Seen::Disconnect(
                    disconnect.reason,
                    disconnect.properties.session_expiry_interval(),
                )),
                _ => None,
            };
            self.seen.extend(seen);
            self.rx.advance(len);
        }
    }

    /// The next thing that the client sent.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return seen;
            }
            if !self.read().await {
                return Seen::End;
            }
        }
    }

    /// The next thing must be a PUBLISH: its topic, payload and DUP flag, and what to settle.
    pub(crate) async fn publish_seen(&mut self) -> (String, Vec<u8>, bool, Option<DeliveryId>) {
        match self.next().await {
            Seen::Publish {
                topic,
                payload,
                dup,
                delivery,
                ..
            } => (topic, payload, dup, delivery),
            other => panic!("a PUBLISH was expected: {other:?}"),
        }
    }

    /// Takes the next PUBLISH and acknowledges it with success.
    pub(crate) async fn take(&mut self) -> (String, Vec<u8>) {
        let (topic, payload, _, delivery) = self.publish_seen().await;
        if let Some(delivery) = delivery {
            self.settle(delivery, ReasonCode::SUCCESS).await;
        }
        (topic, payload)
    }

    pub(crate) async fn settle(&mut self, delivery: DeliveryId, reason: ReasonCode) {
        assert!(self.session.settle(delivery, reason, ()));
        self.flush().await;
    }

    /// The next thing must be a SUBSCRIBE of one filter, which is granted; gives filter and Subscription Identifier.
    pub(crate) async fn grant(&mut self) -> (String, Option<u32>) {
        self.answer(ReasonCode::GRANTED_QOS_2).await
    }

    /// The same with another answer.
    pub(crate) async fn answer(&mut self, code: ReasonCode) -> (String, Option<u32>) {
        match self.next().await {
            Seen::Subscribe(filters, id) => {
                assert_eq!(filters.len(), 1);
                self.session.answer_subscribe([code], ()).unwrap();
                self.go_on().await;
                (filters[0].0.clone(), id)
            }
            other => panic!("a SUBSCRIBE was expected: {other:?}"),
        }
    }

    /// Answers the SUBSCRIBE of one filter that was seen last.
    pub(crate) async fn answer_pending(&mut self, code: ReasonCode) {
        self.session.answer_subscribe([code], ()).unwrap();
        self.go_on().await;
    }

    /// Answers the UNSUBSCRIBE of one filter that was seen last.
    pub(crate) async fn answer_unsubscribe_pending(&mut self) {
        self.session
            .answer_unsubscribe([ReasonCode::SUCCESS], ())
            .unwrap();
        self.go_on().await;
    }

    /// The next thing must be an UNSUBSCRIBE, which is answered.
    pub(crate) async fn release(&mut self) -> Vec<String> {
        match self.next().await {
            Seen::Unsubscribe(filters) => {
                let codes = vec![ReasonCode::SUCCESS; filters.len()];
                self.session.answer_unsubscribe(codes, ()).unwrap();
                self.go_on().await;
                filters
            }
            other => panic!("an UNSUBSCRIBE was expected: {other:?}"),
        }
    }

    async fn go_on(&mut self) {
        self.flush().await;
        self.handle();
        self.flush().await;
    }

    /// Sends a message to the client.
    pub(crate) async fn send(&mut self, topic: &str, qos: QoS, payload: &[u8]) {
        self.send_with(topic, qos, payload, &[]).await;
    }

    /// The same with Subscription Identifiers.
    pub(crate) async fn send_with(&mut self, topic: &str, qos: QoS, payload: &[u8], ids: &[u32]) {
        let ids = ids
            .iter()
            .map(|id| mqtt_codec::SubscriptionId::new(*id).unwrap())
            .collect();
        self.messages
            .queue
            .push(Some((topic.into(), qos, payload.to_vec(), ids)));
        self.flush().await;
    }

    /// Reads until so many of the messages sent have ended.
    pub(crate) async fn until_ended(&mut self, count: usize) {
        while self.messages.ended.len() < count {
            assert!(self.read().await, "the connection is up");
        }
    }

    /// Waits until so many handshakes of QoS 2 have been completed.
    pub(crate) async fn until_completed(&mut self, count: usize) {
        while self.messages.completed.len() < count {
            assert!(self.read().await, "the connection is up");
        }
    }

    /// Closes the connection with a reason.
    pub(crate) async fn disconnect(&mut self, reason: ReasonCode) {
        self.session.disconnect(reason);
        self.flush().await;
    }

    /// Cuts the connection; what is kept of the session goes into [`Listener::accept`].
    pub(crate) fn cut(mut self) -> Kept {
        self.session.close(now());
        let state = self.session.replace_state(SessionState::default());
        (state, self.messages)
    }
}
