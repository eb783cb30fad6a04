//! Retained names: memory, and filters that match few or many of a million.

use std::hint::black_box;
use std::rc::Rc;

use mqtt_topic::{RetainedIndex, RetainedWalk, TopicName};

use super::index::{SEED, valid};
use super::shape;
use super::{BYTES, NODES};
use crate::harness::{Against, Bar, Filter, Limit, Op, Row, What, held_bytes};

const NAMES: usize = 1_000_000;
const EACH: &str = "bytes a name, besides name and value";
const GET: &str = "find one by its name";
/// How many matches `site/+/temp` has, by row.
const SITES: [(usize, &str); 4] = [
    (10, "`site/+/temp`, 10 sites, each"),
    (100, "`site/+/temp`, 100 sites, each"),
    (1_000, "`site/+/temp`, 1,000 sites, each"),
    (10_000, "`site/+/temp`, 10,000 sites, each"),
];

/// A value as a broker's: one pointer's size.
type Retained = RetainedIndex<u64>;

fn store(index: &mut Retained, name: &str, value: usize) -> bool {
    let name = TopicName::new(name).expect("a valid name");
    index.insert(&name, value as u64).is_none()
}

/// A million names in an index, and the bytes that it holds for each beside the text of the name and the value.
fn million() -> (Retained, f64) {
    let names: Vec<String> = (0..NAMES)
        .map(|n| {
            let (site, line, device, metric) = (n / 50_000, n / 2_500 % 20, n / 50 % 50, n % 50);
            format!("site{site}/line{line}/device{device}/metric{metric}")
        })
        .collect();
    let before = held_bytes();
    let mut index = Retained::with_seed(SEED);
    for (value, name) in names.iter().enumerate() {
        assert!(store(&mut index, name, value), "all names differ");
    }
    let text: usize = names.iter().map(String::len).sum();
    let held = held_bytes() - before;
    let besides = held - text as i64 - (NAMES * size_of::<u64>()) as i64;
    (index, besides as f64 / NAMES as f64)
}

/// A million names, in which so many sites have a `temp` among fifty others.
fn sites(matches: usize) -> Retained {
    let mut index = Retained::with_seed(SEED);
    for site in 0..matches {
        for metric in 0..50 {
            store(&mut index, &format!("site/{site}/metric{metric}"), metric);
        }
        store(&mut index, &format!("site/{site}/temp"), site);
    }
    let rest = NAMES.saturating_sub(51 * matches);
    for n in 0..rest {
        store(
            &mut index,
            &format!("other{}/{}/temp", n / 1_000, n % 1_000),
            n,
        );
    }
    index
}

pub(super) fn rows(only: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    if only.wants(EACH) || only.wants(GET) {
        let (index, bytes) = million();
        let row = Row::new(EACH).extra("ours", BYTES, bytes);
        rows.push(row.bar(Bar::new(
            "retained: at most 150 bytes a name besides name and value",
            What::Extra("ours", BYTES),
            Limit::AtMost(150.0),
        )));
        let names: Rc<[String]> = shape::uniform_names(400_000).into();
        let mut at = 0;
        let get = Op::each(move || {
            at = if at + 1 < names.len() { at + 1 } else { 0 };
            let name = TopicName::new(&names[at]).expect("a valid name");
            index.get(black_box(&name)).copied()
        });
        rows.push(Row::new(GET).with("ours", get));
    }
    for (matches, name) in SITES {
        if only.wants(name) {
            rows.push(visit_row(matches, name));
        }
    }
    rows
}

/// How many nodes the walk through all matches looks at.
fn nodes(index: &Retained) -> usize {
    let mut walk = RetainedWalk::new(&valid("site/+/temp"));
    let mut nodes = 1;
    while !walk.advance(index, 1, |_, _| {}) {
        nodes += 1;
    }
    nodes
}

fn visit_row(matches: usize, name: &str) -> Row {
    let index = sites(matches);
    let nodes = nodes(&index) as f64 / matches as f64;
    let op = Op::new(matches as u32, move |n| {
        let filter = valid("site/+/temp");
        for _ in 0..n {
            let mut found = 0;
            index.visit(black_box(&filter), |name, value| {
                black_box((name, value));
                found += 1;
            });
            assert_eq!(found, matches);
        }
    });
    let row = Row::new(name)
        .with("ours", op)
        .extra("ours", NODES, nodes)
        .bar(Bar::new(
            "retained: `site/+/temp` looks at no more than three nodes for each match",
            What::Extra("ours", NODES),
            Limit::AtMost(3.0),
        ));
    if matches == SITES[0].0 {
        return row;
    }
    // What is in no cache any more may cost more; a look at all names would cost hundreds of times as much.
    row.bar(Bar::new(
        "retained: `site/+/temp` costs by its matches (each at most 4 × what it costs when there are ten)",
        What::Ratio("ours", Against::Row(SITES[0].1.to_owned(), "ours")),
        Limit::AtMost(4.0),
    ))
}
