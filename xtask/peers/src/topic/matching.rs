//! Matching among many subscriptions: names drawn from all, hot names, through the cache, and while others subscribe.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mqtt_topic::CacheLimits;

use super::BYTES;
use super::index::{Cache, Found, Index, Ours, SEED};
use super::peers::{Engine, Quill, Rmqtt};
use super::reference::{Edges, OneMap};
use super::shape::{self, Numbers, fleet};
use crate::harness::{Against, Bar, Filter, Limit, Op, Row, What, held_bytes};

const SUBSCRIPTIONS: usize = 1_000_000;
/// So many names that an index meets one again only after its memory has left the cache.
const NAMES: usize = 400_000;
/// Passes over the hot names that are timed, after one that is not.
const PASSES: u32 = 8;

pub(super) const UNIFORM: &str = "names drawn from all";
pub(super) const HOT: &str = "300 hot names";
pub(super) const CACHED: &str = "300 hot names, ours through a worker's cache";
const CHURN: &str = "the same, 1,000 changes a second";
pub(super) const CHANGES: &str = "subscribe and unsubscribe, each";
const FLEET: &str = "match names of a fleet";
/// The same without changes.
pub(super) const QUIET: &str = "no changes";

const NO_ALLOCATION: &str = "a match allocates nothing";

type Shared<I> = Rc<RefCell<I>>;

/// An index of so many subscribers, and the bytes that it holds for each.
pub(super) fn build<I: Index>(filters: &[String]) -> (I, f64) {
    let before = held_bytes();
    let mut index = I::default();
    for (who, filter) in filters.iter().enumerate() {
        index.subscribe(shape::without_group(filter), who as u32);
    }
    let bytes = (held_bytes() - before) as f64 / filters.len() as f64;
    (index, bytes)
}

/// One name after the other, over and over.
pub(super) fn walk_names<I: Index>(index: &Shared<I>, names: &Rc<[String]>) -> Op {
    let (index, names) = (Rc::clone(index), Rc::clone(names));
    let mut at = 0;
    Op::new(1, move |n| {
        let index = index.borrow();
        for _ in 0..n {
            at = if at + 1 < names.len() { at + 1 } else { 0 };
            black_box(index.find(black_box(&names[at])));
        }
    })
}

/// All names again and again: what is timed begins with the second time.
fn hot_names(names: &Rc<[String]>, mut find: impl FnMut(&str) -> Found + 'static) -> Op {
    let names = Rc::clone(names);
    let units = PASSES * names.len() as u32;
    Op::watched(units, move |watch| {
        let mut pass = || {
            for name in &*names {
                black_box(find(black_box(name)));
            }
        };
        pass();
        watch.time(|| (0..PASSES).for_each(|_| pass()));
    })
}

/// A thousand subscriptions more, and away again.
fn changes<I: Index>(index: &Shared<I>) -> Op {
    let index = Rc::clone(index);
    let mut numbers = Numbers::new(99);
    let filters: Vec<String> = (0..1_000).map(|_| shape::filter(&mut numbers)).collect();
    let mut tokens = Vec::with_capacity(filters.len());
    Op::new(2 * filters.len() as u32, move |n| {
        let mut index = index.borrow_mut();
        for _ in 0..n {
            for (who, filter) in filters.iter().enumerate() {
                let who = (SUBSCRIPTIONS + who) as u32;
                tokens.push((who, index.subscribe(filter, who)));
            }
            for (filter, (who, token)) in filters.iter().zip(tokens.drain(..)) {
                index.unsubscribe(filter, who, token);
            }
        }
    })
}

/// The rows of the million.
struct Rows {
    uniform: Row,
    hot: Row,
    cached: Row,
    changes: Row,
}

impl Rows {
    fn add<I: Index>(&mut self, filters: &[String], names: [&Rc<[String]>; 2]) -> Shared<I> {
        let (index, bytes) = build::<I>(filters);
        let index = Rc::new(RefCell::new(index));
        let find = Rc::clone(&index);
        let hot = hot_names(names[1], move |name| find.borrow().find(name));
        self.uniform
            .push(I::NAME, Some(walk_names(&index, names[0])));
        self.hot.push(I::NAME, Some(hot));
        self.changes.push(I::NAME, Some(changes(&index)));
        let row = std::mem::replace(&mut self.uniform, Row::new(""));
        self.uniform = row.extra(I::NAME, BYTES, bytes);
        index
    }

