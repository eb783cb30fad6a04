//! What a program that embeds the broker can decide and watch.

use std::sync::Arc;

use mqtt_codec::{QoS, ReasonCode};

use crate::auth::{Finding, Passwords, wipe};
use crate::core::{ConnectRequest, Decision, Identity, Peer, Policy, Question, QuestionId};
use crate::worker::{Inbox, Item};

/// Authentication, authorisation, messages, and the coming and going of clients.
///
/// Every method has a default, which allows what it is asked and ignores what it is told. They are called by a worker between
/// two packets, so they must not block: a check that has to ask a database returns [`Decision::Ask`], and is done in
/// [`connect_later`](Self::connect_later) or [`subscribe_later`](Self::subscribe_later) on a thread or a task of its own. Whether a
/// message may be published is judged at once, always.
///
/// A broker with hooks may listen on any address: they say who may come. When it has [`Users`](crate::Users) as well, the hooks are asked
/// about a client only after its password was right, and about one without a user name only if such clients are allowed.
pub trait Hooks: Send + Sync + 'static {
    /// May this client connect? Called again with the data of each AUTH of an enhanced authentication [MQTT-4.12.0-2].
    ///
    /// The default accepts everybody, and refuses enhanced authentication.
    fn connect(&self, request: &ConnectRequest) -> Decision {
        if request.authentication_method.is_some() {
            Decision::Refuse(ReasonCode::BAD_AUTHENTICATION_METHOD)
        } else {
            Decision::Accept
        }
    }

    /// The question that [`connect`](Self::connect) wanted to be asked again. The client waits meanwhile; nobody else does.
    fn connect_later(&self, request: ConnectRequest, answer: ConnectAnswer) {
        let _ = (request, answer);
    }

    /// May this client subscribe to `filter`, `$share/GROUP/` included, with this QoS?
    fn subscribe(&self, client: Identity<'_>, filter: &str, qos: QoS) -> Decision {
        let _ = (client, filter, qos);
        Decision::Accept
    }

    /// The question that [`subscribe`](Self::subscribe) wanted to be asked again, for all filters of the packet.
    fn subscribe_later(&self, request: SubscribeRequest, answer: SubscribeAnswer) {
        let _ = (request, answer);
    }

    /// May this client publish to `topic`? A client of 5.0 is told a refusal if its QoS allows; before, the message is dropped.
    fn publish(&self, client: Identity<'_>, topic: &str, qos: QoS, retain: bool) -> bool {
        let _ = (client, topic, qos, retain);
        true
    }

    /// A client has connected.
    fn connected(&self, client: Identity<'_>, peer: &Peer) {
        let _ = (client, peer);
    }

    /// A connection has ended, for whatever reason.
    fn disconnected(&self, client: Identity<'_>) {
        let _ = client;
    }

    /// Whether [`message`](Self::message) is to be called; asked for every message, so that nobody pays who does not want it.
    fn wants_messages(&self) -> bool {
        false
    }

    /// A message is about to be routed; `client` is `None` for one of the broker itself or of this process.
    fn message(
        &self,
        client: Option<Identity<'_>>,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) {
        let _ = (client, topic, payload, qos, retain);
    }
}

/// The hooks of a broker that has none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoHooks;

impl Hooks for NoHooks {}

/// What a client wants to subscribe to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// Its client id.
    pub client_id: Box<str>,
    /// Its user name.
    pub user_name: Option<Box<str>>,
    /// The filters, `$share/GROUP/` included, with the QoS asked for; the answer has one decision for each.
    pub filters: Vec<(Box<str>, QoS)>,
}

/// The way back to the worker that asked.
#[derive(Debug)]
struct Reply {
    inbox: Arc<Inbox>,
    question: QuestionId,
}

/// Answers whether a client may connect. Dropped without an answer, it refuses with 0x88, server unavailable.
#[derive(Debug)]
pub struct ConnectAnswer(Option<Reply>);

impl ConnectAnswer {
    /// Gives the answer; a client that has gone meanwhile does not matter.
    pub fn with(mut self, decision: Decision) {
        self.send(decision);
    }

    fn send(&mut self, decision: Decision) {
        if let Some(Reply { inbox, question }) = self.0.take() {
            inbox.send(Item::MayConnect(question, decision));
        }
    }
}

impl Drop for ConnectAnswer {
    fn drop(&mut self) {
        self.send(Decision::Refuse(ReasonCode::SERVER_UNAVAILABLE));
    }
}

