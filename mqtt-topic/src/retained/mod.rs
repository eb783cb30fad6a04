//! [`RetainedIndex`]: one value per topic name, found by filter.

mod walk;

use alloc::vec::Vec;
use core::fmt;

use self::walk::Plan;
pub use self::walk::RetainedWalk;
use crate::hash::HashKey;
use crate::intern::Interner;
use crate::slab::Slab;
use crate::table::IdTable;
use crate::{TopicFilter, TopicName};

/// The node above all first levels; it exists from the first name to the last.
const ROOT: u32 = 0;
/// No node.
const NONE: u32 = u32::MAX;

/// Values by topic name, such as the retained message of each topic: one `T` per name, and a visit of
/// all whose names match a filter.
///
/// A tree, level by level, with one edge table for children by name and a list of each node's children
/// for wildcards. Names are not kept whole: levels are stored once and shared. There is room for about
/// four thousand million nodes. Memory is given back as names are removed.
///
/// ```
/// use mqtt_topic::{RetainedIndex, TopicFilter, TopicName};
///
/// let mut index = RetainedIndex::with_seed(0x5eed); // a random number in earnest
/// index.insert(&TopicName::new("site/7/temperature")?, 21.5);
/// index.insert(&TopicName::new("site/8/temperature")?, 19.0);
///
/// let mut sum = 0.0;
/// index.visit(&TopicFilter::new("site/+/temperature").unwrap(), |_, value| sum += value);
/// assert_eq!(sum, 40.5);
/// # Ok::<(), mqtt_topic::TopicNameError>(())
/// ```
#[derive(Clone)]
pub struct RetainedIndex<T> {
    key: HashKey,
    nodes: Slab<Node<T>>,
    edges: IdTable,
    levels: Interner,
    len: usize,
    /// Nodes made so far, so that each has a number of its own.
    born: u64,
}

#[derive(Clone)]
struct Node<T> {
    parent: u32,
    level: u32,
    /// The youngest child; the older ones hang on it.
    first_child: u32,
    older: u32,
    younger: u32,
    /// No two nodes of an index ever have the same.
    born: u64,
    value: Option<T>,
}