    /// A peer has no cache: its time of hot names is what ours is held against.
    fn add_peer<I: Index>(&mut self, filters: &[String], names: [&Rc<[String]>; 2]) {
        let index = self.add::<I>(filters, names);
        let hot = hot_names(names[1], move |name| index.borrow().find(name));
        self.cached.push(I::NAME, Some(hot));
    }
}

pub(super) fn rows(only: &Filter) -> Vec<Row> {
    if ![UNIFORM, HOT, CACHED, CHURN, CHANGES]
        .iter()
        .any(|row| only.wants(row))
    {
        return Vec::new();
    }
    let filters = shape::filters(SUBSCRIPTIONS);
    let uniform: Rc<[String]> = shape::uniform_names(NAMES).into();
    let hot: Rc<[String]> = shape::hot_names().into();
    let names = [&uniform, &hot];
    let none = || Bar::new(NO_ALLOCATION, What::Allocations("ours"), Limit::AtMost(0.0));
    let faster = |claim, limit| {
        Bar::new(
            claim,
            What::Ratio("ours", Against::FastestPeer),
            Limit::AtMost(limit),
        )
    };
    let mut rows = Rows {
        uniform: Row::new(UNIFORM)
            .bar(faster(
                "names drawn from all: at most 0.65 of the fastest peer's time",
                0.65,
            ))
            .bar(none()),
        hot: Row::new(HOT)
            .bar(faster(
                "hot names: at most half of the fastest peer's time",
                0.5,
            ))
            .bar(none()),
        cached: Row::new(CACHED)
            .bar(faster(
                "hot names through the cache: at most 0.15 of the fastest peer's time",
                0.15,
            ))
            .bar(none()),
        changes: Row::new(CHANGES),
    };
    let ours = rows.add::<Ours>(&filters, names);
    rows.cached.push("ours", Some(through_cache(&ours, &hot)));
    rows.add_peer::<Quill>(&filters, names);
    rows.add_peer::<Engine>(&filters, names);
    rows.add_peer::<Rmqtt>(&filters, names);
    rows.add::<Edges>(&filters, names);
    rows.add::<OneMap>(&filters, names);
    let churn = Row::new(CHURN)
        .with(
            "ours",
            under_changes(&ours, &hot, Some(Duration::from_millis(1))),
        )
        .with(QUIET, under_changes(&ours, &hot, None))
        .bar(Bar::new(
            "1,000 changes a second: at least 0.8 of the quiet rate",
            What::Ratio("ours", Against::Contender(QUIET)),
            Limit::AtMost(1.0 / 0.8),
        ));
    vec![rows.uniform, rows.hot, rows.cached, churn, rows.changes]
}

fn cache() -> Cache {
    Cache::with_seed(SEED, CacheLimits::default())
}

fn through_cache(index: &Shared<Ours>, names: &Rc<[String]>) -> Op {
    let (index, mut cache) = (Rc::clone(index), cache());
    hot_names(names, move |name| {
        index.borrow().find_through(&mut cache, name)
    })
}

/// Hot names through the cache, 20 ms at a time, in which someone subscribes or unsubscribes whenever it is due.
///
/// The changes are of all kinds of filters. The clock is looked at with or without them.
fn under_changes(index: &Shared<Ours>, names: &Rc<[String]>, every: Option<Duration>) -> Op {
    /// About 20 ms.
    const MATCHES: usize = 400_000;
    /// Matches between two looks at the clock.
    const STRIDE: usize = 100;
    let (index, names, mut cache) = (Rc::clone(index), Rc::clone(names), cache());
    let mut numbers = Numbers::new(5);
    let mut subscribed: Option<String> = None;
    Op::watched(MATCHES as u32, move |watch| {
        watch.time(|| {
            let start = Instant::now();
            let mut changes = 0;
            for turn in 0..MATCHES / STRIDE {
                for step in 0..STRIDE {
                    let name = &names[(turn * STRIDE + step) % names.len()];
                    black_box(index.borrow().find_through(&mut cache, black_box(name)));
                }
                let elapsed = start.elapsed();
                let Some(every) = every else { continue };
                while every * (changes + 1) <= elapsed {
                    let who = (2 * SUBSCRIPTIONS) as u32;
                    let mut index = index.borrow_mut();
                    match subscribed.take() {
                        Some(filter) => index.unsubscribe(&filter, who, ()),
                        None => {
                            let filter = shape::filter(&mut numbers);
                            index.subscribe(&filter, who);
                            subscribed = Some(filter);
                        }
                    }
                    changes += 1;
                }
            }
        });
    })
}