/// Answers which subscriptions a client may make. Dropped without an answer, it refuses all of them.
#[derive(Debug)]
pub struct SubscribeAnswer(Option<Reply>);

impl SubscribeAnswer {
    /// Gives one decision for each filter, in their order; those that are missing are refused.
    pub fn with(mut self, decisions: impl IntoIterator<Item = Decision>) {
        self.send(decisions.into_iter().collect());
    }

    fn send(&mut self, decisions: Vec<Decision>) {
        if let Some(Reply { inbox, question }) = self.0.take() {
            inbox.send(Item::MaySubscribe(question, decisions));
        }
    }
}

impl Drop for SubscribeAnswer {
    fn drop(&mut self) {
        self.send(Vec::new());
    }
}

/// The hooks as the core sees them; what an operator wants to read is logged on the way.
pub(crate) struct Policed {
    hooks: Arc<dyn Hooks>,
    /// Asked before the hooks.
    passwords: Option<Passwords>,
}

impl Policed {
    pub(crate) fn new(hooks: Arc<dyn Hooks>, passwords: Option<Passwords>) -> Self {
        Self { hooks, passwords }
    }

    /// Passes on a question that needs time.
    pub(crate) fn ask(&self, inbox: &Arc<Inbox>, id: QuestionId, question: Question) {
        let reply = Some(Reply {
            inbox: Arc::clone(inbox),
            question: id,
        });
        match question {
            Question::Connect(request) => match &self.passwords {
                Some(passwords) if Passwords::has_to_check(&request) => {
                    passwords.check(inbox, id, request);
                }
                _ => self.hooks.connect_later(request, ConnectAnswer(reply)),
            },
            Question::Subscribe {
                client_id,
                user_name,
                filters,
            } => {
                let request = SubscribeRequest {
                    client_id,
                    user_name,
                    filters,
                };
                self.hooks.subscribe_later(request, SubscribeAnswer(reply));
            }
        }
    }

    /// What follows from the check of a password: `None` when the hooks want time for their part.
    pub(crate) fn checked(
        &self,
        inbox: &Arc<Inbox>,
        id: QuestionId,
        mut request: ConnectRequest,
        finding: Finding,
    ) -> Option<Decision> {
        let decision = match finding.refusal(request.version) {
            Some(reason) => Decision::Refuse(reason),
            None => self.hooks.connect(&request),
        };
        if decision == Decision::Ask {
            let reply = Reply {
                inbox: Arc::clone(inbox),
                question: id,
            };
            self.hooks
                .connect_later(request, ConnectAnswer(Some(reply)));
            return None;
        }
        log_refusal(&request, &decision);
        wipe(&mut request);
        Some(decision)
    }
}

fn log_refusal(request: &ConnectRequest, decision: &Decision) {
    if let Decision::Refuse(reason) = decision {
        let client = &*request.client_id;
        let user = request.user_name.as_deref().unwrap_or_default();
        match request.peer.address {
            Some(address) => tracing::info!(client, user, %address, %reason, "refused"),
            None => tracing::info!(client, user, %reason, "refused"),
        }
    }
}

impl Policy for Policed {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        let passwords = self.passwords.as_ref();
        let decision = passwords
            .and_then(|passwords| passwords.at_once(request))
            .unwrap_or_else(|| self.hooks.connect(request));
        log_refusal(request, &decision);
        decision
    }

    fn subscribe(&self, client: Identity<'_>, filter: &str, qos: QoS) -> Decision {
        self.hooks.subscribe(client, filter, qos)
    }

    fn publish(&self, client: Identity<'_>, topic: &str, qos: QoS, retain: bool) -> bool {
        self.hooks.publish(client, topic, qos, retain)
    }

    fn connected(&self, client: Identity<'_>, peer: &Peer) {
        let user = client.user_name.unwrap_or_default();
        let client_id = client.client_id;
        match peer.address {
            Some(address) => tracing::info!(client = client_id, user, %address, "connected"),
            None => tracing::info!(client = client_id, user, "connected"),
        }
        self.hooks.connected(client, peer);
    }

    fn disconnected(&self, client: Identity<'_>) {
        self.hooks.disconnected(client);
    }

    fn wants_messages(&self) -> bool {
        self.hooks.wants_messages()
    }

    fn message(
        &self,
        client: Option<Identity<'_>>,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) {
        self.hooks.message(client, topic, payload, qos, retain);
    }
}
