//! Tests of [`SubscriptionIndex`].

extern crate std;
use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::SubscriptionIndex;
use crate::{TopicFilter, TopicName};

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

fn index(filters: &[&str]) -> SubscriptionIndex<usize, ()> {
    let mut index = SubscriptionIndex::with_seed(1);
    for (who, text) in filters.iter().enumerate() {
        index.insert(&filter(text), who, ());
    }
    index
}

fn check(filters: &[&str], topic: &str, expected: &[&str]) {
    let mut found = Vec::new();
    index(filters).visit(&name(topic), |&who, ()| found.push(filters[who]));
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{topic}");
}

/// A message goes to the subscriptions that its name matches. [MQTT-3.3.2-3], [MQTT-4.7.1-1], [MQTT-4.7.1-2],
/// [3.1.1:MQTT-3.3.2-3], [3.1.1:MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-3]
#[test]
fn all_matching_filters_are_visited_once() {
    let filters = [
        "a", "a/b", "a/+", "+/b", "+/+", "a/#", "+/#", "#", "a/b/#", "a/b/c", "+", "/+", "a/",
        "a//b",
    ];
    check(
        &filters,
        "a/b",
        &["a/b", "a/+", "+/b", "+/+", "a/#", "+/#", "#", "a/b/#"],
    );
    check(&filters, "a", &["a", "+", "a/#", "+/#", "#"]);
    check(&filters, "a/", &["a/", "a/+", "+/+", "a/#", "+/#", "#"]);
    check(&filters, "/", &["/+", "+/+", "+/#", "#"]);
    check(&filters, "a//b", &["a//b", "a/#", "+/#", "#"]);
    check(&filters, "z/z/z", &["+/#", "#"]);
}

/// No filter that begins with a wildcard matches a name that begins with `$`. [MQTT-4.7.2-1], [3.1.1:MQTT-4.7.2-1]
#[test]
fn dollar_names_match_no_leading_wildcard() {
    let filters = [
        "#",
        "+/#",
        "+/uptime",
        "$SYS/#",
        "$SYS/+",
        "$SYS/uptime",
        "+/+",
    ];
    check(
        &filters,
        "$SYS/uptime",
        &["$SYS/#", "$SYS/+", "$SYS/uptime"],
    );
    check(&filters, "$SYS", &["$SYS/#"]);
    check(&filters, "a/$SYS", &["#", "+/#", "+/+"]);
}

/// Levels are compared byte by byte. [MQTT-4.7.3-4], [3.1.1:MQTT-4.7.3-4]
#[test]
fn nothing_is_normalised() {
    let filters = [
        "caf\u{e9}/+",
        "cafe\u{301}/+",
        "CAF\u{c9}/+",
        "caf\u{e9} /+",
    ];
    check(&filters, "caf\u{e9}/x", &["caf\u{e9}/+"]);
    check(&filters, "cafe\u{301}/x", &["cafe\u{301}/+"]);
}

#[test]
fn a_second_insert_replaces_the_value() {
    let mut index = SubscriptionIndex::with_seed(1);
    for text in ["a/b", "a/+", "#"] {
        let filter = filter(text);
        assert_eq!(index.insert(&filter, 7, 1), None);
        assert_eq!(index.insert(&filter, 7, 2), Some(1));
        assert_eq!(index.insert(&filter, 5, 3), None);
        assert_eq!(
            (index.get(&filter, &7), index.get(&filter, &6)),
            (Some(&2), None)
        );
        let mut listed = Vec::new();
        index.visit_filter(&filter, |who, value| listed.push((*who, *value)));
        assert_eq!(listed, [(5, 3), (7, 2)]);
    }
    assert_eq!((index.len(), index.filters()), (6, 3));
    assert_eq!(index.remove(&filter("a/b"), &7), Some(2));
    assert_eq!(index.remove(&filter("a/b"), &7), None);
    assert_eq!((index.len(), index.filters()), (5, 3));
}

/// All tables and slots are given back with the last subscription.
#[test]
fn memory_is_given_back() {
    let filters: Vec<String> = (0..3_000)
        .map(|n| match n % 4 {
            0 => format!("site/{}/+/{n}", n % 7),
            1 => format!("site/{n}/#"),
            _ => format!("site/{n}/temperature"),
        })
        .collect();
    let mut index = SubscriptionIndex::with_seed(1);
    for text in &filters {
        index.insert(&filter(text), 1, ());
    }
    for text in &filters[10..] {
        index.remove(&filter(text), &1);
    }
    let (nodes, _, places) = index.wildcard.footprint();
    assert!(
        nodes < 40 && places < 3_000,
        "{nodes} nodes, {places} places for 10 filters"
    );
    for text in &filters[..10] {
        index.remove(&filter(text), &1);
    }
    assert!(index.is_empty());
    assert_eq!(index.wildcard.footprint(), (0, 0, 0));
    assert_eq!(index.exact.capacity(), 0);
}

