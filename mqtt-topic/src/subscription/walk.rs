//! The walk through the tree that finds the filters of a name.

use alloc::vec;

use super::found::Found;
use super::tree::{NONE, ROOT, WildcardTree};
use crate::TopicName;

/// In place of a level's id: not looked up yet.
const UNKNOWN: u32 = u32::MAX - 1;

/// What the walk node by node knows about one level of the name.
#[derive(Clone, Copy)]
struct Step {
    /// Where the level ends in the name.
    end: usize,
    /// Its id, `NONE` or `UNKNOWN`.
    level: u32,
    /// The child by `+` to be tried when all below the child by name was seen.
    pending: u32,
}

/// The nodes that a name has led to at one depth, as far as there is room: more than a few are rare.
struct Row {
    nodes: [u32; ROW],
    len: usize,
}

const ROW: usize = 16;

impl Row {
    const EMPTY: Self = Self {
        nodes: [NONE; ROW],
        len: 0,
    };

    const fn of(node: u32) -> Self {
        let mut row = Self::EMPTY;
        row.nodes[0] = node;
        row.len = 1;
        row
    }

    /// Adds a node if there is room.
    #[inline]
    fn push(&mut self, node: u32) -> bool {
        let room = self.nodes.get_mut(self.len);
        let has_room = room.is_some();
        if let Some(place) = room {
            *place = node;
            self.len += 1;
        }
        has_room
    }

    fn nodes(&self) -> &[u32] {
        &self.nodes[..self.len]
    }

    const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

const FRESH: Step = Step {
    end: 0,
    level: UNKNOWN,
    pending: NONE,
};

impl<K: Copy + Ord, V> WildcardTree<K, V> {
    /// Finds every filter that matches `name`.
    ///
    /// Goes down level by level with all nodes that the name has led to so far: what their probes wait for
    /// does not depend on one another, so that they wait together.
    pub(super) fn visit<'i>(
        &'i self,
        name: TopicName<'_>,
        found: &mut Found<'i, '_, K, V, impl FnMut(&K, &V)>,
    ) {
        if self.len() == 0 {
            return;
        }
        let text = name.as_str();
        let mut wildcards = !name.is_dollar();
        let mut start = 0;
        let mut row = Row::of(ROOT);
        while !row.is_empty() && start <= text.len() {
            let end = level_end(text, start);
            let level = self.levels.find(&text[start..end]).unwrap_or(NONE);
            let mut next = Row::EMPTY;
            for &at in row.nodes() {
                let node = &self.nodes[at];
                if wildcards {
                    found.add(&node.below);
                }
                let named = if node.named > 0 && level != NONE {
                    self.child(at, level).unwrap_or(NONE)
                } else {
                    NONE
                };
                let plus = if wildcards { node.plus } else { NONE };
                for child in [named, plus] {
                    if child != NONE && !next.push(child) {
                        self.visit_below(child, end + 1, text, found);
                    }
                }
            }
            row = next;
            start = end + 1;
            wildcards = true;
        }
        for &at in row.nodes() {
            let node = &self.nodes[at];
            found.add(&node.below);
            found.add(&node.here);
        }
    }

    /// The same below a node for which a row has no room, where the levels from `start` on are left.
    #[cold]
    fn visit_below<'i>(
        &'i self,
        at: u32,
        start: usize,
        text: &str,
        found: &mut Found<'i, '_, K, V, impl FnMut(&K, &V)>,
    ) {
        match self.deepest {
            0..=16 => self.walk(&mut [FRESH; 16], at, start, text, found),
            17..=128 => self.walk(&mut [FRESH; 128], at, start, text, found),
            deepest => {
                let left = text.get(start..).map_or(0, |text| text.split('/').count());
                self.walk(&mut vec![FRESH; deepest.min(left)], at, start, text, found);
            }
        }
    }

    /// Goes down by name first and by `+` afterwards. `steps` remembers, level by level, what is still
    /// to be tried, so that depth costs neither recursion nor a second look at the name.
    fn walk<'i>(
        &'i self,
        steps: &mut [Step],
        mut at: u32,
        first: usize,
        text: &str,
        found: &mut Found<'i, '_, K, V, impl FnMut(&K, &V)>,
    ) {
        let mut depth = 0;
        // Levels whose end is known.
        let mut split = 0;
        loop {
            let node = &self.nodes[at];
            found.add(&node.below);
            let start = if depth == 0 {
                first
            } else {
                steps[depth - 1].end + 1
            };
            let mut next = NONE;
            if start > text.len() {
                found.add(&node.here);
            } else if (node.named > 0 || node.plus != NONE)
                && let Some(step) = steps.get_mut(depth)
            {
                if depth == split {
                    step.end = level_end(text, start);
                    step.level = UNKNOWN;
                    split += 1;
                }
                let named = if node.named == 0 {
                    NONE
                } else {
                    self.step_into(at, step, &text[start..step.end])
                };
                (next, step.pending) = if named == NONE {
                    (node.plus, NONE)
                } else {
                    (named, node.plus)
                };
            }
            while next == NONE {
                if depth == 0 {
                    return;
                }
                depth -= 1;
                next = core::mem::replace(&mut steps[depth].pending, NONE);
            }
            at = next;
            depth += 1;
        }
    }

    fn step_into(&self, at: u32, step: &mut Step, level: &str) -> u32 {
        if step.level == UNKNOWN {
            step.level = self.levels.find(level).unwrap_or(NONE);
        }
        if step.level == NONE {
            NONE
        } else {
            self.child(at, step.level).unwrap_or(NONE)
        }
    }
}

/// Where the level that starts at `start` ends.
fn level_end(text: &str, start: usize) -> usize {
    text.as_bytes()[start..]
        .iter()
        .position(|&byte| byte == b'/')
        .map_or(text.len(), |len| start + len)
}
