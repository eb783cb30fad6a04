//! Topic names, filters and both indexes, beside twins so simple that they are right.

use std::collections::BTreeMap;

use mqtt_topic::{
    ParsedFilter, RetainedIndex, RetainedWalk, ShareName, SubscriptionIndex, TopicFilter, TopicName,
};

use super::Shape;
use super::input::Input;

/// Levels of names; few, so that they meet again.
const NAMES: [&str; 8] = ["a", "b", "", "$", "$SYS", "ab", "\u{e9}", "e\u{301}"];
/// Levels of filters.
const FILTERS: [&str; 12] = [
    "a", "b", "+", "", "$", "$SYS", "+", "ab", "\u{e9}", "e\u{301}", "+", "#",
];
/// A level that is in none of them.
const FRESH: &str = "\u{1}";
/// Operations carried out in one input.
const MOST_STEPS: u32 = 400;

/// The indexes and their twins.
#[derive(Debug)]
struct World {
    subscriptions: SubscriptionIndex<u8, u32>,
    subscribed: BTreeMap<(String, u8), u32>,
    retained: RetainedIndex<u32>,
    kept: BTreeMap<String, u32>,
    walks: Vec<Walk>,
    shape: Shape,
}

/// A walk that goes on between changes.
#[derive(Debug)]
struct Walk {
    walk: RetainedWalk,
    filter: String,
    /// Names that were there from the beginning and matched, and whether they have been shown.
    owed: BTreeMap<String, bool>,
    /// The last one shown.
    last: Option<String>,
}

