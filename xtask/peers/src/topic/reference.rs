//! Hand-written indexes to compare with: the usual tree at its least, and a hash map of whole names.

use std::collections::HashMap;

use super::index::{Found, Index};

/// The end of a list, no node.
const NONE: u32 = u32::MAX;

/// Levels are numbers, one table leads from (node, level) to the child, subscribers hang on their node in one arena.
/// Filters without wildcards are in the tree like all others. The hashes are the standard library's.
#[derive(Debug)]
pub struct Edges {
    levels: HashMap<Box<str>, u32>,
    children: HashMap<(u32, u32), u32>,
    nodes: Vec<Node>,
    subscribers: Vec<(u32, u32)>,
}

#[derive(Debug, Clone)]
struct Node {
    plus: u32,
    here: u32,
    below: u32,
}

const EMPTY: Node = Node {
    plus: NONE,
    here: NONE,
    below: NONE,
};

impl Default for Edges {
    fn default() -> Self {
        Self {
            levels: HashMap::new(),
            children: HashMap::new(),
            nodes: vec![EMPTY],
            subscribers: Vec::new(),
        }
    }
}

impl Edges {
    fn new_node(&mut self) -> u32 {
        self.nodes.push(EMPTY);
        self.nodes.len() as u32 - 1
    }

    /// The head of the list of a filter.
    fn list(&mut self, filter: &str) -> &mut u32 {
        let mut at = 0;
        for level in filter.split('/') {
            at = match level {
                "#" => return &mut self.nodes[at as usize].below,
                "+" if self.nodes[at as usize].plus != NONE => self.nodes[at as usize].plus,
                "+" => {
                    let child = self.new_node();
                    self.nodes[at as usize].plus = child;
                    child
                }
                level => {
                    let fresh = self.levels.len() as u32;
                    let level = match self.levels.get(level) {
                        Some(&level) => level,
                        None => *self.levels.entry(level.into()).or_insert(fresh),
                    };
                    match self.children.get(&(at, level)) {
                        Some(&child) => child,
                        None => {
                            let child = self.new_node();
                            self.children.insert((at, level), child);
                            child
                        }
                    }
                }
            };
        }
        &mut self.nodes[at as usize].here
    }

    fn collect(&self, mut entry: u32, found: &mut Found) {
        while let Some(&(who, next)) = self.subscribers.get(entry as usize) {
            found.add(who);
            entry = next;
        }
    }

    fn walk(&self, at: u32, rest: Option<&str>, first: bool, found: &mut Found) {
        let node = &self.nodes[at as usize];
        let wildcards = !(first && rest.is_some_and(|rest| rest.starts_with('$')));
        if wildcards {
            self.collect(node.below, found);
        }
        let Some(rest) = rest else {
            return self.collect(node.here, found);
        };
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        let level = self.levels.get(level).copied().unwrap_or(NONE);
        if let Some(&child) = self.children.get(&(at, level)) {
            self.walk(child, rest, false, found);
        }
        if wildcards && node.plus != NONE {
            self.walk(node.plus, rest, false, found);
        }
    }
}

impl Index for Edges {
    type Token = ();

    const NAME: &'static str = "one edge table";

    fn subscribe(&mut self, filter: &str, who: u32) {
        let entry = self.subscribers.len() as u32;
        let head = self.list(filter);
        let next = std::mem::replace(head, entry);
        self.subscribers.push((who, next));
    }

    /// Takes the entry out of its list; neither it nor nodes are used again.
    fn unsubscribe(&mut self, filter: &str, who: u32, (): ()) {
        let mut entry = *self.list(filter);
        let mut before = NONE;
        while let Some(&(other, next)) = self.subscribers.get(entry as usize) {
            if other != who {
                (before, entry) = (entry, next);
                continue;
            }
            match self.subscribers.get_mut(before as usize) {
                Some(before) => before.1 = next,
                None => *self.list(filter) = next,
            }
            return;
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let mut found = Found::default();
        self.walk(0, Some(name), true, &mut found);
        found
    }
}

/// Whole names in a hash map: what the filters without wildcards cost alone. It keeps no others.
#[derive(Debug, Default)]
pub struct OneMap(HashMap<Box<str>, Vec<u32>>);

impl Index for OneMap {
    type Token = ();

    const NAME: &'static str = "exact names alone";

    fn subscribe(&mut self, filter: &str, who: u32) {
        if filter.contains(['+', '#']) {
            return;
        }
        match self.0.get_mut(filter) {
            Some(list) => list.push(who),
            None => {
                self.0.insert(filter.into(), vec![who]);
            }
        }
    }

    fn unsubscribe(&mut self, filter: &str, who: u32, (): ()) {
        if let Some(list) = self.0.get_mut(filter) {
            list.retain(|other| *other != who);
            if list.is_empty() {
                self.0.remove(filter);
            }
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Found {
        let mut found = Found::default();
        for who in self.0.get(name).into_iter().flatten() {
            found.add(*who);
        }
        found
    }
}
