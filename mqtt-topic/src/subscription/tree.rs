//! [`WildcardTree`]: filters with wildcards, level by level.
//!
//! A node stands for the levels from the first to its own. A child by name is found through one edge
//! table for the whole tree, the child by `+` is kept in the node, and subscribers to `…/#` are kept
//! in the node for `…`, so that `sport/#` is found where `sport` ends.

use super::subscribers::Subscribers;
use crate::TopicFilter;
use crate::hash::HashKey;
use crate::intern::Interner;
use crate::levels::Level;
use crate::slab::Slab;
use crate::table::IdTable;

/// The node above all first levels; it exists from the first filter to the last.
pub(super) const ROOT: u32 = 0;
/// No node, or no level of that name in any filter.
pub(super) const NONE: u32 = u32::MAX;
/// In place of a level's id: the node is its parent's child by `+`.
const PLUS: u32 = u32::MAX;

/// Filters with wildcards and who subscribes to them.
#[derive(Clone)]
pub(super) struct WildcardTree<K, V> {
    key: HashKey,
    pub(super) nodes: Slab<Node<K, V>>,
    edges: IdTable,
    pub(super) levels: Interner,
    filters: usize,
    /// Levels of the deepest filter since the tree was last empty, `#` not counted.
    pub(super) deepest: usize,
}

#[derive(Clone)]
pub(super) struct Node<K, V> {
    parent: u32,
    /// The level by which the parent knows this node.
    level: u32,
    pub(super) plus: u32,
    /// Children by name.
    pub(super) named: u32,
    /// Subscribers to the filter that ends here.
    pub(super) here: Subscribers<K, V>,
    /// Subscribers to that filter with `/#` behind it.
    pub(super) below: Subscribers<K, V>,
}

impl<K, V> Node<K, V> {
    const fn new(parent: u32, level: u32) -> Self {
        Self {
            parent,
            level,
            plus: NONE,
            named: 0,
            here: Subscribers::None,
            below: Subscribers::None,
        }
    }
}

impl<K: Copy + Ord, V> WildcardTree<K, V> {
    pub(super) const fn new(key: HashKey) -> Self {
        Self {
            key,
            nodes: Slab::new(),
            edges: IdTable::new(),
            levels: Interner::new(key),
            filters: 0,
            deepest: 0,
        }
    }

    /// How many different filters there are.
    pub(super) const fn len(&self) -> usize {
        self.filters
    }

    pub(super) fn subscribers(&self, filter: TopicFilter<'_>) -> Option<&Subscribers<K, V>> {
        let (node, last) = self.find(filter)?;
        let node = &self.nodes[node];
        Some(if last == Level::Hash {
            &node.below
        } else {
            &node.here
        })
    }