/// Reads the input as a seed and operations on both indexes.
///
/// # Panics
/// When an index, a match or a check of a text is not what its twin says.
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    let seed = u64::from(input.byte());
    let mut world = World {
        subscriptions: SubscriptionIndex::with_seed(seed),
        subscribed: BTreeMap::new(),
        retained: RetainedIndex::with_seed(seed),
        kept: BTreeMap::new(),
        walks: Vec::new(),
        shape: Shape::default(),
    };
    while !input.is_empty() && world.shape.steps < MOST_STEPS {
        world.shape.steps += 1;
        world.step(&mut input);
    }
    world.empty();
    world.shape
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        match operation % 16 {
            0..=3 => self.subscribe(&filter(input), operation >> 5),
            4 | 5 => self.unsubscribe(&filter(input), operation >> 5),
            6 => self.unsubscribe_some(input),
            7 | 8 => self.find_subscribers(&name(input)),
            9 | 10 => self.keep(&name(input)),
            11 => self.drop_some(input),
            12 => self.find_kept(&filter(input), usize::from(operation >> 4)),
            13 => self.walk(input, operation),
            14 => compare(&filter(input), &filter(input), &name(input)),
            _ => check_text(input, operation),
        }
    }

    fn subscribe(&mut self, text: &str, who: u8) {
        let filter = TopicFilter::new(text).expect("made of levels");
        let value = self.shape.steps;
        let probe = witness(text);
        let before = generation(&self.subscriptions, &probe);
        let replaced = self.subscriptions.insert(&filter, who, value);
        let expected = self.subscribed.insert((text.to_owned(), who), value);
        assert_eq!(replaced, expected, "{text} of {who}");
        assert_eq!(self.subscriptions.get(&filter, &who), Some(&value));
        assert_ne!(generation(&self.subscriptions, &probe), before, "{text}");
        self.count();
    }

    fn unsubscribe(&mut self, text: &str, who: u8) {
        let filter = TopicFilter::new(text).expect("made of levels");
        let probe = witness(text);
        let before = generation(&self.subscriptions, &probe);
        let removed = self.subscriptions.remove(&filter, &who);
        let expected = self.subscribed.remove(&(text.to_owned(), who));
        assert_eq!(removed, expected, "{text} of {who}");
        assert_eq!(self.subscriptions.get(&filter, &who), None);
        if removed.is_some() {
            assert_ne!(generation(&self.subscriptions, &probe), before, "{text}");
        }
        self.count();
    }

    fn unsubscribe_some(&mut self, input: &mut Input<'_>) {
        let at = input.below(self.subscribed.len().min(256));
        if let Some((text, who)) = self.subscribed.keys().nth(at).cloned() {
            self.unsubscribe(&text, who);
        }
    }

    /// The numbers are those of the twins.
    fn count(&self) {
        assert_eq!(self.subscriptions.len(), self.subscribed.len());
        assert_eq!(self.subscriptions.is_empty(), self.subscribed.is_empty());
        let mut filters: Vec<&String> = self.subscribed.keys().map(|(filter, _)| filter).collect();
        filters.dedup();
        assert_eq!(self.subscriptions.filters(), filters.len());
    }

    fn find_subscribers(&mut self, text: &str) {
        let name = TopicName::new(text).expect("made of levels");
        let mut found = Vec::new();
        self.subscriptions
            .visit(&name, |&who, &value| found.push((who, value)));
        found.sort_unstable();
        let mut expected: Vec<(u8, u32)> = self
            .subscribed
            .iter()
            .filter(|((filter, _), _)| matches(filter, text))
            .map(|((_, who), &value)| (*who, value))
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "subscribers of {text}");
        self.shape.decodes |= !found.is_empty();
        if let Some((text, _)) = self.subscribed.keys().next() {
            let filter = TopicFilter::new(text).expect("it was inserted");
            let mut alike = Vec::new();
            self.subscriptions
                .visit_filter(&filter, |&who, &value| alike.push((who, value)));
            let expected: Vec<(u8, u32)> = self
                .subscribed
                .iter()
                .filter(|((other, _), _)| other == text)
                .map(|((_, who), &value)| (*who, value))
                .collect();
            assert_eq!(alike, expected, "subscribers to {text}, ascending");
        }
    }

    fn keep(&mut self, text: &str) {
        let name = TopicName::new(text).expect("made of levels");
        let value = self.shape.steps;
        let replaced = self.retained.insert(&name, value);
        assert_eq!(replaced, self.kept.insert(text.to_owned(), value), "{text}");
        assert_eq!(self.retained.get(&name), Some(&value));
        assert_eq!(self.retained.len(), self.kept.len());
    }

    fn drop_some(&mut self, input: &mut Input<'_>) {
        let byte = input.byte();
        if byte >= 0xf8 {
            let keep = u32::from(byte & 3);
            self.retained.retain(|_, value| value & 3 != keep);
            self.kept.retain(|_, value| *value & 3 != keep);
        } else {
            let at = usize::from(byte).checked_rem(self.kept.len()).unwrap_or(0);
            let text = match self.kept.keys().nth(at) {
                Some(text) if byte & 0x80 == 0 => text.clone(),
                Some(_) | None => name(input),
            };
            self.remove_kept(&text);
        }
        self.no_longer_owed();
    }

    fn remove_kept(&mut self, text: &str) {
        let name = TopicName::new(text).expect("made of levels");
        assert_eq!(self.retained.remove(&name), self.kept.remove(text));
        assert_eq!(self.retained.get(&name), None);
        self.no_longer_owed();
    }

    fn no_longer_owed(&mut self) {
        assert_eq!(self.retained.len(), self.kept.len());
        for walk in &mut self.walks {
            walk.owed.retain(|name, _| self.kept.contains_key(name));
        }
    }

    fn find_kept(&mut self, text: &str, budget: usize) {
        let filter = TopicFilter::new(text).expect("made of levels");
        let expected: Vec<(String, u32)> = self
            .kept
            .iter()
            .filter(|(name, _)| matches(text, name))
            .map(|(name, &value)| (name.clone(), value))
            .collect();
        let mut found = Vec::new();
        self.retained.visit(&filter, |name, &value| {
            found.push((name.as_str().to_owned(), value));
        });
        found.sort_unstable();
        assert_eq!(found, expected, "names that match {text}");
        self.shape.decodes |= !found.is_empty();
        let mut walk = RetainedWalk::new(&filter);
        let mut pieces = Vec::new();
        for _ in 0..=200 * (1 + self.kept.len()) {
            let done = walk.advance(&self.retained, budget, |name, &value| {
                pieces.push((name.as_str().to_owned(), value));
            });
            assert_eq!(done, walk.is_done());
            if done {
                break;
            }
        }
        assert!(walk.is_done(), "a walk that does not end");
        pieces.sort_unstable();
        assert_eq!(pieces, expected, "names that match {text}, in pieces");
    }

    /// Begins a walk, or goes on with one that began before other changes.
    fn walk(&mut self, input: &mut Input<'_>, operation: u8) {
        if operation & 0x10 == 0 && self.walks.len() < 4 {
            let text = filter(input);
            let owed = self.kept.keys().filter(|name| matches(&text, name));
            self.walks.push(Walk {
                owed: owed.map(|name| (name.clone(), false)).collect(),
                walk: RetainedWalk::new(&TopicFilter::new(&text).expect("made of levels")),
                filter: text,
                last: None,
            });
            return;
        }
        let choice = input.byte();
        let at = usize::from(choice).checked_rem(self.walks.len());
        let Some(walk) = at.and_then(|at| self.walks.get_mut(at)) else {
            return;
        };
        let (owed, filter, kept) = (&mut walk.owed, &walk.filter, &self.kept);
        let done = walk.walk.advance(
            &self.retained,
            usize::from(operation >> 5),
            |name, value| {
                let name = name.as_str();
                assert!(matches(filter, name), "{filter} shows {name}");
                assert_eq!(kept.get(name), Some(value), "{name} as it is now");
                walk.last = Some(name.to_owned());
                if let Some(shown) = owed.get_mut(name) {
                    assert!(!*shown, "{filter} shows {name} twice");
                    *shown = true;
                }
            },
        );
        if done {
            let missed = owed.iter().find(|(_, shown)| !**shown);
            assert_eq!(missed, None, "{filter} missed a name that was always there");
            self.walks.retain(|walk| !walk.walk.is_done());
        } else if choice & 0x80 != 0
            && let Some(text) = walk.last.take()
        {
            // The place where it stands goes.
            self.remove_kept(&text);
        }
    }

    /// What is taken out to the last leaves nothing behind.
    fn empty(&mut self) {
        for name in ["a", "a/b", "$SYS/a", "/"] {
            self.find_subscribers(name);
        }
        self.find_kept("#", 3);
        while let Some((text, who)) = self.subscribed.keys().next().cloned() {
            self.unsubscribe(&text, who);
            if self.subscribed.len() < 8 || self.subscribed.len().is_multiple_of(8) {
                self.find_subscribers(&witness(&text));
            }
        }
        while let Some(text) = self.kept.keys().next().cloned() {
            let name = TopicName::new(&text).expect("it was inserted");
            assert_eq!(self.retained.remove(&name), self.kept.remove(&text));
        }
        assert!(self.subscriptions.is_empty() && self.retained.is_empty());
        assert_eq!(self.subscriptions.filters(), 0);
        self.find_kept("+/#", 1);
        self.find_subscribers("a/b");
    }
}