impl<T> RetainedIndex<T> {
    /// An empty index whose hash tables depend on `seed`.
    ///
    /// Clients choose the names. With a seed that they cannot know, they cannot tell which
    /// collide; take it from a source of randomness, anew at each start.
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        let key = HashKey::from_seed(seed);
        Self {
            key,
            nodes: Slab::new(),
            edges: IdTable::new(),
            levels: Interner::new(key),
            len: 0,
            born: 0,
        }
    }

    /// Stores `value` under `name` and returns the earlier value.
    ///
    /// Cost: two probes a level, one node for each level that no other name shares. No limit on depth is
    /// kept here: compare [`TopicName::level_count`] first.
    pub fn insert(&mut self, name: &TopicName<'_>, value: T) -> Option<T> {
        if self.nodes.len() == 0 {
            self.new_node(NONE, NONE);
        }
        let mut at = ROOT;
        for level in name.levels() {
            at = self.child_or_new(at, level);
        }
        let replaced = self.nodes[at].value.replace(value);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Removes the value of `name` and returns it; `None` if there was none. Cost: two probes a level.
    pub fn remove(&mut self, name: &TopicName<'_>) -> Option<T> {
        let at = self.find(*name)?;
        let value = self.nodes[at].value.take()?;
        self.len -= 1;
        self.prune(at);
        Some(value)
    }

    /// The value of `name`. Cost: two probes a level.
    #[must_use]
    pub fn get(&self, name: &TopicName<'_>) -> Option<&T> {
        self.nodes[self.find(*name)?].value.as_ref()
    }

    /// The value of `name`, to be changed in place.
    #[must_use]
    pub fn get_mut(&mut self, name: &TopicName<'_>) -> Option<&mut T> {
        let at = self.find(*name)?;
        self.nodes[at].value.as_mut()
    }

    /// Calls `visitor` for every value whose name matches `filter`, in no order to rely on.
    ///
    /// A filter that begins with a wildcard finds no name that begins with `$` \[MQTT-4.7.2-1\]. Does not
    /// recurse; allocates a buffer for the name and the path to it. Cost: by the matches and by the nodes
    /// that lead to them: `site/+/temperature` looks at each child of `site` once. A filter such as
    /// `+/+/+/x` may pass all names for few matches: use a [`RetainedWalk`] where that must not take long.
    pub fn visit(&self, filter: &TopicFilter<'_>, mut visitor: impl FnMut(TopicName<'_>, &T)) {
        if let Some(plan) = Plan::of(*filter, &self.levels) {
            self.walk(&plan, &mut Vec::new(), usize::MAX, |id, name| {
                self.show(id, name, &mut visitor);
            });
        }
    }

    /// Keeps the values of which `keep` says so, and removes the others. Cost: one look at every node.
    ///
    /// For values that expire: an owner with many of them keeps a list by time instead, and calls
    /// [`RetainedIndex::remove`].
    pub fn retain(&mut self, mut keep: impl FnMut(TopicName<'_>, &T) -> bool) {
        let mut ended = Vec::new();
        self.walk(
            &Plan::everything(),
            &mut Vec::new(),
            usize::MAX,
            |id, name| {
                if self.nodes[id]
                    .value
                    .as_ref()
                    .is_some_and(|value| !keep(name, value))
                {
                    ended.push(id);
                }
            },
        );
        // In the order of the walk a parent comes before its children: none is pruned before its turn.
        for id in ended {
            self.nodes[id].value = None;
            self.len -= 1;
            self.prune(id);
        }
    }

    /// How many names have a value.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no name has a value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn show(&self, id: u32, name: TopicName<'_>, visitor: &mut impl FnMut(TopicName<'_>, &T)) {
        if let Some(value) = &self.nodes[id].value {
            visitor(name, value);
        }
    }

    fn find(&self, name: TopicName<'_>) -> Option<u32> {
        name.levels()
            .try_fold(ROOT, |at, level| self.child(at, self.levels.find(level)?))
    }

    fn child(&self, parent: u32, level: u32) -> Option<u32> {
        self.edges.find(self.key.edge(parent, level), |id| {
            let node = &self.nodes[id];
            node.parent == parent && node.level == level
        })
    }

    fn child_or_new(&mut self, parent: u32, level: &str) -> u32 {
        if let Some(child) = self
            .levels
            .find(level)
            .and_then(|level| self.child(parent, level))
        {
            return child;
        }
        let level = self.levels.acquire(level);
        let child = self.new_node(parent, level);
        let older = core::mem::replace(&mut self.nodes[parent].first_child, child);
        self.nodes[child].older = older;
        if older != NONE {
            self.nodes[older].younger = child;
        }
        let (key, nodes) = (self.key, &self.nodes);
        self.edges.insert(key.edge(parent, level), child, |id| {
            key.edge(nodes[id].parent, nodes[id].level)
        });
        child
    }

    fn new_node(&mut self, parent: u32, level: u32) -> u32 {
        let born = self.born;
        self.born += 1;
        self.nodes.insert(Node {
            parent,
            level,
            first_child: NONE,
            older: NONE,
            younger: NONE,
            born,
            value: None,
        })
    }

    /// Removes a node that nothing needs any more, and its ancestors likewise.
    fn prune(&mut self, mut at: u32) {
        while self.nodes[at].value.is_none() && self.nodes[at].first_child == NONE {
            if at == ROOT {
                self.nodes = Slab::new();
                return;
            }
            let Node {
                parent,
                level,
                older,
                younger,
                ..
            } = self.nodes[at];
            if older != NONE {
                self.nodes[older].younger = younger;
            }
            if younger == NONE {
                self.nodes[parent].first_child = older;
            } else {
                self.nodes[younger].older = older;
            }
            let (key, nodes) = (self.key, &self.nodes);
            self.edges.remove(key.edge(parent, level), at, |id| {
                key.edge(nodes[id].parent, nodes[id].level)
            });
            self.levels.release(level);
            self.nodes.remove(at);
            at = parent;
        }
    }
}

impl<T> fmt::Debug for RetainedIndex<T> {
    /// Shows the number only: the content may be millions of entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedIndex")
            .field("names", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
