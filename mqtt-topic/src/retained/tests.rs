//! Tests of [`RetainedIndex`] and [`RetainedWalk`].

extern crate std;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::{RetainedIndex, RetainedWalk};
use crate::{TopicFilter, TopicName};

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

fn index<'n>(names: impl IntoIterator<Item = &'n str>) -> RetainedIndex<&'n str> {
    let mut index = RetainedIndex::with_seed(1);
    for text in names {
        index.insert(&name(text), text);
    }
    index
}

fn found(index: &RetainedIndex<&str>, by: &str) -> Vec<String> {
    let mut found = Vec::new();
    index.visit(&filter(by), |name, value| {
        assert_eq!(name.as_str(), *value, "the name is put together again");
        found.push(name.to_string());
    });
    found.sort_unstable();
    found
}

impl<T> RetainedIndex<T> {
    /// Nodes, level texts, and places that hold memory.
    fn footprint(&self) -> (usize, usize, usize) {
        let (texts, places) = self.levels.footprint();
        (
            self.nodes.len(),
            texts,
            places + self.nodes.capacity() + self.edges.capacity(),
        )
    }
}

const NAMES: [&str; 10] = [
    "a", "a/", "a/b", "a/b/c", "a//c", "b/b", "/", "/a", "$SYS/b", "$SYS",
];

/// A filter finds the names that it matches. [MQTT-4.7.1-1], [MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-3]
#[test]
fn a_filter_finds_the_names_that_it_matches() {
    let index = index(NAMES);
    assert_eq!(found(&index, "a/b"), ["a/b"]);
    assert_eq!(found(&index, "a/+"), ["a/", "a/b"]);
    assert_eq!(found(&index, "+/b"), ["a/b", "b/b"]);
    assert_eq!(found(&index, "a/#"), ["a", "a/", "a//c", "a/b", "a/b/c"]);
    assert_eq!(found(&index, "a/+/c"), ["a//c", "a/b/c"]);
    assert_eq!(found(&index, "+/+"), ["/", "/a", "a/", "a/b", "b/b"]);
    assert_eq!(found(&index, "a/b/c/d"), [""; 0]);
    assert_eq!(found(&index, "never/#"), [""; 0]);
}

/// A leading wildcard finds no name that begins with `$`. [MQTT-4.7.2-1], [3.1.1:MQTT-4.7.2-1]
#[test]
fn a_leading_wildcard_finds_no_dollar_name() {
    let index = index(NAMES);
    assert_eq!(found(&index, "#").len(), 8);
    assert_eq!(found(&index, "+"), ["a"]);
    assert_eq!(found(&index, "$SYS/#"), ["$SYS", "$SYS/b"]);
    assert_eq!(found(&index, "$SYS/+"), ["$SYS/b"]);
}

#[test]
fn a_name_has_one_value() {
    let mut index = index([]);
    assert_eq!(index.insert(&name("a/b"), "1"), None);
    assert_eq!(index.insert(&name("a/b"), "2"), Some("1"));
    assert_eq!(
        (index.get(&name("a/b")), index.get(&name("a"))),
        (Some(&"2"), None)
    );
    *index.get_mut(&name("a/b")).unwrap() = "3";
    assert_eq!(index.remove(&name("a")), None);
    assert_eq!(index.len(), 1);
    assert_eq!(index.remove(&name("a/b")), Some("3"));
    assert_eq!(index.remove(&name("a/b")), None);
    assert!(index.is_empty());
}

/// Nodes, edges and texts go with the last name that needs them.
#[test]
fn memory_is_given_back() {
    let names: Vec<String> = (0..3_000).map(|n| format!("site/{}/{n}", n % 50)).collect();
    let mut index = index(names.iter().map(String::as_str));
    for text in &names[10..] {
        index.remove(&name(text));
    }
    let (nodes, texts, places) = index.footprint();
    assert!(
        nodes == 22 && texts <= 21 && places < 8_000,
        "{nodes} nodes, {texts} texts, {places} places"
    );
    for text in &names[..10] {
        index.remove(&name(text));
    }
    assert_eq!(index.footprint(), (0, 0, 0));
}

