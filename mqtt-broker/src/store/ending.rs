//! Where the log cannot be read on: it ends there, or it is damaged.
//!
//! Whether something that stands behind was written after a sync decides. All segments behind are looked at for that, since without
//! `fsync` a sync comes now and then only. Where the disk does not tell what stands there, nothing is taken for the end.

use super::files::{Content, UNREADABLE, read_parts, read_up_to};
use super::header::{GROUP, GROUP_MAGIC, GroupHeader, SEGMENT};
use super::names;
use super::open::belongs;
use super::replay::Replay;
use super::report::Report;

/// How the groups of a segment end.
#[derive(Debug)]
pub(super) enum End {
    /// The log goes on in the next one.
    GoesOn,
    /// The log ends here.
    Last(Cut),
    /// It cannot be read on, though it has to go on.
    Damaged { at: usize, what: &'static str },
}

/// What is left out at the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Nothing,
    /// What was under way, and nobody was told of.
    Write,
    /// What was not synced: groups from the first number to the second, the first of them at least.
    Unsynced(u64, u64),
}

impl Cut {
    /// The same for people.
    pub(super) fn words(self, name: &str, at: usize) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Write => Some(format!(
                "{name}, offset {at}: the last write was cut short by the crash; nobody was told that it was stored, and it is left out"
            )),
            Self::Unsynced(first, last) => Some(format!(
                "{name}, offset {at}: groups {first} to {last} were not whole on the disk when the power went, and what they changed is lost, although it may have been acknowledged: with a durability other than `fsync` the end of the log waits for the system to write it"
            )),
        }
    }
}

/// Groups that stand where the log should not have got to yet.
#[derive(Debug, Default)]
struct Behind {
    /// The largest number.
    last: Option<u64>,
    /// One was written after a sync of all before it.
    is_proof: bool,
    /// One was not.
    lax: bool,
}

impl Behind {
    fn add(&mut self, next: u64, header: &GroupHeader) {
        self.last = self.last.max(Some(header.seq));
        self.is_proof |= header.after_sync && header.seq > next;
        self.lax |= !header.after_sync;
    }
}

impl Replay<'_> {
    /// The log cannot be read on here.
    pub(super) fn end(&mut self, content: &Content, something: bool, what: &'static str) -> End {
        let mut behind = Behind::default();
        for (_, header) in self.later(self.segment, content, self.at + 1) {
            behind.add(self.seq, &header);
        }
        // A hole may be what tells a cut from damage.
        let hole = content.first_bad(self.at, content.bytes.len());
        let hole = hole.filter(|_| something || behind.last.is_some());
        if let Some(at) = hole {
            return End::Damaged {
                at,
                what: UNREADABLE,
            };
        }
        if behind.is_proof {
            return End::Damaged { at: self.at, what };
        }
        let next = self.first_group(self.segment + 1);
        // What leads to the next segment is not made durable before that is written to.
        if next.is_ok_and(|next| next.is_some_and(|header| header.seq == self.seq + 1)) {
            self.seq += 1;
            return End::GoesOn;
        }
        if next.is_err() {
            return End::Damaged {
                at: self.at,
                what: "whether the log goes on cannot be told: the disk cannot read the next segment",
            };
        }
        // With a sync for each group, one that is not the first of its segment has that before it.
        if something || self.lax || behind.last.is_some() || next.is_ok_and(|it| it.is_some()) {
            for (&id, found) in self.segments.range(self.segment + 1..) {
                let Ok(content) = read_parts(&*found.file) else {
                    continue;
                };
                for (_, header) in self.later(id, &content, SEGMENT) {
                    behind.add(self.seq, &header);
                }
            }
            if behind.is_proof {
                return End::Damaged { at: self.at, what };
            }
        }
        // Torn bytes too: they may be whole again in what a later power cut leaves, when nothing here was synced meanwhile.
        self.stale |= behind.last.is_some() || something;
        self.lax |= behind.lax;
        End::Last(match behind.last {
            Some(last) => Cut::Unsynced(self.seq, last.max(self.seq)),
            None if something && self.lax => Cut::Unsynced(self.seq, self.seq),
            None if something => Cut::Write,
            None => Cut::Nothing,
        })
    }

    /// Groups of a segment that stand behind `from`, by their headers, and are not older than what comes next.
    fn later<'b>(
        &self,
        segment: u32,
        content: &'b Content,
        from: usize,
    ) -> impl Iterator<Item = (usize, GroupHeader)> + use<'b> {
        let (store, next) = (self.store, self.seq);
        let rest = content.bytes.get(from..).unwrap_or_default();
        memchr::memmem::find_iter(rest, &GROUP_MAGIC).filter_map(move |at| {
            let header = GroupHeader::read(rest.get(at..)?).ok()?;
            let ours = belongs(&header, store, segment) && header.seq >= next;
            ours.then_some((from + at, header))
        })
    }

    /// The group with which a segment begins, if it has one; an error where the disk does not tell.
    fn first_group(&self, segment: u32) -> Result<Option<GroupHeader>, &'static str> {
        let Some(found) = self.segments.get(&segment) else {
            return Ok(None);
        };
        let mut bytes = [0; GROUP];
        read_up_to(&*found.file, &mut bytes, SEGMENT as u64).map_err(|_| UNREADABLE)?;
        let header = GroupHeader::read(&bytes).ok();
        Ok(header.filter(|header| belongs(header, self.store, segment)))
    }

    /// In a repair: goes on with the next group that can be read; false when there is none.
    pub(super) fn skip(&mut self, content: &Content, report: &mut Report) -> bool {
        let from = self.at;
        let name = names::segment(self.segment);
        let here = self.later(self.segment, content, from + 1).next();
        let next = here.map(|(at, header)| (self.segment, at, header));
        let next = next.or_else(|| {
            let mut behind = self.segments.range(self.segment + 1..);
            behind.find_map(|(&id, found)| {
                let content = read_parts(&*found.file).ok()?;
                let (at, header) = self.later(id, &content, SEGMENT).next()?;
                Some((id, at, header))
            })
        });
        let Some((segment, at, header)) = next else {
            report.lost(format!(
                "{name}, from offset {from} on: what stands there cannot be read"
            ));
            self.stale = true;
            return false;
        };
        let to = if segment == self.segment {
            format!("to {at}")
        } else {
            format!("to {}, offset {at}", names::segment(segment))
        };
        report.lost(format!(
            "{name}, offset {from} {to}: groups {} to {} cannot be read, and what they changed is lost",
            self.seq,
            header.seq.saturating_sub(1).max(self.seq)
        ));
        (self.segment, self.at, self.seq) = (segment, at, header.seq);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_promise_more_than_was_kept() {
        let told = |cut: Cut| cut.words("0000000001.log", 7);
        assert_eq!(told(Cut::Nothing), None);
        assert!(told(Cut::Write).is_some_and(|it| it.contains("nobody was told")));
        let unsynced = told(Cut::Unsynced(3, 9)).unwrap();
        assert!(unsynced.contains("groups 3 to 9"), "{unsynced}");
        assert!(!unsynced.contains("nobody was told"), "{unsynced}");
    }
}