/// Device trees of four to six levels, a million subscriptions.
pub(super) fn fleet_rows(only: &Filter) -> Vec<Row> {
    const SUBSCRIPTIONS: usize = 1_000_000;
    if !only.wants(FLEET) {
        return Vec::new();
    }
    let mut numbers = Numbers::new(11);
    let filters: Vec<String> = (0..SUBSCRIPTIONS)
        .map(|_| fleet::filter(&mut numbers))
        .collect();
    let names: Rc<[String]> = (0..NAMES).map(|_| fleet::name(&mut numbers)).collect();
    let row = Row::new(FLEET).bar(Bar::new(
        NO_ALLOCATION,
        What::Allocations("ours"),
        Limit::AtMost(0.0),
    ));
    let row = with_index::<Ours>(row, &filters, &names);
    let row = with_index::<Quill>(row, &filters, &names);
    let row = with_index::<Engine>(row, &filters, &names);
    vec![with_index::<Rmqtt>(row, &filters, &names)]
}

/// A cell for an index of these filters.
pub(super) fn with_index<I: Index>(row: Row, filters: &[String], names: &Rc<[String]>) -> Row {
    let (index, bytes) = build::<I>(filters);
    let index = Rc::new(RefCell::new(index));
    row.with(I::NAME, walk_names(&index, names))
        .extra(I::NAME, BYTES, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each index finds who subscribed to what matches, as the plainest matcher says; so does ours through the cache,
    /// while subscriptions come and go.
    fn agrees<I: Index>(
        mut numbers: Numbers,
        filter: fn(&mut Numbers) -> String,
        name: fn(&mut Numbers) -> String,
    ) {
        let filters: Vec<String> = (0..3_000).map(|_| filter(&mut numbers)).collect();
        let names: Vec<String> = (0..200).map(|_| name(&mut numbers)).collect();
        let mut index = I::default();
        let mut tokens = Vec::new();
        for (who, filter) in filters.iter().enumerate() {
            tokens.push(Some(
                index.subscribe(shape::without_group(filter), who as u32),
            ));
        }
        for step in 0..2 {
            let mut matches = 0;
            for name in &names {
                let mut expected = Found::default();
                for (who, filter) in filters.iter().enumerate() {
                    if tokens[who].is_some() && shape::naive(shape::without_group(filter), name) {
                        expected.add(who as u32);
                    }
                }
                assert_eq!(
                    index.find(name),
                    expected,
                    "{}: {name}, step {step}",
                    I::NAME
                );
                matches += expected.count;
            }
            assert!(matches > 0, "names without matches show nothing");
            for (who, filter) in filters.iter().enumerate().filter(|(who, _)| who % 2 == 0) {
                if let Some(token) = tokens[who].take() {
                    index.unsubscribe(shape::without_group(filter), who as u32, token);
                }
            }
        }
    }

    fn agrees_everywhere<I: Index>() {
        agrees::<I>(Numbers::new(1), shape::filter, shape::name);
        agrees::<I>(Numbers::new(2), fleet::filter, fleet::name);
        // Few topics, so that filters and names meet often.
        agrees::<I>(
            Numbers::new(3),
            |numbers| {
                [
                    "a", "b", "a/b", "+/b", "a/+", "a/+/c", "+/+/c", "a/#", "+/b/#", "a/b/c", "b/#",
                ][numbers.below(11)]
                .to_owned()
            },
            |numbers| {
                ["a/b", "a/b/c", "b/a", "a/c/c", "b/b/c", "a", "b"][numbers.below(7)].to_owned()
            },
        );
    }

    #[test]
    fn ours_agrees() {
        agrees_everywhere::<Ours>();
    }

    #[test]
    fn quill_agrees() {
        agrees_everywhere::<Quill>();
    }

    #[test]
    fn engine_agrees() {
        agrees_everywhere::<Engine>();
    }

    #[test]
    fn rmqtt_agrees() {
        agrees_everywhere::<Rmqtt>();
    }

    #[test]
    fn edges_agree() {
        agrees_everywhere::<Edges>();
    }

    #[test]
    fn a_cache_finds_the_same_while_subscriptions_change() {
        let mut numbers = Numbers::new(8);
        let mut ours = Ours::default();
        let mut cache = cache();
        let names: Vec<String> = (0..50).map(|_| fleet::name(&mut numbers)).collect();
        for who in 0..5_000 {
            ours.subscribe(shape::without_group(&fleet::filter(&mut numbers)), who);
            let name = &names[numbers.below(names.len())];
            assert_eq!(ours.find_through(&mut cache, name), ours.find(name));
        }
    }
}
