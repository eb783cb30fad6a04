//! What `mqtt-topic` does with filters and names of the shape that fleets have.

use core::hint::black_box;
use std::rc::Rc;

use mqtt_topic::{RetainedIndex, SubscriptionIndex, TopicFilter, TopicFilterBuf, TopicName};

use crate::Op;

const KINDS: [&str; 8] = [
    "temperature",
    "humidity",
    "pressure",
    "status",
    "battery",
    "flow",
    "alarm",
    "command",
];

/// The name of a device's reading: four levels.
#[must_use]
pub fn name(n: usize) -> String {
    let (site, machine) = (n / 800 % 1_000, n / 8 % 100);
    let kind = KINDS[n % 8];
    format!("site{site}/machine/{machine}-{}/{kind}", n / 800_000)
}

/// The filter of subscription `n`: of a hundred, 85 name one topic, ten have a `+`, five end in `#`.
#[must_use]
pub fn filter(n: usize) -> String {
    let text = name(n);
    let levels: Vec<&str> = text.split('/').collect();
    match n % 100 {
        0..85 => text,
        85..90 => format!("{}/+/{}/{}", levels[0], levels[2], levels[3]),
        90..95 => format!("{}/{}/{}/+", levels[0], levels[1], levels[2]),
        _ => format!("{}/{}/{}/#", levels[0], levels[1], levels[2]),
    }
}

/// What a subscription is worth: an identifier and the options.
pub type Value = (u32, u8);

/// An index with so many subscriptions, each of another subscriber.
///
/// # Panics
/// Never: all filters are valid.
#[must_use]
pub fn index(subscriptions: usize) -> SubscriptionIndex<u32, Value> {
    let mut index = SubscriptionIndex::with_seed(0x5eed);
    for n in 0..subscriptions {
        let text = filter(n);
        let filter = TopicFilter::new(&text).expect("a valid filter");
        index.insert(&filter, n as u32, (n as u32, 1));
    }
    index
}

/// Matching, subscribing and retained messages, on so many subscriptions and names.
///
/// # Panics
/// Never: all names and filters are valid.
#[must_use]
pub fn ops(subscriptions: usize) -> Vec<Op> {
    let names: Rc<[String]> = (0..1_024)
        .map(|n| name(n * 7_919 % subscriptions))
        .collect();
    vec![
        validate(&names),
        visit(subscriptions, &names),
        subscribe(subscriptions),
        retain(subscriptions, &names),
        find_retained(subscriptions),
    ]
}

fn validate(names: &Rc<[String]>) -> Op {
    let names = Rc::clone(names);
    Op::new("validate a topic name", names.len() as u32, move || {
        for name in &*names {
            let _ = black_box(TopicName::new(black_box(name)));
        }
    })
}

fn visit(subscriptions: usize, names: &Rc<[String]>) -> Op {
    let (index, names) = (index(subscriptions), Rc::clone(names));
    Op::new("match a name", names.len() as u32, move || {
        for name in &*names {
            let name = TopicName::new(name).expect("a valid name");
            index.visit(&name, |key, value| {
                black_box((key, value));
            });
        }
    })
}

/// A thousand filters more, and away again.
fn subscribe(subscriptions: usize) -> Op {
    let mut index = index(subscriptions);
    let filters: Vec<TopicFilterBuf> = (subscriptions..subscriptions + 1_000)
        .map(|n| {
            TopicFilter::new(&filter(n))
                .expect("a valid filter")
                .to_buf()
        })
        .collect();
    Op::new(
        "subscribe and unsubscribe",
        filters.len() as u32,
        move || {
            for filter in &filters {
                black_box(index.insert(&filter.as_filter(), 1, (1, 1)));
            }
            for filter in &filters {
                black_box(index.remove(&filter.as_filter(), &1));
            }
        },
    )
}

fn retained(names: usize) -> RetainedIndex<u32> {
    let mut index = RetainedIndex::with_seed(0x5eed);
    for n in 0..names {
        let text = name(n);
        let name = TopicName::new(&text).expect("a valid name");
        index.insert(&name, n as u32);
    }
    index
}

fn retain(names: usize, replaced: &Rc<[String]>) -> Op {
    let (mut index, replaced) = (retained(names), Rc::clone(replaced));
    Op::new(
        "replace a retained value",
        replaced.len() as u32,
        move || {
            for name in &*replaced {
                let name = TopicName::new(name).expect("a valid name");
                black_box(index.insert(&name, 7));
            }
        },
    )
}

fn find_retained(names: usize) -> Op {
    let index = retained(names);
    let filter = TopicFilter::new("site3/machine/+/temperature")
        .expect("a valid filter")
        .to_buf();
    let mut matches = 0;
    index.visit(&filter.as_filter(), |_, _| matches += 1);
    assert!(matches > 0, "the filter matches something");
    Op::new("find a retained value by filter", matches, move || {
        index.visit(&black_box(&filter).as_filter(), |name, value| {
            black_box((name, value));
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_filters_match_their_names() {
        let all: std::collections::BTreeSet<String> = (0..10_000).map(name).collect();
        assert_eq!(all.len(), 10_000);
        for n in 0..1_000 {
            let (filter, name) = (filter(n), name(n));
            let filter = TopicFilter::new(&filter).expect("a valid filter");
            assert!(filter.matches(&TopicName::new(&name).expect("a valid name")));
        }
    }

    #[test]
    fn every_operation_can_be_repeated() {
        for mut op in ops(10_000) {
            op.run(2);
        }
    }
}
