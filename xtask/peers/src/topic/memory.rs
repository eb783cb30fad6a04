//! Requested heap of our index: at its worst, and what is left after removals.

use super::BYTES;
use super::index::{Index, Ours};
use super::matching::build;
use super::shape::{self, Numbers};
use crate::harness::{Bar, Filter, Limit, Row, What, held_bytes};

const WORST: &str = "0.9 to 1.1 million, worst of 1 % steps, each";
const HALF: &str = "half removed, each that is left";
const NONE: &str = "all removed, together";
const DISTINCT: &str = "a million, hardly two to one name, each";
const TEN_MILLION: &str = "hold ten million, each";

pub(super) fn rows(only: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    if only.wants(DISTINCT) {
        let mut numbers = Numbers::new(1);
        let filters: Vec<String> = (0..1_000_000)
            .map(|_| shape::filter_among(&mut numbers, 99))
            .collect();
        let (_, bytes) = build::<Ours>(&filters);
        rows.push(Row::new(DISTINCT).extra("ours", BYTES, bytes));
    }
    if ![WORST, HALF, NONE].iter().any(|row| only.wants(row)) {
        return rows;
    }
    let filters = shape::filters(1_100_000);
    let empty = held_bytes();
    let mut index = Ours::default();
    let alone = held_bytes() - empty;
    let mut worst: f64 = 0.0;
    for (who, filter) in filters.iter().enumerate() {
        index.subscribe(filter, who as u32);
        let count = who + 1;
        if count >= 900_000 && count % 10_000 == 0 {
            worst = worst.max((held_bytes() - empty) as f64 / count as f64);
        }
    }
    // In an order that has nothing to do with that of the inserts.
    let mut order: Box<[usize]> = (0..filters.len()).collect();
    let mut numbers = Numbers::new(6);
    for at in (1..order.len()).rev() {
        order.swap(at, numbers.below(at + 1));
    }
    let (first, second) = order.split_at(order.len() / 2);
    let mut remove = |who: &usize| index.unsubscribe(&filters[*who], *who as u32, ());
    first.iter().for_each(&mut remove);
    let orders = (order.len() * size_of::<usize>()) as i64;
    let half = (held_bytes() - empty - orders) as f64 / second.len() as f64;
    let mut remove = |who: &usize| index.unsubscribe(&filters[*who], *who as u32, ());
    second.iter().for_each(&mut remove);
    let left = held_bytes() - empty - orders - alone;
    rows.extend([
        Row::new(WORST).extra("ours", BYTES, worst).bar(Bar::new(
            "requested heap: at most 64 bytes a subscription",
            What::Extra("ours", BYTES),
            Limit::AtMost(64.0),
        )),
        Row::new(HALF).extra("ours", BYTES, half),
        Row::new(NONE)
            .extra("ours", BYTES, left as f64)
            .bar(Bar::new(
                "all memory is given back when all were removed",
                What::Extra("ours", BYTES),
                Limit::AtMost(0.0),
            )),
    ]);
    rows
}

pub(super) fn ten_million_rows(only: &Filter) -> Vec<Row> {
    const COUNT: u32 = 10_000_000;
    if !only.wants(TEN_MILLION) {
        return Vec::new();
    }
    let mut numbers = Numbers::new(1);
    let empty = held_bytes();
    let mut index = Ours::default();
    for who in 0..COUNT {
        // As many filters are alike as in the million of the other rows.
        index.subscribe(&shape::filter_among(&mut numbers, 10), who);
    }
    let bytes = (held_bytes() - empty) as f64;
    vec![
        Row::new(TEN_MILLION)
            .extra("ours", BYTES, bytes / f64::from(COUNT))
            .bar(Bar::new(
                "ten million subscriptions: less than 1 GB, 100 bytes each",
                What::Extra("ours", BYTES),
                Limit::Below(1e9 / f64::from(COUNT)),
            )),
    ]
}
