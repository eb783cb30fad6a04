//! What has happened so far in a trace: enough to say what the specification asks for next. A small opinion beside the two brokers.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_codec::{QoS, ReasonCode, SubscriptionOptions, Version};

use crate::trace::{After, Hello, Manner, Message, SOON_S, Step, Trace, short};
use crate::view::{Answer, Event, Got, View};

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// As the last SUBSCRIBE said.
    pub(crate) options: SubscriptionOptions,
    /// Its identifier.
    pub(crate) id: Option<u32>,
    /// As the SUBSCRIBE said that made it.
    pub(crate) first: SubscriptionOptions,
}

/// Subscriptions of a session by filter.
pub(crate) type Subscriptions = BTreeMap<String, Subscription>;

/// A will whose delay has begun.
#[derive(Clone, Debug)]
pub(crate) struct Delayed {
    topic: String,
    payload: String,
    /// Seconds of the delay and of the session.
    delay: u32,
    expiry: u32,
}

/// What is known of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Its last CONNECT.
    pub(crate) hello: Option<Hello>,
    /// Whether it is connected.
    pub(crate) connected: bool,
    /// Whether its subscriptions may have ended without our knowing.
    pub(crate) doubtful: bool,
    /// Its manner of answering at this time.
    pub(crate) manner: Option<Manner>,
    /// Its will with a delay that waits while it is away.
    pub(crate) delayed: Option<Delayed>,
    /// What its session is subscribed to.
    pub(crate) subscriptions: Subscriptions,
}

impl Known {
    /// Whether its last connection is, or was, one of 5.0.
    pub(crate) fn is_v5(&self) -> bool {
        let version = self.hello.as_ref().map(|hello| hello.version);
        version == Some(Version::V5)
    }

    /// Whether messages may wait for its acknowledgements.
    pub(crate) fn is_slow(&self) -> bool {
        let limited = |hello: &Hello| hello.receive_maximum.is_some();
        self.manner != Some(Manner::AtOnce) || self.hello.as_ref().is_some_and(limited)
    }

    /// Its subscriptions that are not shared and match `topic`.
    pub(crate) fn matching(
        &self,
        topic: &str,
    ) -> impl Iterator<Item = (&String, &Subscription)> + Clone {
        self.subscriptions
            .iter()
            .filter(move |(filter, _)| matches(filter, topic))
    }

    /// Its shared subscriptions whose filter matches `topic`.
    pub(crate) fn shared(
        &self,
        topic: &str,
    ) -> impl Iterator<Item = (&String, &Subscription)> + Clone {
        self.subscriptions
            .iter()
            .filter(move |(filter, _)| shared_filter(filter).is_some_and(|f| matches(f, topic)))
    }
}

/// What is known of all clients.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// By client.
    pub(crate) clients: Vec<Known>,
    /// The messages of the trace with their publishers.
    messages: Vec<(usize, Message)>,
    /// Wills that were due before their delay was over, since the session had ended: topic and payload.
    pub(crate) early: BTreeSet<(String, String)>,
    /// Wills of connections that were taken over.
    pub(crate) wills_at_takeover: Vec<Message>,
    /// Whether a message was published that is too large for some.
    pub(crate) large: bool,
    /// Whether time has passed.
    pub(crate) waited: bool,
    /// QoS 2 messages that were a while between PUBLISH and PUBREL.
    pub(crate) pending: Vec<Message>,
}

impl Past {
    /// Before the first step.
    pub(crate) fn new(trace: &Trace) -> Self {
        let messages = trace.steps.iter().filter_map(|step| match step {
            Step::Publish(client, message, _) => Some((*client, message)),
            Step::Connect(client, hello) => Some((*client, &hello.will.as_ref()?.0)),
            _ => None,
        });
        Self {
            clients: vec![Known::default(); trace.clients],
            messages: messages
                .map(|(client, message)| (client, message.clone()))
                .collect(),
            early: BTreeSet::new(),
            wills_at_takeover: Vec::new(),
            large: false,
            waited: false,
            pending: Vec::new(),
        }
    }

