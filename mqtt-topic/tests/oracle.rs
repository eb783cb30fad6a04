//! A naive matcher of a few lines against the filter, the subscription index and the retained index,
//! under any sequence of inserts and removals.

use std::collections::BTreeMap;

use mqtt_topic::{RetainedIndex, RetainedWalk, SubscriptionIndex, TopicFilter, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The rules of section 4.7, one level at a time.
fn naive(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, name @ ..]) => naive(filter, name),
        ([wanted, filter @ ..], [found, name @ ..]) if wanted == found => naive(filter, name),
        _ => false,
    }
}

fn oracle(filter: &str, name: &str) -> bool {
    let filter: Vec<&str> = filter.split('/').collect();
    let leading_wildcard = matches!(filter[0], "+" | "#");
    !(leading_wildcard && name.starts_with('$'))
        && naive(&filter, &name.split('/').collect::<Vec<_>>())
}

fn topic(
    levels: &'static [&'static str],
    last: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (vec(select(levels), 0..4), select(last))
        .prop_map(|(mut levels, last)| {
            levels.push(last);
            levels.join("/")
        })
        .prop_filter("no topic is empty", |topic| !topic.is_empty())
}

fn names() -> impl Strategy<Value = String> {
    const LEVELS: &[&str] = &["a", "b", "", "$", "$SYS", "\u{e9}", "e\u{301}"];
    topic(LEVELS, LEVELS)
}

fn filters() -> impl Strategy<Value = String> {
    const LEVELS: &[&str] = &[
        "a", "b", "", "$", "$SYS", "\u{e9}", "e\u{301}", "+", "+", "+",
    ];
    const LAST: &[&str] = &[
        "a", "b", "", "$", "$SYS", "\u{e9}", "e\u{301}", "+", "+", "#", "#",
    ];
    topic(LEVELS, LAST)
}

/// Inserts twice as often as it removes; few enough topics that they meet again.
fn changes(
    topics: impl Strategy<Value = String>,
) -> impl Strategy<Value = Vec<(bool, String, u8)>> {
    vec((prop::bool::weighted(0.66), topics, 0..4_u8), 0..60)
}

