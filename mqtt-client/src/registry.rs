//! Which filters are subscribed to, which streams get their messages, and which requests await an answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mqtt_codec::{
    PacketId, Properties, Property, ReasonCode, ReasonCodes, SubscribeFilter, SubscriptionId,
    SubscriptionOptions,
};
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use mqtt_session::{ClientSession, Instant, Misuse, Tx};
use mqtt_topic::{ParsedFilter, SubscriptionIndex, TopicName};

use crate::command::CodesWaiter;
use crate::error::SubscribeError;
use crate::message::Publication;
use crate::queue::Queue;
use crate::subscription::{Acknowledge, Hold, Item, SubscribeOptions};

/// Messages of a resumed session that came before their subscription was made again: how many are kept at most.
const UNCLAIMED: usize = 1_000;

type Pairs = Arc<[(Box<str>, Box<str>)]>;

/// A filter that is subscribed to, or about to be.
#[derive(Debug)]
struct Filter {
    text: Box<str>,
    options: SubscriptionOptions,
    user_properties: Pairs,
    streams: Vec<u64>,
    /// A SUBSCRIBE for it was sent, so that the server may have it.
    asked: bool,
    granted: bool,
}

#[derive(Debug)]
struct Stream {
    queue: Arc<Queue<Item>>,
    capacity: usize,
    acknowledge: Acknowledge,
}

/// A SUBSCRIBE or UNSUBSCRIBE of one filter.
#[derive(Debug)]
struct Request {
    kind: Kind,
    /// Which call waits for the answer, and where in its list of codes it goes.
    call: Option<(u64, usize)>,
}

#[derive(Debug)]
enum Kind {
    /// The filter with this number.
    Subscribe(u32),
    Unsubscribe(Box<str>, Pairs),
}

/// A call that waits for the answers to all its requests.
#[derive(Debug)]
struct Call {
    codes: Vec<Option<ReasonCode>>,
    /// The stream that goes when everything is refused.
    stream: Option<u64>,
    done: CodesWaiter,
}

/// All of that for one client.
#[derive(Debug)]
pub(crate) struct Registry {
    index: SubscriptionIndex<u32, ()>,
    filters: HashMap<u32, Filter>,
    numbers: HashMap<Box<str>, u32>,
    last_number: u32,
    streams: HashMap<u64, Stream>,
    calls: HashMap<u64, Call>,
    last_call: u64,
    due: VecDeque<Request>,
    awaiting: HashMap<PacketId, Request>,
    /// `None` when they are not to be kept.
    unclaimed: Option<VecDeque<Item>>,
}

