//! The walk that finds the names of a filter, at once or in pieces: [`RetainedWalk`].

use alloc::vec::Vec;

use super::{NONE, ROOT, RetainedIndex};
use crate::intern::Interner;
use crate::levels::Level;
use crate::owned::TopicFilterBuf;
use crate::{TopicFilter, TopicName};

/// A visit of all names that match a filter, in pieces, between which the index may change.
///
/// Each piece looks at no more nodes than it is told to, so that a filter that passes a million names
/// does not hold anything else up. Names that are there all the time are visited exactly once; names
/// stored or removed meanwhile may be visited or not.
///
/// ```
/// use mqtt_topic::{RetainedIndex, RetainedWalk, TopicFilter, TopicName};
///
/// let mut index = RetainedIndex::with_seed(0x5eed);
/// index.insert(&TopicName::new("a/1")?, 'x');
/// index.insert(&TopicName::new("a/2")?, 'y');
///
/// let mut walk = RetainedWalk::new(&TopicFilter::new("a/+").unwrap());
/// let mut found = Vec::new();
/// while !walk.advance(&index, 1, |name, value| found.push(format!("{name}={value}"))) {
///     // other work
/// }
/// found.sort();
/// assert_eq!(found, ["a/1=x", "a/2=y"]);
/// # Ok::<(), mqtt_topic::TopicNameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RetainedWalk {
    filter: TopicFilterBuf,
    path: Vec<Place>,
    done: bool,
}

impl RetainedWalk {
    /// A walk over the names that match `filter`, not begun yet.
    #[must_use]
    pub fn new(filter: &TopicFilter<'_>) -> Self {
        Self {
            filter: filter.to_buf(),
            path: Vec::new(),
            done: false,
        }
    }

    /// Looks at up to `budget` nodes (at least one) and calls `visitor` for those that match; `true` when
    /// all were seen.
    ///
    /// `index` is the same in each call. Cost: by `budget`, the length of the filter and the depth of the
    /// tree; once by the number of siblings if the node where the last piece ended was removed meanwhile.
    pub fn advance<T>(
        &mut self,
        index: &RetainedIndex<T>,
        budget: usize,
        mut visitor: impl FnMut(TopicName<'_>, &T),
    ) -> bool {
        if !self.done {
            self.done = Plan::of(self.filter.as_filter(), &index.levels).is_none_or(|plan| {
                index.walk(&plan, &mut self.path, budget, |id, name| {
                    index.show(id, name, &mut visitor);
                })
            });
        }
        self.done
    }

    /// Whether all names were seen.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }
}

/// A node on the way down, and its number, which tells whether it is still the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    node: u32,
    born: u64,
}

/// A filter in terms of level ids.
pub(super) struct Plan {
    steps: Vec<Step>,
    /// Whether `#` follows the steps.
    hash: bool,
    /// Whether first levels that begin with `$` are passed by.
    skips_dollar: bool,
}

/// Where a walk goes from a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To the child with this level.
    Named(u32),
    /// To all children.
    Any,
    /// Not further down.
    End,
}

impl Plan {
    /// The plan for a filter; `None` if a level occurs in no name, so that nothing can match.
    pub(super) fn of(filter: TopicFilter<'_>, levels: &Interner) -> Option<Self> {
        let mut steps = Vec::new();
        let mut hash = false;
        for level in filter.levels() {
            match level {
                Level::Name(name) => steps.push(Step::Named(levels.find(name)?)),
                Level::Plus => steps.push(Step::Any),
                Level::Hash => hash = true,
            }
        }
        Some(Self {
            steps,
            hash,
            skips_dollar: filter.begins_with_wildcard(),
        })
    }

    /// The plan that finds all names, those that begin with `$` included.
    pub(super) const fn everything() -> Self {
        Self {
            steps: Vec::new(),
            hash: true,
            skips_dollar: false,
        }
    }

    fn step(&self, depth: usize) -> Step {
        let beyond = if self.hash { Step::Any } else { Step::End };
        self.steps.get(depth).copied().unwrap_or(beyond)
    }

    const fn matches_at(&self, depth: usize) -> bool {
        depth == self.steps.len() || self.hash && depth > self.steps.len()
    }
}

impl<T> RetainedIndex<T> {
    /// Goes on from `path`, whose last node was shown and whose children are still to come, through up to
    /// `budget` nodes, and calls `found` for those that match. `true` when there are no more.
    pub(super) fn walk(
        &self,
        plan: &Plan,
        path: &mut Vec<Place>,
        budget: usize,
        mut found: impl FnMut(u32, TopicName<'_>),
    ) -> bool {
        if self.nodes.len() == 0 {
            return true;
        }
        let mut budget = budget.max(1);
        let mut removed = self.leave_removed(path);
        // Bytes: of most nodes that are passed nobody sees the name.
        let mut name = Vec::new();
        for (depth, place) in path.iter().enumerate() {
            self.push_level(&mut name, depth, place.node);
        }
        loop {
            let at = path.last().map_or(ROOT, |place| place.node);
            let depth = path.len();
            let mut next = match (plan.step(depth), removed.take()) {
                _ if self.is_passed_by(plan, depth, &name) => NONE,
                (Step::Any, None) => self.nodes[at].first_child,
                (Step::Any, Some(born)) => self.child_before(at, born),
                (Step::Named(level), None) => self.child(at, level).unwrap_or(NONE),
                (Step::Named(_), Some(_)) | (Step::End, _) => NONE,
            };
            while next == NONE {
                let Some(place) = path.pop() else { return true };
                let node = &self.nodes[place.node];
                let kept = name.len() - self.levels.bytes(node.level).len();
                name.truncate(kept.saturating_sub(1));
                if plan.step(path.len()) == Step::Any {
                    next = node.older;
                }
            }
            self.push_level(&mut name, path.len(), next);
            path.push(Place {
                node: next,
                born: self.nodes[next].born,
            });
            let depth = path.len();
            if plan.matches_at(depth)
                && !self.is_passed_by(plan, depth, &name)
                && let Ok(name) = core::str::from_utf8(&name)
            {
                found(next, TopicName::trusted(name));
            }
            budget -= 1;
            if budget == 0 {
                return false;
            }
        }
    }

    /// Whether the node is a first level that a leading wildcard does not match.
    fn is_passed_by(&self, plan: &Plan, depth: usize, name: &[u8]) -> bool {
        depth == 1 && plan.skips_dollar && name.starts_with(b"$")
    }

    fn push_level(&self, name: &mut Vec<u8>, depth: usize, node: u32) {
        if depth > 0 {
            name.push(b'/');
        }
        name.extend_from_slice(self.levels.bytes(self.nodes[node].level));
    }

    /// Takes nodes off the path that are no longer there; tells the number of the uppermost of them.
    fn leave_removed(&self, path: &mut Vec<Place>) -> Option<u64> {
        let mut removed = None;
        while let Some(place) = path.last() {
            if self
                .nodes
                .get(place.node)
                .is_some_and(|node| node.born == place.born)
            {
                break;
            }
            removed = Some(place.born);
            #[cfg(mutation = "fuzz-walk-resumed")]
            if path.len() > 1 {
                removed = None;
            }
            path.pop();
        }
        removed
    }

    /// The youngest child that is older than `born`: the next one in the list after the removed one.
    fn child_before(&self, parent: u32, born: u64) -> u32 {
        let mut child = self.nodes[parent].first_child;
        while child != NONE && self.nodes[child].born > born {
            child = self.nodes[child].older;
        }
        child
    }
}