/// A generation moves with everything that concerns the name, and stays with what does not.
#[test]
fn generations_follow_the_changes_of_a_name() {
    let mut index = SubscriptionIndex::with_seed(1);
    let (ours, system) = (name("a/b"), name("$SYS/x"));
    let mut last = (index.generation(&ours), index.generation(&system));
    for (text, moves) in [
        ("a/b", true),
        ("a/+", true),
        ("a/#", true),
        ("#", true),
        ("+/b", true),
        ("z/b", false),
    ] {
        for step in 0..3 {
            match step {
                0 => index.insert(&filter(text), 1, 1),
                1 => index.insert(&filter(text), 1, 2),
                _ => index.remove(&filter(text), &1),
            };
            let now = (index.generation(&ours), index.generation(&system));
            assert_eq!(now.0 != last.0, moves, "{text}, step {step}");
            last = now;
        }
        assert_eq!(index.remove(&filter(text), &1), None);
        assert_eq!(
            index.generation(&ours),
            last.0,
            "removing nothing changes nothing"
        );
    }
}

/// Names and filters of the largest depth neither recurse nor cost more than their length.
#[test]
fn the_deepest_topics_are_handled() {
    let depth = 65_535 / 2;
    let plus = vec!["+"; depth].join("/");
    let named = vec!["x"; depth].join("/");
    let hash = format!("{}/#", vec!["+"; depth - 2].join("/"));
    let slashes = "/".repeat(65_535);
    let mut index = index(&[&plus, &hash, "#", "x/#"]);
    let count = |index: &SubscriptionIndex<usize, ()>, topic: &str| {
        let mut found = 0;
        index.visit(&name(topic), |_, ()| found += 1);
        found
    };
    assert_eq!(count(&index, &named), 4);
    assert_eq!(count(&index, &named[2..]), 3);
    assert_eq!(count(&index, &slashes), 2);
    index.remove(&filter(&plus), &0);
    assert_eq!(count(&index, &named), 3);
}

/// More nodes at one depth than the walk takes along level by level: those beyond are walked one by one.
#[test]
fn every_mixture_of_name_and_plus_is_found() {
    for depth in 1..=9_usize {
        let mut filters = Vec::new();
        for mixture in 0..1_usize << depth {
            let levels: Vec<&str> = (0..depth)
                .map(|at| if (mixture >> at) & 1 == 0 { "a" } else { "+" })
                .collect();
            filters.extend(["", "/#", "/b"].map(|end| levels.join("/") + end));
        }
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let named = vec!["a"; depth].join("/");
        for (end, ends) in [
            ("", &["", "/#"][..]),
            ("/b", &["/b", "/#"]),
            ("/c", &["/#"]),
        ] {
            let expected: Vec<&str> = (filters.iter().copied())
                .filter(|filter| {
                    ends.iter()
                        .any(|end| filter.len() == named.len() + end.len() && filter.ends_with(end))
                })
                .collect();
            check(&filters, &(named.clone() + end), &expected);
        }
        // A first level that begins with `$` is led to by name alone.
        let system = ["$a", &named].join("/");
        let wildcards: Vec<String> = filters
            .iter()
            .map(|filter| "+/".to_owned() + filter)
            .collect();
        let named: Vec<String> = filters
            .iter()
            .map(|filter| "$a/".to_owned() + filter)
            .collect();
        let both: Vec<&str> = wildcards.iter().chain(&named).map(String::as_str).collect();
        let expected: Vec<&str> = (named.iter().map(String::as_str))
            .filter(|filter| filter.len() == system.len() || filter.ends_with('#'))
            .collect();
        check(&both, &system, &expected);
    }
}

/// A filter of 128 `+` is one path: a name meets 129 nodes, whatever else is subscribed to.
#[test]
fn a_filter_of_128_plus_is_one_path() {
    let plus = vec!["+"; 128].join("/");
    let named = vec!["x"; 128].join("/");
    check(&[&plus], &named, &[&plus]);
    check(&[&plus], &named[2..], &[]);
    check(&[&plus, &named], &named, &[&plus, &named]);
    // One filter for each depth, up to 128 levels: all on the same path.
    let depths: Vec<String> = (1..=128).map(|depth| vec!["+"; depth].join("/")).collect();
    let depths: Vec<&str> = depths.iter().map(String::as_str).collect();
    check(&depths, &named, &[&plus]);
    assert_eq!(index(&depths).wildcard.footprint().0, 129);
}
