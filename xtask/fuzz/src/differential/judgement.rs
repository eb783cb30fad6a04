//! How a disagreement is recognised, and what is said about it.

use mqtt_codec::{RuleId, Version};

use super::facts::{Facts, Name};

/// What differs between us and a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// We refuse, by this rule; the peer reads a packet.
    WeRefuse(RuleId),
    /// We read a packet; the peer refuses, for this reason.
    PeerRefuses(String),
    /// Both read a packet, and this is not the same in both.
    Differs(Name),
    /// Both read a packet, of different types.
    Kind,
    /// The peer waits for more of a whole frame, which we read, or refuse by this rule.
    Waits(Option<RuleId>),
    /// The peer panics.
    Panics(String),
}

/// A frame on which a peer and we disagree.
pub struct Case<'c> {
    /// The peer.
    pub peer: &'static str,
    /// By which version it is read.
    pub version: Version,
    /// Its bytes.
    pub frame: &'c [u8],
    /// What we read in it.
    pub ours: Option<&'c Facts>,
}

impl Case<'_> {
    /// The number of the packet type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.frame.first().map_or(0, |first| first >> 4)
    }
}

/// Who is right by the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// We are.
    Ours,
    /// The peer is; a bug of ours.
    Theirs,
    /// Both may do what they do: another layer judges it, or the specification leaves it open.
    Both,
}

/// What a disagreement looks like.
#[derive(Clone, Copy)]
pub enum Shape {
    /// We refuse by this rule and the peer reads a packet.
    WeRefuse(RuleId),
    /// The peer refuses with an error that begins like this, and the packet, which we read, is such.
    PeerRefuses(&'static str, fn(&Facts) -> bool),
    /// One of these values differs, and the packet, as we read it, is such.
    Differs(&'static [Name], fn(&Facts) -> bool),
    /// The peer waits for more of a whole frame that we read, and that is such.
    WaitsForNothing(fn(&[u8]) -> bool),
    /// The peer waits for more of a whole frame that we refuse, by whichever rule.
    WaitsInstead,
}

/// Versions, and the numbers of the packet types in them.
pub type Places = &'static [(&'static [Version], &'static [u8])];

/// A disagreement that was looked at.
pub struct Judged {
    /// Its name, for the counts.
    pub id: &'static str,
    /// The peer.
    pub peer: &'static str,
    /// Where it is seen.
    pub places: Places,
    /// What it looks like.
    pub shape: Shape,
    /// Who is right.
    pub right: Right,
    /// The statement that says so; where we refuse, the rule knows its own.
    pub statement: &'static str,
    /// What is the matter.
    pub says: &'static str,
    /// A frame on which it is seen, in hex, read by the first of the versions.
    pub example: &'static str,
}

impl Judged {
    /// Whether this is what it is about.
    #[must_use]
    pub fn recognises(&self, case: &Case<'_>, seen: &Seen) -> bool {
        self.peer == case.peer
            && self.places.iter().any(|(versions, kinds)| {
                versions.contains(&case.version) && kinds.contains(&case.kind())
            })
            && match (self.shape, seen, case.ours) {
                (Shape::WeRefuse(rule), Seen::WeRefuse(by), _) => rule == *by,
                (Shape::PeerRefuses(begin, such), Seen::PeerRefuses(text), Some(facts)) => {
                    text.starts_with(begin) && such(facts)
                }
                (Shape::Differs(names, such), Seen::Differs(name), Some(facts)) => {
                    names.contains(name) && such(facts)
                }
                (Shape::WaitsForNothing(such), Seen::Waits(None), _) => such(case.frame),
                (Shape::WaitsInstead, Seen::Waits(Some(_)), _) => true,
                _ => false,
            }
    }

    /// What the peer does, for the headings of the page.
    #[must_use]
    pub const fn does(&self) -> &'static str {
        match (self.right, self.shape) {
            (Right::Theirs, _) => "Does right where we do not",
            (Right::Both, _) => "Does what is left open, or judged by another layer",
            (Right::Ours, Shape::WeRefuse(_)) => "Reads what is forbidden",
            (Right::Ours, Shape::PeerRefuses(..) | Shape::WaitsForNothing(_)) => {
                "Refuses what is allowed, or waits for more of it"
            }
            (Right::Ours, Shape::Differs(..)) => "Reads something else",
            (Right::Ours, Shape::WaitsInstead) => "Waits where it has to refuse",
        }
    }

    /// The statements that say so, of the versions in which it is seen.
    #[must_use]
    pub fn statements(&self) -> Vec<&'static str> {
        let Shape::WeRefuse(rule) = self.shape else {
            return vec![self.statement];
        };
        if !self.statement.is_empty() {
            return vec![self.statement];
        }
        let versions = self.places.iter().flat_map(|(versions, _)| *versions);
        let mut all: Vec<_> = versions.map(|it| rule.statement(*it)).collect();
        all.dedup();
        all
    }
}
