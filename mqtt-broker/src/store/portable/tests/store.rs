//! Items into a store and out of it.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_session::{Commit, Instant};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::items::{fitting, item};
use super::text;
use crate::core::{
    Bodies, Image, Kept, Malformed, Message as Shared, Record, Store, Terms, Unreadable,
};

/// A store that takes records as a restart would, and keeps messages by number.
#[derive(Debug, Default)]
struct Taking {
    image: Image,
    messages: HashMap<u64, Arc<Shared>>,
    uses: HashMap<u64, u32>,
    failed: Option<Malformed>,
    number: u64,
    body: u64,
}

impl Store for Taking {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        self.number += 1;
        let mut body = self.number;
        let kept = record.map(|message| {
            match message.body() {
                Some(known) => body = known.0,
                None => message.note_body(Commit(body)),
            }
            self.messages.insert(body, Arc::clone(message));
            Kept {
                body: Commit(body),
                topic: Some(message.topic()),
            }
        });
        let taken = self.image.take(&kept, Commit(self.number));
        self.failed = self.failed.or_else(|| taken.err());
        self.body = body;
        for body in self.image.uses.begun.drain(..) {
            *self.uses.entry(body).or_default() += 1;
        }
        for body in self.image.uses.ended.drain(..) {
            *self.uses.entry(body).or_default() -= 1;
        }
        Commit(self.number)
    }

    fn latest(&self) -> Commit {
        Commit(self.number)
    }

    fn commit(&mut self) {}

    fn committed(&self) -> Commit {
        Commit(self.number)
    }

    fn body(&self) -> Commit {
        Commit(self.body)
    }
}

struct Messages<'a>(&'a HashMap<u64, Arc<Shared>>);

impl Bodies for Messages<'_> {
    fn terms(&self, _body: Commit) -> Option<Terms> {
        None
    }

    fn message(&mut self, body: Commit) -> Result<Arc<Shared>, Unreadable> {
        self.0.get(&body.0).cloned().ok_or_else(|| Unreadable {
            body,
            why: "it is not there".into(),
        })
    }
}

/// Clocks by which every time of an item has an instant.
fn clocks() -> Clocks {
    Clocks {
        wall: Time::from_seconds(1_796_051_001),
        store: Instant::from_millis(1_796_051_001_000),
    }
}

/// The items of the store that these make.
fn through_a_store(items: &[Item]) -> Vec<Item> {
    let mut recorder = Recorder::new(Taking::default(), clocks());
    for item in items {
        recorder.item(item).expect("it fits");
    }
    let (store, _) = recorder.finish();
    assert_eq!(store.failed, None);
    let mut found = Vec::new();
    let source = Source {
        image: &store.image,
        bodies: &mut Messages(&store.messages),
        uses: &|body| store.uses.get(&body.0).copied().unwrap_or(0),
        clocks: clocks(),
    };
    let lost = walk(source, &mut |item| {
        found.push(item);
        Ok(())
    });
    assert!(lost.expect("memory takes it").is_empty());
    found
}

/// What the items say, whatever order they stand in and however they refer to messages: a line for each, sorted, but for the order of what
/// waits for one receiver.
fn said(items: &[Item]) -> Vec<String> {
    let mut messages = HashMap::new();
    let mut lines = Vec::new();
    let handshakes = |client: &str| {
        items.iter().any(|item| match item {
            Item::Handshake(item) => item.client_id == client,
            Item::Queued(item) => {
                item.sent.is_some() && item.receiver == Receiver::Client(client.to_owned())
            }
            _ => false,
        })
    };
    for (at, item) in items.iter().enumerate() {
        let mut item = item.clone();
        let mut place = (item.key(), String::new(), false, 0);
        match &mut item {
            // Whoever shakes hands knows of his session.
            Item::Session(session) => session.used |= handshakes(&session.client_id),
            Item::Subscription(item) => {
                if let Some(topics) = &mut item.retained_sent {
                    topics.sort();
                    topics.dedup();
                }
            }
            Item::Retained(Retained { message }) | Item::Queued(Queued { message, .. }) => {
                match message {
                    MessageRef::Whole(whole) => {
                        if let Some(id) = whole.id.take() {
                            messages.insert(id, whole.clone());
                        }
                    }
                    MessageRef::Again(id) => *message = MessageRef::Whole(messages[id].clone()),
                }
            }
            Item::Will(_) | Item::Handshake(_) => {}
        }
        if let Item::Queued(item) = &item {
            place = (place.0, item.receiver.to_string(), item.sent.is_none(), at);
        }
        if let Item::Handshake(item) = &item {
            let received = item.state == HandshakeState::Received;
            place = (place.0, item.client_id.clone(), !received, at);
        }
        lines.push((place, serde_json::to_string(&item).unwrap()));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() })]

    /// Items make a store that holds what they say, and what it gives makes the same store again.
    #[test]
    fn items_survive_a_store(items in vec(item(), 0..40)) {
        let items = fitting(items);
        let found = through_a_store(&items);
        prop_assert_eq!(said(&found), said(&items));
        let mut sequence = Sequence::new();
        for item in &found {
            prop_assert_eq!(sequence.check(item), Ok(()));
        }
        prop_assert_eq!(text(&through_a_store(&found)), text(&found));
    }
}

/// The two clocks of a store give each other's times, as far as both have them.
#[test]
fn clocks_agree() {
    let now = Clocks {
        wall: Time::from_millis(1_000_000),
        store: Instant::from_millis(400),
    };
    for millis in [999_600, 999_999, 1_000_000, 1_000_001, 5_000_000] {
        let time = Time::from_millis(millis);
        assert_eq!(now.time(now.instant(time)), time);
    }
    let before = now.instant(Time::from_millis(7));
    assert_eq!(before, Instant::from_millis(0), "over since long ago");
}