    /// The message that a client got, with its publisher; several if it has no payload to tell them apart.
    pub(crate) fn messages<'a>(&'a self, got: &Got) -> impl Iterator<Item = &'a (usize, Message)> {
        self.messages.iter().filter(move |(_, message)| {
            message.topic == got.topic && short(&message.payload) == got.payload
        })
    }

    /// The messages that have a short life, as a PUBREL names them.
    pub(crate) fn short_lived(&self) -> BTreeSet<String> {
        let soon = |(_, message): &&(usize, Message)| message.expiry == Some(SOON_S);
        self.messages
            .iter()
            .filter(soon)
            .map(|(_, message)| format!("{} {}", message.topic, short(&message.payload)))
            .collect()
    }

    /// The delayed will of a client whose connection ends by this step.
    fn begins(&self, step: &Step) -> Option<Delayed> {
        let (client, changed) = match step {
            Step::Cut(client)
            | Step::Publish(client, _, After::Lose)
            | Step::Connect(client, _) => (*client, None),
            Step::Disconnect(client, ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, changed) => {
                (*client, *changed)
            }
            _ => return None,
        };
        let known = &self.clients[client];
        let hello = known.hello.as_ref().filter(|_| known.connected)?;
        let (will, delay) = hello.will.as_ref()?;
        let expiry = hello.expiry.unwrap_or(0);
        Some(Delayed {
            topic: will.topic.clone(),
            payload: short(&will.payload).to_owned(),
            delay: (*delay)?,
            expiry: changed.filter(|_| expiry > 0).unwrap_or(expiry),
        })
    }

    /// Delayed wills that are due by this step, since it ends the session [MQTT-3.1.3-9].
    pub(crate) fn early_wills(&self, step: &Step) -> Vec<(String, String)> {
        let mut early = Vec::new();
        let begins = self.begins(step);
        early.extend(begins.iter().filter(|will| will.expiry == 0).cloned());
        match step {
            Step::Connect(client, hello) if hello.clean => {
                early.extend(self.clients[*client].delayed.clone());
                early.extend(begins);
            }
            Step::Wait => {
                let delayed = self
                    .clients
                    .iter()
                    .filter_map(|known| known.delayed.clone());
                early.extend(delayed.filter(|will| will.expiry < will.delay));
            }
            _ => {}
        }
        early
            .into_iter()
            .map(|will| (will.topic, will.payload))
            .collect()
    }

    /// Adds a step and what our clients saw of it.
    pub(crate) fn add(&mut self, step: &Step, view: &View) {
        let message = match step {
            Step::Publish(_, message, _) => Some(message),
            Step::Connect(_, hello) => hello.will.as_ref().map(|(will, _)| will),
            _ => None,
        };
        self.large |= message.is_some_and(|message| message.payload != short(&message.payload));
        if let Step::Connect(client, _) = step
            && let known = &self.clients[*client]
            && known.connected
            && let Some((will, _)) = known.hello.as_ref().and_then(|hello| hello.will.clone())
        {
            self.wills_at_takeover.push(will);
        }
        let early = self.early_wills(step);
        self.early.extend(early);
        if let Some(client) = step.client()
            && let begins = self.begins(step)
            && (begins.is_some() || matches!(step, Step::Connect(..)))
        {
            let begun = begins.filter(|will| will.expiry > 0 && !matches!(step, Step::Connect(..)));
            self.clients[client].delayed = begun;
        }
        for (known, seen) in self.clients.iter_mut().zip(view) {
            if seen.contains(&Event::Closed) {
                known.connected = false;
            }
        }
        let Some(client) = step.client() else {
            self.waited = true;
            return;
        };
        if let Step::Publish(_, message, After::Hold | After::Lose) = step
            && message.qos == QoS::ExactlyOnce
        {
            self.pending.push(message.clone());
        }
        let (known, seen) = (&mut self.clients[client], &view[client]);
        match step {
            Step::Connect(_, hello) => {
                let accepted = |event: &Event| match *event {
                    Event::ConnAck(present, 0) => Some(present),
                    _ => None,
                };
                let Some(present) = seen.iter().find_map(accepted) else {
                    return;
                };
                // MQTT 3.1 does not tell.
                let ended = known
                    .hello
                    .as_ref()
                    .is_none_or(|before| match before.version {
                        Version::V5 => before.expiry.is_none(),
                        _ => before.clean,
                    });
                if !present && (hello.clean || hello.version != Version::V31 || ended) {
                    known.subscriptions.clear();
                }
                known.doubtful = !present && !known.subscriptions.is_empty();
                known.hello = Some(hello.clone());
                known.manner = Some(hello.manner);
                known.connected = !seen.contains(&Event::Closed);
            }
            Step::Subscribe(_, filters, id) if known.connected => {
                let codes = seen.iter().find_map(|event| match event {
                    Event::Answer(Answer::SubAck, _, codes) => Some(codes),
                    _ => None,
                });
                for ((filter, options), code) in filters.iter().zip(codes.into_iter().flatten()) {
                    if *code < 0x80 {
                        let mut options = *options;
                        if !known.is_v5() {
                            options = SubscriptionOptions::new(options.qos);
                        }
                        let id = id.filter(|_| known.is_v5());
                        let old = known.subscriptions.get(filter);
                        let first = old.map_or(options, |old| old.first);
                        let subscription = Subscription { options, id, first };
                        known.subscriptions.insert(filter.clone(), subscription);
                    }
                }
            }
            Step::Unsubscribe(_, filters) if known.connected => {
                for filter in filters {
                    known.subscriptions.remove(filter);
                }
            }
            Step::Answer(_, manner) if known.connected => known.manner = Some(*manner),
            Step::Publish(_, _, After::Lose) | Step::Cut(_) | Step::Disconnect(..) => {
                known.connected = false;
            }
            _ => {}
        }
    }
}

/// The filter of a shared subscription.
pub(crate) fn shared_filter(filter: &str) -> Option<&str> {
    let (_, filter) = filter.strip_prefix("$share/")?.split_once('/')?;
    Some(filter)
}

/// Whether a filter matches a topic, level by level. Traces have no topics that begin with `$`.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}