impl Registry {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            index: SubscriptionIndex::with_seed(seed),
            filters: HashMap::new(),
            numbers: HashMap::new(),
            last_number: 0,
            streams: HashMap::new(),
            calls: HashMap::new(),
            last_call: 0,
            due: VecDeque::new(),
            awaiting: HashMap::new(),
            unclaimed: None,
        }
    }

    /// A new stream and its filters.
    pub(crate) fn subscribe(
        &mut self,
        stream: u64,
        queue: Arc<Queue<Item>>,
        options: SubscribeOptions,
        done: CodesWaiter,
    ) {
        let SubscribeOptions {
            filters,
            options,
            capacity,
            acknowledge,
            user_properties,
        } = options;
        let user_properties: Pairs = user_properties.into();
        let call = self.call(filters.len(), Some(stream), done);
        self.streams.insert(
            stream,
            Stream {
                queue,
                capacity,
                acknowledge,
            },
        );
        for (at, text) in filters.into_iter().enumerate() {
            let number = self.number(&text);
            let filter = self.filters.entry(number).or_insert_with(|| Filter {
                text,
                options,
                user_properties: Arc::clone(&user_properties),
                streams: Vec::new(),
                asked: false,
                granted: false,
            });
            filter.options = options;
            filter.user_properties = Arc::clone(&user_properties);
            if !filter.streams.contains(&stream) {
                filter.streams.push(stream);
            }
            self.due.push_back(Request {
                kind: Kind::Subscribe(number),
                call: Some((call, at)),
            });
        }
        self.claim(stream);
    }

    /// A stream is gone; filters that no other stream has go too, at the server if `unsubscribe` says so.
    pub(crate) fn release(&mut self, stream: u64, unsubscribe: bool, done: Option<CodesWaiter>) {
        let left = self.remove_stream(stream);
        let filters = if unsubscribe { left } else { Vec::new() };
        self.request_unsubscribe(filters, Pairs::default(), done);
    }

    /// UNSUBSCRIBE, whoever subscribed.
    pub(crate) fn unsubscribe(
        &mut self,
        filters: Vec<Box<str>>,
        user_properties: Vec<(Box<str>, Box<str>)>,
        done: CodesWaiter,
    ) {
        for text in &filters {
            if let Some(number) = self.numbers.get(text).copied() {
                self.remove_filter(number);
            }
        }
        self.request_unsubscribe(filters, user_properties.into(), Some(done));
    }

    fn request_unsubscribe(
        &mut self,
        filters: Vec<Box<str>>,
        user_properties: Pairs,
        done: Option<CodesWaiter>,
    ) {
        let call = match done {
            Some(done) if filters.is_empty() => {
                // Who asked may be gone already.
                let _ = done.send(Ok(Vec::new()));
                None
            }
            Some(done) => Some(self.call(filters.len(), None, done)),
            None => None,
        };
        for (at, text) in filters.into_iter().enumerate() {
            self.due.push_back(Request {
                kind: Kind::Unsubscribe(text, Arc::clone(&user_properties)),
                call: call.map(|call| (call, at)),
            });
        }
    }

    fn call(&mut self, codes: usize, stream: Option<u64>, done: CodesWaiter) -> u64 {
        self.last_call += 1;
        let call = Call {
            codes: vec![None; codes],
            stream,
            done,
        };
        self.calls.insert(self.last_call, call);
        self.last_call
    }

    /// The number of a filter, which is also its Subscription Identifier.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        loop {
            self.last_number = SubscriptionId::new(self.last_number + 1)
                .unwrap_or(SubscriptionId::MIN)
                .get();
            if !self.filters.contains_key(&self.last_number) {
                break;
            }
        }
        self.numbers.insert(text.into(), self.last_number);
        if let Ok(parsed) = ParsedFilter::parse(text) {
            self.index.insert(&parsed.filter, self.last_number, ());
        }
        self.last_number
    }

    fn remove_filter(&mut self, number: u32) -> Option<Box<str>> {
        let filter = self.filters.remove(&number)?;
        self.numbers.remove(&filter.text);
        if let Ok(parsed) = ParsedFilter::parse(&filter.text) {
            self.index.remove(&parsed.filter, &number);
        }
        Some(filter.text)
    }

    /// Takes a stream out; gives the filters that nobody has any more, but perhaps the server.
    fn remove_stream(&mut self, stream: u64) -> Vec<Box<str>> {
        self.streams.remove(&stream);
        let mut orphans = Vec::new();
        for (number, filter) in &mut self.filters {
            let before = filter.streams.len();
            filter.streams.retain(|other| *other != stream);
            if filter.streams.is_empty() && before > 0 {
                orphans.push(*number);
            }
        }
        orphans.sort_unstable();
        orphans
            .into_iter()
            .filter_map(|number| {
                let asked = self.filters.get(&number).is_some_and(|filter| filter.asked);
                self.remove_filter(number).filter(|_| asked)
            })
            .collect()
    }

    /// The connection is gone: what was not answered is asked again on the next one.
    pub(crate) fn lost(&mut self) {
        let mut again: Vec<_> = self.awaiting.drain().collect();
        // In the order of the packet ids, which is nearly that of sending; the order of a filter's own requests matters only where a
        // call waits, and such calls are sent one after the other.
        again.sort_unstable_by_key(|(id, _)| core::cmp::Reverse(*id));
        for (_, request) in again {
            self.due.push_front(request);
        }
    }

    /// The connection is up. Without its session every granted filter is subscribed to again. `resumes` says that messages of an
    /// earlier run may come, whose subscriptions are not yet made again.
    pub(crate) fn connected(&mut self, session_present: bool, resumes: bool) {
        if resumes {
            self.unclaimed = Some(VecDeque::new());
        }
        if session_present {
            return;
        }
        let mut granted: Vec<u32> = self
            .filters
            .iter_mut()
            .filter_map(|(number, filter)| core::mem::take(&mut filter.granted).then_some(*number))
            .collect();
        granted.sort_unstable_by_key(|number| core::cmp::Reverse(*number));
        for number in granted {
            self.due.push_front(Request {
                kind: Kind::Subscribe(number),
                call: None,
            });
        }
    }

    /// Whether no request waits to be sent or answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.awaiting.is_empty()
    }

    /// Writes the requests that are due, as far as there is room.
    pub(crate) fn send<T: Tx>(
        &mut self,
        session: &mut ClientSession<Full, Heap>,
        tx: &mut T,
        now: Instant,
    ) {
        while session.is_connected() {
            let Some(request) = self.due.front() else {
                return;
            };
            let sent = match &request.kind {
                Kind::Subscribe(number) => {
                    let Some(filter) = self.filters.get(number) else {
                        // Released meanwhile.
                        self.due.pop_front();
                        continue;
                    };
                    let id = SubscriptionId::new(*number)
                        .filter(|_| session.subscription_ids_available());
                    let mut properties: Vec<_> = id
                        .map(Property::SubscriptionIdentifier)
                        .into_iter()
                        .collect();
                    properties.extend(user_properties(&filter.user_properties));
                    let entry = SubscribeFilter {
                        filter: &filter.text,
                        options: filter.options,
                    };
                    session.subscribe(&[entry], Properties::List(&properties), tx, now)
                }
                Kind::Unsubscribe(text, pairs) => {
                    let properties: Vec<_> = user_properties(pairs).collect();
                    session.unsubscribe(&[text], Properties::List(&properties), tx, now)
                }
            };
            match sent {
                Ok(id) => {
                    if let Some(request) = self.due.pop_front() {
                        if let Kind::Subscribe(number) = request.kind
                            && let Some(filter) = self.filters.get_mut(&number)
                        {
                            filter.asked = true;
                        }
                        self.awaiting.insert(id, request);
                    }
                }
                Err(Misuse::Full | Misuse::Exhausted | Misuse::NotNow) => return,
                Err(misuse) => {
                    if let Some(request) = self.due.pop_front() {
                        self.impossible(request, misuse);
                    }
                }
            }
        }
    }

    /// A request cannot be sent at all: the whole call fails.
    fn impossible(&mut self, request: Request, misuse: Misuse) {
        let Some((call, _)) = request.call else {
            return;
        };
        if let Some(call) = self.calls.remove(&call) {
            if let Some(stream) = call.stream {
                // Filters of the call that were granted meanwhile are given back.
                self.release(stream, true, None);
            }
            let _ = call.done.send(Err(SubscribeError::NotPossible(misuse)));
        }
    }

    /// SUBACK or UNSUBACK came. Gives the filter and the reason when a subscription that was granted before was refused this time.
    pub(crate) fn answered(
        &mut self,
        id: PacketId,
        codes: ReasonCodes<'_>,
    ) -> Option<(Box<str>, ReasonCode)> {
        let request = self.awaiting.remove(&id)?;
        // Before 5.0 UNSUBACK has no codes.
        let code = codes.iter().next().unwrap_or(ReasonCode::SUCCESS);
        let mut lost = None;
        if let Kind::Subscribe(number) = request.kind
            && let Some(filter) = self.filters.get_mut(&number)
        {
            filter.granted = !code.is_error();
            if code.is_error() {
                let text = self.remove_filter(number);
                if request.call.is_none() {
                    lost = text.map(|text| (text, code));
                }
            }
        }
        if let Some((number, at)) = request.call
            && let Some(call) = self.calls.get_mut(&number)
        {
            if let Some(slot) = call.codes.get_mut(at) {
                *slot = Some(code);
            }
            if call.codes.iter().all(Option::is_some) {
                self.finish(number);
            }
        }
        lost
    }

    fn finish(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let codes: Vec<_> = call.codes.into_iter().flatten().collect();
        let result = match call.stream {
            Some(stream) if codes.iter().all(|code| code.is_error()) => {
                self.remove_stream(stream);
                Err(SubscribeError::Refused(codes))
            }
            _ => Ok(codes),
        };
        // Who asked may be gone; then its stream was released too.
        let _ = call.done.send(result);
    }

    /// Hands a message to its streams. `hold` is made when one of them acknowledges late, and dropped by the last that took it.
    pub(crate) fn dispatch(
        &mut self,
        name: &TopicName<'_>,
        publication: Publication,
        window: usize,
        mut hold: impl FnMut() -> Option<Arc<Hold>>,
    ) {
        let targets = self.targets(name, &publication);
        if targets.is_empty() {
            if let Some(unclaimed) = &mut self.unclaimed {
                // They are acknowledged when they are claimed, or go; half of the window is left to the others.
                if unclaimed.len() >= UNCLAIMED.min(window / 2).max(1) {
                    let lost = unclaimed.pop_front();
                    let topic = lost.as_ref().map(|lost| lost.publication.topic());
                    tracing::warn!(
                        topic,
                        "a message of the kept session came before its subscription and gave way to newer ones"
                    );
                }
                unclaimed.push_back(Item {
                    publication,
                    hold: hold(),
                });
            } else {
                tracing::debug!(topic = name.as_str(), "a message that nobody subscribed to");
            }
            return;
        }
        let mut held = None;
        for target in targets {
            let Some(stream) = self.streams.get(&target) else {
                continue;
            };
            let late = match stream.acknowledge {
                Acknowledge::OnArrival => None,
                Acknowledge::WhenTaken => {
                    held = held.take().or_else(&mut hold);
                    held.clone()
                }
            };
            stream.push(publication.clone(), late, window);
        }
    }

    /// The streams of a message: by its subscription identifiers where it has some that are ours, else by its topic.
    fn targets(&self, name: &TopicName<'_>, publication: &Publication) -> Vec<u64> {
        let mut targets = Vec::new();
        let mut add = |filter: &Filter| {
            for stream in &filter.streams {
                if !targets.contains(stream) {
                    targets.push(*stream);
                }
            }
        };
        let mut identified = false;
        for id in publication.properties().subscription_identifiers() {
            // An identifier may stem from an earlier run of the program, so the filter is looked at too.
            if let Some(filter) = self.filters.get(&id.get())
                && matches(&filter.text, name)
            {
                add(filter);
                identified = true;
            }
        }
        if !identified {
            self.index.visit(name, |number, ()| {
                if let Some(filter) = self.filters.get(number) {
                    add(filter);
                }
            });
        }
        targets
    }

    /// Gives a new stream what came for it before it was there.
    fn claim(&mut self, stream: u64) {
        let Some(unclaimed) = self.unclaimed.take() else {
            return;
        };
        let mut rest = VecDeque::new();
        for item in unclaimed {
            let publication = &item.publication;
            let ours = TopicName::new(publication.topic())
                .is_ok_and(|name| self.targets(&name, publication).contains(&stream));
            match self.streams.get(&stream) {
                Some(stream) if ours => {
                    let late = stream.acknowledge == Acknowledge::WhenTaken;
                    let hold = item.hold.filter(|_| late);
                    stream.push(item.publication, hold, UNCLAIMED);
                }
                _ => rest.push_back(item),
            }
        }
        self.unclaimed = Some(rest);
    }

    /// The client ends: all streams end, and who waits is told.
    pub(crate) fn close(&mut self) {
        for stream in self.streams.values() {
            stream.queue.close();
        }
        for (_, call) in self.calls.drain() {
            let _ = call.done.send(Err(SubscribeError::Closed));
        }
    }
}

impl Stream {
    fn push(&self, publication: Publication, hold: Option<Arc<Hold>>, window: usize) {
        let late = self.acknowledge == Acknowledge::WhenTaken;
        let capacity = if !late {
            self.capacity
        } else if hold.is_some() {
            // As many as the server may leave unacknowledged come on top; more only after reconnects, and those are repetitions.
            self.capacity.saturating_add(window)
        } else if self.queue.len() >= self.capacity.max(1) {
            self.queue.miss();
            return;
        } else {
            usize::MAX
        };
        let item = Item { publication, hold };
        if self.queue.push(item, capacity) {
            tracing::debug!("a stream is not read fast enough: its oldest message was dropped");
        }
    }
}

fn matches(filter: &str, name: &TopicName<'_>) -> bool {
    ParsedFilter::parse(filter).is_ok_and(|parsed| parsed.filter.matches(name))
}

fn user_properties(pairs: &Pairs) -> impl Iterator<Item = Property<'_>> {
    pairs
        .iter()
        .map(|(name, value)| Property::UserProperty(name, value))
}
