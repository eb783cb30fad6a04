//! Filters and names made to be slow, and what bounds them.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use super::attack;
use super::index::{Index, Ours, SEED};
use super::matching::{build, walk_names, with_index};
use super::peers::{Engine, Quill, Rmqtt};
use super::shape::{self, Numbers};
use crate::harness::{Against, Bar, Filter, Limit, Op, Row, What};

/// Level names that nobody has chosen.
pub(super) const RANDOM: &str = "random levels";

const PLUS: &str = "a filter of 128 `+`, a name of 128 levels";
const DEEP: &str = "100,000 filters `+/+/…` at all depths";
const HASH: &str = "one `#` among a million names";
const CROWD: &str = "10,000 subscribers to one filter, each";
const COLLIDING: &str = "8,000 colliding level names, seed unknown";
const KNOWN: &str = "the same, seed known";

/// Name of a row, and what makes it.
type Case = (&'static str, fn() -> Row);

pub(super) fn rows(only: &Filter) -> Vec<Row> {
    let rows: [Case; 6] = [
        (PLUS, plus),
        (DEEP, deep),
        (HASH, hash),
        (CROWD, crowd),
        (COLLIDING, colliding),
        (KNOWN, known),
    ];
    let wanted = rows.into_iter().filter(|(name, _)| only.wants(name));
    wanted.map(|(_, make)| make()).collect()
}

fn everyone(row: Row, filters: &[String], names: &Rc<[String]>) -> Row {
    let row = with_index::<Ours>(row, filters, names);
    let row = with_index::<Quill>(row, filters, names);
    let row = with_index::<Engine>(row, filters, names);
    with_index::<Rmqtt>(row, filters, names)
}

fn plus() -> Row {
    let filters = [vec!["+"; 128].join("/")];
    let names = [vec!["level"; 128].join("/")].into();
    everyone(Row::new(PLUS), &filters, &names)
}

fn deep() -> Row {
    let filters = shape::deep_plus(100_000);
    // Every depth has filters for the level that the name has there, and no filter matches all of it.
    let names = (0..127)
        .map(|n| {
            let levels: Vec<String> = (0..128)
                .map(|depth| format!("n{}", depth * 127 + n))
                .collect();
            levels.join("/")
        })
        .collect();
    everyone(Row::new(DEEP), &filters, &names)
}

fn hash() -> Row {
    let mut numbers = Numbers::new(4);
    let mut filters: Vec<String> = (0..1_000_000).map(|_| shape::name(&mut numbers)).collect();
    filters.push("#".to_owned());
    let names = shape::uniform_names(400_000).into();
    everyone(Row::new(HASH), &filters, &names)
}

fn crowd() -> Row {
    let row = Row::new(CROWD);
    let row = crowd_of::<Ours>(row);
    let row = crowd_of::<Quill>(row);
    let row = crowd_of::<Engine>(row);
    crowd_of::<Rmqtt>(row)
}

fn crowd_of<I: Index>(row: Row) -> Row {
    let filters = vec!["news/+".to_owned(); 10_000];
    let (index, bytes) = build::<I>(&filters);
    let op = Op::new(filters.len() as u32, move |n| {
        for _ in 0..n {
            black_box(index.find(black_box("news/today")));
        }
    });
    row.with(I::NAME, op).extra(I::NAME, super::BYTES, bytes)
}

fn levels(levels: &[String], seed: u64) -> Op {
    let (index, names): (Rc<RefCell<Ours>>, Rc<[String]>) = attack::index(levels, seed);
    walk_names(&index, &names)
}

fn colliding() -> Row {
    Row::new(COLLIDING)
        .with("ours", levels(&attack::colliding(), SEED + 1))
        .with(RANDOM, levels(&attack::random(), SEED + 1))
        .bar(Bar::new(
            "colliding level names under an unknown seed: at most twice the time of random ones",
            What::Ratio("ours", Against::Contender(RANDOM)),
            Limit::AtMost(2.0),
        ))
}

fn known() -> Row {
    Row::new(KNOWN)
        .with("ours", levels(&attack::colliding(), SEED))
        .with(RANDOM, levels(&attack::random(), SEED))
}