fn generation(index: &SubscriptionIndex<u8, u32>, name: &str) -> Option<u64> {
    Some(index.generation(&TopicName::new(name).ok()?))
}

/// A topic of up to 8 levels.
fn topic(input: &mut Input<'_>, levels: &[&'static str]) -> String {
    let shape = input.byte();
    let count = [2, 1, 2, 3, 2, 3, 4, 7][usize::from(shape & 7)];
    let mut chosen: Vec<&str> = (0..count).map(|_| input.pick(levels)).collect();
    if let Some(at) = chosen.iter().position(|level| *level == "#") {
        chosen.truncate(at + 1);
    }
    let mut text = chosen.join("/");
    if shape >= 0xf8 {
        // Deeper than any buffer of fixed size.
        text = format!("{}{text}", "a/".repeat(126 + usize::from(shape & 7)));
    }
    if text.is_empty() {
        "/".to_owned()
    } else {
        text
    }
}

fn name(input: &mut Input<'_>) -> String {
    topic(input, &NAMES)
}

fn filter(input: &mut Input<'_>) -> String {
    topic(input, &FILTERS)
}

/// The rules of section 4.7, one level at a time.
fn matches(filter: &str, name: &str) -> bool {
    if filter.starts_with(['+', '#']) && name.starts_with('$') {
        return false;
    }
    let (mut filter, mut name) = (filter.split('/'), name.split('/'));
    loop {
        match (filter.next(), name.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}

/// A name that the filter matches, as few others as can be do.
fn witness(filter: &str) -> String {
    filter.replace(['+', '#'], FRESH)
}

/// A filter, another one and a name: what matches, and which filter covers which.
fn compare(wide: &str, narrow: &str, name: &str) {
    let [wide_filter, narrow_filter] =
        [wide, narrow].map(|text| TopicFilter::new(text).expect("made of levels"));
    let topic = TopicName::new(name).expect("made of levels");
    assert_eq!(
        wide_filter.matches(&topic),
        matches(wide, name),
        "{wide} {name}"
    );
    assert_eq!(wide_filter.level_count(), wide.split('/').count());
    assert_eq!(wide_filter.as_name().is_some(), !wide.contains(['+', '#']));
    assert_eq!(topic.level_count(), name.split('/').count());
    // If another name than these tells the two apart, one of these does.
    let mut witnesses = vec![witness(narrow)];
    if let Some(above) = narrow.strip_suffix('#') {
        witnesses.extend(above.strip_suffix('/').map(witness));
        witnesses.push(witness(above) + FRESH + "/" + FRESH);
        witnesses.push(witness(above) + "/" + FRESH);
    }
    // The parent of `/#` is no name.
    witnesses.retain(|name| !name.is_empty());
    let covered = witnesses.iter().all(|name| matches(wide, name));
    assert_eq!(
        wide_filter.covers(&narrow_filter),
        covered,
        "{wide} covers {narrow}"
    );
    assert!(wide_filter.covers(&wide_filter));
}

/// Any text: which rules it keeps.
fn check_text(input: &mut Input<'_>, operation: u8) {
    const PREFIXES: [&str; 4] = ["", "$share/", "$share/g/", "$shar"];
    let len = input.below(24);
    let tail = String::from_utf8_lossy(input.take(len));
    let text = format!("{}{tail}", PREFIXES[usize::from(operation >> 6)]);
    let text = text.as_str();
    let name = !text.is_empty() && !text.contains(['+', '#', '\0']);
    assert_eq!(TopicName::new(text).is_ok(), name, "name {text:?}");
    assert_eq!(
        TopicFilter::new(text).is_ok(),
        is_filter(text),
        "filter {text:?}"
    );
    assert_eq!(
        ShareName::new(text).is_ok(),
        is_share(text),
        "share name {text:?}"
    );
    for at in [
        TopicName::new(text).err().map(|error| error.at),
        TopicFilter::new(text).err().map(|error| error.at),
        ShareName::new(text).err().map(|error| error.at),
        ParsedFilter::parse(text).err().map(|error| error.at),
    ]
    .into_iter()
    .flatten()
    {
        assert!(at as usize <= text.len(), "{at} in {text:?}");
    }
    let parsed = ParsedFilter::parse(text);
    let Some(rest) = text.strip_prefix("$share/") else {
        let plain = TopicFilter::new(text).map(ParsedFilter::from);
        assert_eq!(parsed, plain, "{text:?}");
        return;
    };
    match rest.split_once('/') {
        Some((share, filter)) if is_share(share) && is_filter(filter) => {
            let parsed = parsed.unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let shared = parsed.share.map(ShareName::as_str);
            assert_eq!((shared, parsed.filter.as_str()), (Some(share), filter));
        }
        Some(_) | None => assert!(parsed.is_err(), "{text:?} is no shared subscription"),
    }
}

fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let fits = |(at, level): (usize, &&str)| {
        !level.contains(['+', '#']) || *level == "+" || *level == "#" && at + 1 == levels.len()
    };
    !text.is_empty() && !text.contains('\0') && levels.iter().enumerate().all(fits)
}

fn is_share(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '+', '#', '\0'])
}