#[test]
fn retain_removes_what_is_not_kept() {
    let mut index = index(NAMES);
    index.retain(|name, value| name.as_str() == *value && name.as_str().len() > 2);
    assert_eq!(index.len(), 6);
    assert_eq!(found(&index, "a/#"), ["a//c", "a/b", "a/b/c"]);
    assert_eq!(found(&index, "$SYS/#"), ["$SYS", "$SYS/b"]);
    index.retain(|_, _| false);
    assert_eq!((index.len(), index.footprint()), (0, (0, 0, 0)));
}

/// A walk looks at no more nodes than it may, and visits what is there all the time exactly once,
/// whatever is stored and removed between its pieces.
#[test]
fn a_walk_in_pieces_visits_what_stays_exactly_once() {
    let names: Vec<String> = (0..400).map(|n| format!("s/{}/{}", n % 20, n)).collect();
    for budget in [1, 2, 7, 1_000] {
        let mut index = index(names.iter().map(String::as_str));
        let mut walk = RetainedWalk::new(&filter("s/#"));
        let mut seen = Vec::new();
        let mut removed = BTreeSet::new();
        let mut turn = 0;
        loop {
            let before = seen.len();
            let done = walk.advance(&index, budget, |name, _| seen.push(name.to_string()));
            assert!(seen.len() - before <= budget);
            if done {
                break;
            }
            // Removes the name the walk stands on, and now and then a whole device.
            turn += 1;
            if turn % 3 == 0
                && let Some(last) = seen.last()
                && index.remove(&name(last)).is_some()
            {
                removed.insert(last.clone());
            }
            if turn % 50 == 0 {
                for text in names
                    .iter()
                    .filter(|text| text.starts_with(&format!("s/{}/", turn / 50)))
                {
                    if index.remove(&name(text)).is_some() {
                        removed.insert(text.clone());
                    }
                }
            }
            index.insert(&name("s/new/1"), "");
            index.remove(&name("s/new/1"));
        }
        assert!(walk.is_done() && walk.advance(&index, 1, |_, _| panic!("nothing is left")));
        let distinct: BTreeSet<String> = seen
            .iter()
            .filter(|name| *name != "s/new/1")
            .cloned()
            .collect();
        assert_eq!(
            distinct.len(),
            seen.iter().filter(|name| *name != "s/new/1").count(),
            "nothing twice"
        );
        let missed: Vec<_> = names
            .iter()
            .filter(|text| !distinct.contains(*text) && !removed.contains(*text))
            .collect();
        assert!(missed.is_empty(), "budget {budget}: {missed:?}");
    }
}

/// First levels that begin with `$` count against the budget although nothing below them is looked at.
#[test]
fn passing_by_dollar_names_is_bounded_too() {
    let names: Vec<String> = (0..1_000).map(|n| format!("${n}/x")).collect();
    let index = index(names.iter().map(String::as_str));
    let mut walk = RetainedWalk::new(&filter("#"));
    let mut pieces = 1;
    while !walk.advance(&index, 100, |name, _| panic!("{name} is visited")) {
        pieces += 1;
    }
    assert!((10..=11).contains(&pieces), "{pieces}");
}

/// Names of the largest depth neither recurse nor leave anything behind.
#[test]
fn the_deepest_names_are_handled() {
    let slashes = "/".repeat(65_535);
    let mut index = index([&*slashes, "a"]);
    assert_eq!(found(&index, "#"), [&*slashes, "a"]);
    assert_eq!(found(&index, "+/#"), [&*slashes, "a"]);
    assert_eq!(found(&index, &vec!["+"; 32_768].join("/")), [""; 0]);
    index.remove(&name(&slashes));
    assert_eq!(index.footprint().0, 2);
}