proptest! {
    /// `TopicFilter::matches` is the naive matcher. [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.2-1], [MQTT-4.7.3-4],
    /// [3.1.1:MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-3], [3.1.1:MQTT-4.7.2-1], [3.1.1:MQTT-4.7.3-4]
    #[test]
    fn a_filter_matches_like_the_oracle(filter in filters(), name in names()) {
        let matches = TopicFilter::new(&filter).unwrap().matches(&TopicName::new(&name).unwrap());
        prop_assert_eq!(matches, oracle(&filter, &name), "{} {}", filter, name);
    }

    /// What covers a filter matches whatever that filter matches.
    #[test]
    fn a_covering_filter_matches_at_least_as_much(wide in filters(), narrow in filters(), name in names()) {
        let [wide, narrow] = [&wide, &narrow].map(|filter| TopicFilter::new(filter).unwrap());
        let name = TopicName::new(&name).unwrap();
        prop_assert!(!wide.covers(&narrow) || !narrow.matches(&name) || wide.matches(&name));
    }

    /// Validation is the rules of section 4.7 written as a level-by-level check. [MQTT-4.7.0-1], [MQTT-4.7.3-1],
    /// [MQTT-4.7.3-2], [3.1.1:MQTT-4.7.1-1], [3.1.1:MQTT-4.7.3-1], [3.1.1:MQTT-4.7.3-2]
    #[test]
    fn validation_follows_the_rules(text in "[a+#/\0$é]{0,8}") {
        let levels: Vec<&str> = text.split('/').collect();
        let name = !text.is_empty() && !text.contains(['+', '#', '\0']);
        prop_assert_eq!(TopicName::new(&text).is_ok(), name);
        let filter = !text.is_empty() && !text.contains('\0') && levels.iter().enumerate().all(|(at, level)| {
            !level.contains(['+', '#']) || *level == "+" || *level == "#" && at + 1 == levels.len()
        });
        prop_assert_eq!(TopicFilter::new(&text).is_ok(), filter);
    }

    /// The subscription index holds what a map holds, and visits what the naive matcher picks from it: a filter is removed
    /// by its exact text. [MQTT-3.10.4-1], [MQTT-4.7.2-1], [3.1.1:MQTT-3.10.4-1], [3.1.1:MQTT-4.7.2-1]
    #[test]
    fn the_subscription_index_is_a_map_searched_by_the_oracle(
        changes in changes(filters()),
        probes in vec(names(), 1..20),
        seed: u64,
    ) {
        let mut index = SubscriptionIndex::with_seed(seed);
        let mut map = BTreeMap::new();
        for (value, (insert, text, who)) in changes.into_iter().enumerate() {
            let filter = TopicFilter::new(&text).unwrap();
            let before: Vec<u64> = probes.iter().map(|name| index.generation(&TopicName::new(name).unwrap())).collect();
            let affected = |name: &String| oracle(&text, name);
            if insert {
                prop_assert_eq!(index.insert(&filter, who, value), map.insert((text.clone(), who), value));
            } else {
                let removed = map.remove(&(text.clone(), who));
                prop_assert_eq!(index.remove(&filter, &who), removed);
                if removed.is_none() {
                    continue;
                }
            }
            prop_assert_eq!(index.get(&filter, &who), map.get(&(text.clone(), who)));
            for (name, before) in probes.iter().zip(before).filter(|(name, _)| affected(name)) {
                prop_assert_ne!(index.generation(&TopicName::new(name).unwrap()), before);
            }
        }
        prop_assert_eq!(index.len(), map.len());
        let mut filters: Vec<&String> = map.keys().map(|(filter, _)| filter).collect();
        filters.dedup();
        prop_assert_eq!(index.filters(), filters.len());
        for name in &probes {
            let mut found = Vec::new();
            index.visit(&TopicName::new(name).unwrap(), |who, value| found.push((*who, *value)));
            found.sort_unstable();
            let mut expected: Vec<(u8, usize)> =
                map.iter().filter(|((filter, _), _)| oracle(filter, name)).map(|((_, who), value)| (*who, *value)).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected, "{}", name);
        }
    }

    /// The retained index holds what a map holds, and finds what the naive matcher picks from it, at once
    /// and in pieces.
    #[test]
    fn the_retained_index_is_a_map_searched_by_the_oracle(
        changes in changes(names()),
        probes in vec(filters(), 1..20),
        seed: u64,
        budget in 1..5_usize,
    ) {
        let mut index = RetainedIndex::with_seed(seed);
        let mut map = BTreeMap::new();
        for (value, (insert, text, _)) in changes.into_iter().enumerate() {
            let name = TopicName::new(&text).unwrap();
            if insert {
                prop_assert_eq!(index.insert(&name, value), map.insert(text.clone(), value));
            } else {
                prop_assert_eq!(index.remove(&name), map.remove(&text));
            }
            prop_assert_eq!(index.get(&name), map.get(&text));
        }
        prop_assert_eq!(index.len(), map.len());
        for text in &probes {
            let filter = TopicFilter::new(text).unwrap();
            let expected: Vec<(String, usize)> =
                map.iter().filter(|(name, _)| oracle(text, name)).map(|(name, value)| (name.clone(), *value)).collect();
            let mut found = Vec::new();
            index.visit(&filter, |name, value| found.push((name.as_str().to_owned(), *value)));
            found.sort_unstable();
            prop_assert_eq!(&found, &expected, "{}", text);
            let mut pieces = Vec::new();
            let mut walk = RetainedWalk::new(&filter);
            while !walk.advance(&index, budget, |name, value| pieces.push((name.as_str().to_owned(), *value))) {}
            pieces.sort_unstable();
            prop_assert_eq!(&pieces, &expected, "{} in pieces of {}", text, budget);
        }
    }
}