    /// The node where the filter's subscribers are, and the filter's last level.
    fn find<'f>(&self, filter: TopicFilter<'f>) -> Option<(u32, Level<'f>)> {
        if self.filters == 0 {
            return None;
        }
        let mut node = ROOT;
        let mut last = Level::Hash;
        for level in filter.levels() {
            last = level;
            node = match level {
                Level::Hash => node,
                Level::Plus => Some(self.nodes[node].plus).filter(|&plus| plus != NONE)?,
                Level::Name(name) => self.child(node, self.levels.find(name)?)?,
            };
        }
        Some((node, last))
    }

    pub(super) fn child(&self, parent: u32, level: u32) -> Option<u32> {
        self.edges.find(self.key.edge(parent, level), |id| {
            let node = &self.nodes[id];
            node.parent == parent && node.level == level
        })
    }

    pub(super) fn insert(&mut self, filter: TopicFilter<'_>, key: K, value: V) -> Option<V> {
        if self.filters == 0 {
            self.nodes = Slab::new();
            self.nodes.insert(Node::new(NONE, NONE));
        }
        let mut node = ROOT;
        let mut last = Level::Hash;
        let mut depth = 0;
        for level in filter.levels() {
            last = level;
            node = match level {
                Level::Hash => break,
                Level::Plus => self.plus_or_new(node),
                Level::Name(name) => self.child_or_new(node, name),
            };
            depth += 1;
        }
        self.deepest = self.deepest.max(depth);
        let node = &mut self.nodes[node];
        let subscribers = if last == Level::Hash {
            &mut node.below
        } else {
            &mut node.here
        };
        if subscribers.is_empty() {
            self.filters += 1;
        }
        subscribers.insert(key, value)
    }

    fn plus_or_new(&mut self, parent: u32) -> u32 {
        if self.nodes[parent].plus == NONE {
            self.nodes[parent].plus = self.nodes.insert(Node::new(parent, PLUS));
        }
        self.nodes[parent].plus
    }

    fn child_or_new(&mut self, parent: u32, name: &str) -> u32 {
        if let Some(child) = self
            .levels
            .find(name)
            .and_then(|level| self.child(parent, level))
        {
            return child;
        }
        let level = self.levels.acquire(name);
        let child = self.nodes.insert(Node::new(parent, level));
        self.nodes[parent].named += 1;
        let (key, nodes) = (self.key, &self.nodes);
        self.edges.insert(key.edge(parent, level), child, |id| {
            key.edge(nodes[id].parent, nodes[id].level)
        });
        child
    }

    pub(super) fn remove(&mut self, filter: TopicFilter<'_>, key: &K) -> Option<V> {
        let (at, last) = self.find(filter)?;
        let node = &mut self.nodes[at];
        let subscribers = if last == Level::Hash {
            &mut node.below
        } else {
            &mut node.here
        };
        let value = subscribers.remove(key)?;
        if subscribers.is_empty() {
            self.filters -= 1;
            if self.filters == 0 {
                *self = Self::new(self.key);
            } else {
                self.prune(at);
            }
        }
        Some(value)
    }

    /// Removes a node that nothing needs any more, and its ancestors likewise.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT {
            let Node {
                parent,
                level,
                plus,
                named,
                ref here,
                ref below,
            } = self.nodes[at];
            if plus != NONE || named > 0 || !here.is_empty() || !below.is_empty() {
                return;
            }
            if level == PLUS {
                if !cfg!(mutation = "fuzz-plus-edge") || self.nodes[parent].named < 2 {
                    self.nodes[parent].plus = NONE;
                }
            } else {
                let (key, nodes) = (self.key, &self.nodes);
                self.edges.remove(key.edge(parent, level), at, |id| {
                    key.edge(nodes[id].parent, nodes[id].level)
                });
                self.nodes[parent].named -= 1;
                self.levels.release(level);
            }
            self.nodes.remove(at);
            at = parent;
        }
    }

    /// Nodes and level texts kept, and places that hold memory.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> (usize, usize, usize) {
        let (texts, places) = self.levels.footprint();
        (
            self.nodes.len(),
            texts,
            places + self.nodes.capacity() + self.edges.capacity(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::found::Found;
    use super::{Node, WildcardTree};
    use crate::hash::HashKey;
    use crate::{TopicFilter, TopicName};

    #[test]
    fn a_node_takes_48_bytes() {
        assert_eq!(size_of::<Node<u32, (u32, u32)>>(), 48);
    }

    /// Nodes, edges and texts of a filter go with its last subscriber.
    #[test]
    fn nothing_is_kept_of_a_removed_filter() {
        let mut tree = WildcardTree::new(HashKey::from_seed(1));
        let [stays, deep, hash] =
            ["a/+", "a/+/b/c/+", "a/b/#"].map(|text| TopicFilter::new(text).unwrap());
        tree.insert(stays, 1, ());
        let before = tree.footprint();
        tree.insert(deep, 1, ());
        tree.insert(hash, 2, ());
        tree.remove(hash, &2);
        assert_eq!(tree.remove(deep, &2), None);
        tree.remove(deep, &1);
        assert_eq!(
            (tree.footprint().0, tree.footprint().1),
            (before.0, before.1)
        );
        let mut count = 0;
        let mut visitor = |_: &i32, (): &()| count += 1;
        let mut found = Found::new(&mut visitor);
        tree.visit(TopicName::new("a/b").unwrap(), &mut found);
        found.show();
        assert_eq!(count, 1);
        tree.remove(stays, &1);
        assert_eq!(tree.footprint(), (0, 0, 0));
    }
}
