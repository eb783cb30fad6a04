//! Shared subscriptions: each message goes to one member of the group.

use std::collections::HashMap;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Commit, Instant, Seq};

use super::ids::{GROUP_GENERATIONS, GroupId, Subscriber};
use super::queue::{Needed, Queue, Queued, Taken};
use super::quota::{Full, Gone, Quota};
use super::slab::Slab;

/// A session in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) who: Subscriber,
    pub(super) options: SubscriptionOptions,
    pub(super) id: Option<SubscriptionId>,
    connected: bool,
    /// QoS 1 and 2 messages given to it and not yet done.
    outstanding: u32,
}

/// The members of one share name and filter.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    /// Where each stands in `members`.
    places: HashMap<Subscriber, usize>,
    /// How many of them are connected.
    connected: usize,
    /// QoS 1 and 2 messages that came while nobody was connected.
    waiting: Queue,
    /// Its queue was full when the latest message came.
    overflowed: bool,
    /// `$share/group/filter`.
    filter: Box<str>,
    /// Where the search for a member begins: round robin among equals.
    turn: usize,
}

/// What becomes of a message for a group.
#[derive(Debug)]
pub(super) enum Choice {
    /// This member gets it.
    Member(Member),
    /// Nobody is connected: it has to [wait](Groups::wait).
    Nobody,
    /// The group has ended.
    Ended,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    by_filter: HashMap<Box<str>, GroupId>,
    groups: Slab<Group>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            by_filter: HashMap::new(),
            groups: Slab::new(GROUP_GENERATIONS),
        }
    }
}

/// What [`Groups::join`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) group: GroupId,
    pub(super) new_group: bool,
}

/// What [`Groups::leave`] did.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) group: GroupId,
    /// The last member has left: what waited ends with the group.
    pub(super) ended: Option<Queue>,
}

impl Group {
    fn member(&mut self, who: Subscriber) -> Option<&mut Member> {
        self.members.get_mut(*self.places.get(&who)?)
    }
}

impl Groups {
    /// Makes `who` a member, or changes its terms.
    pub(super) fn join(
        &mut self,
        filter: &str,
        who: Subscriber,
        options: SubscriptionOptions,
        id: Option<SubscriptionId>,
    ) -> Joined {
        let known = self.by_filter.get(filter).copied();
        let group_id = known.unwrap_or_else(|| {
            let (slot, generation) = self.groups.insert(Group {
                filter: filter.into(),
                ..Group::default()
            });
            let id = GroupId { slot, generation };
            self.by_filter.insert(filter.into(), id);
            id
        });
        let joined = Joined {
            group: group_id,
            new_group: known.is_none(),
        };
        let Some(group) = self.group(group_id) else {
            return joined;
        };
        match group.member(who) {
            Some(member) => (member.options, member.id) = (options, id),
            None => {
                group.places.insert(who, group.members.len());
                group.connected += 1;
                group.members.push(Member {
                    who,
                    options,
                    id,
                    connected: true,
                    outstanding: 0,
                });
            }
        }
        joined
    }

    /// Takes `who` out of a group, if it was a member.
    pub(super) fn leave(&mut self, filter: &str, who: Subscriber) -> Option<Left> {
        let id = self.find(filter)?;
        let group = self.group(id)?;
        let at = group.places.remove(&who)?;
        let gone = group.members.swap_remove(at);
        group.connected -= usize::from(gone.connected);
        if let Some(moved) = group.members.get(at) {
            group.places.insert(moved.who, at);
        }
        let mut ended = None;
        if group.members.is_empty() {
            self.by_filter.remove(filter);
            ended = self
                .groups
                .remove(id.slot, id.generation)
                .map(|group| group.waiting);
        }
        Some(Left { group: id, ended })
    }

    fn group(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id.slot, id.generation)
    }

    fn member(&mut self, id: GroupId, who: Subscriber) -> Option<&mut Member> {
        self.group(id)?.member(who)
    }

    /// The group of a filter with its share name.
    pub(super) fn find(&self, filter: &str) -> Option<GroupId> {
        self.by_filter.get(filter).copied()
    }

    /// Tells a group that a member has come or gone.
    pub(super) fn set_connected(&mut self, id: GroupId, who: Subscriber, connected: bool) {
        if let Some(group) = self.group(id)
            && let Some(member) = group.member(who)
            && core::mem::replace(&mut member.connected, connected) != connected
        {
            if connected {
                group.connected += 1;
            } else {
                group.connected -= 1;
            }
        }
    }

    /// Chooses who gets a message: among connected members the one with the fewest outstanding, then in turn.
    pub(super) fn choose(&mut self, id: GroupId, message_qos: QoS) -> Choice {
        let Some(group) = self.group(id) else {
            return Choice::Ended;
        };
        if group.connected == 0 {
            return Choice::Nobody;
        }
        let count = group.members.len();
        let best = (0..count)
            .map(|step| (group.turn + step) % count)
            .filter(|&at| group.members[at].connected)
            .min_by_key(|&at| group.members[at].outstanding);
        let Some(at) = best else {
            return Choice::Nobody;
        };
        group.turn = at + 1;
        let member = &mut group.members[at];
        if message_qos.min(member.options.qos) != QoS::AtMostOnce {
            member.outstanding += 1;
        }
        Choice::Member(*member)
    }

    /// Makes room for one more message, as far as the policy allows; what goes is handed to `gone`.
    pub(super) fn make_room(
        &mut self,
        id: GroupId,
        quota: &Quota,
        size: u64,
        now: Instant,
        mut gone: impl FnMut(Taken, Gone),
    ) -> Result<(), Full> {
        let Some(group) = self.group(id) else {
            return Err(Full::Queue);
        };
        let waiting = &mut group.waiting;
        let mut made = Ok(());
        let mut full = quota.full(waiting, size);
        if full.is_some() {
            let mut oldest = false;
            made = quota.make_room(waiting, Seq::default(), size, now, |taken, why| {
                oldest |= why == Gone::Oldest;
                gone(taken, why);
            });
            if made.is_ok() && !oldest {
                full = None;
            }
        }
        if full.is_none() {
            group.overflowed &= !quota.is_half_empty(&group.waiting);
        } else if !core::mem::replace(&mut group.overflowed, true) {
            let (messages, bytes) = (group.waiting.len(), group.waiting.bytes());
            tracing::warn!(
                filter = &*group.filter,
                messages,
                bytes,
                "queue of a shared group is full: messages are dropped"
            );
        }
        made
    }

    /// Lets a message wait for the first member that comes back.
    pub(super) fn wait(&mut self, id: GroupId, queued: Queued) {
        if let Some(group) = self.group(id) {
            group.waiting.push(queued);
        }
    }

    /// Puts into the queue of a group what waited before a restart.
    pub(super) fn restore_waiting(&mut self, id: GroupId, put: impl FnOnce(&mut Queue)) {
        if let Some(group) = self.group(id) {
            put(&mut group.waiting);
        }
    }

    /// Whether [`put_away`](Self::put_away) is worth its while.
    pub(super) fn wants_putting_away(&mut self, id: GroupId) -> bool {
        self.group(id)
            .is_some_and(|group| group.waiting.wants_putting_away(Needed::Nothing))
    }

    /// Takes out of memory what waits and is kept by the store; gives the number that it has to reach for the rest.
    pub(super) fn put_away(&mut self, id: GroupId, kept: Commit) -> Option<Commit> {
        let group = self.group(id)?;
        group.waiting.put_away(Needed::Nothing, kept)
    }

    /// Bytes of what waits.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&mut self, id: GroupId) -> u64 {
        self.group(id).map_or(0, |group| group.waiting.bytes())
    }

    /// Puts back what [`take_waiting`](Self::take_waiting) took.
    #[cfg(test)]
    pub(super) fn put_back(&mut self, id: GroupId, waiting: Queue) {
        self.group(id).unwrap().waiting = waiting;
    }

    /// A member has one message more, which it was given before a restart.
    pub(super) fn chosen(&mut self, id: GroupId, who: Subscriber) {
        if let Some(member) = self.member(id, who) {
            member.outstanding += 1;
        }
    }

    /// A member is done with one message.
    pub(super) fn done(&mut self, id: GroupId, who: Subscriber) {
        if let Some(member) = self.member(id, who) {
            member.outstanding = member.outstanding.saturating_sub(1);
        }
    }

    /// The messages that waited, for the first member that is back.
    pub(super) fn take_waiting(&mut self, id: GroupId) -> Queue {
        self.group(id)
            .map(|group| core::mem::take(&mut group.waiting))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::counters::{Counters, Tally};
    use super::super::ids::SessionKey;
    use super::super::message::{Ids, Message};
    use super::super::quota::Origin;
    use super::super::settings::Settings;
    use super::*;

    const NOW: Instant = Instant::from_millis(5);

    fn who(slot: u32) -> Subscriber {
        Subscriber::session(
            0,
            SessionKey {
                slot,
                generation: 0,
            },
        )
    }

    fn join(groups: &mut Groups, filter: &str, slot: u32) -> Joined {
        let options = SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            ..SubscriptionOptions::default()
        };
        groups.join(filter, who(slot), options, None)
    }

    fn waiting(expires: Option<u64>) -> Queued {
        let mut message = Message::new("t", &[], b"", QoS::AtLeastOnce, false);
        message.expires = expires.map(Instant::from_millis);
        Queued {
            message: Arc::new(message),
            copy: Commit(0),
            body: Commit(0),
            ids: Ids::None,
            qos: QoS::AtLeastOnce,
            retain: false,
            group: None,
        }
    }

    fn chosen(groups: &mut Groups, id: GroupId) -> Option<Subscriber> {
        match groups.choose(id, QoS::AtLeastOnce) {
            Choice::Member(member) => Some(member.who),
            Choice::Nobody | Choice::Ended => None,
        }
    }

    #[test]
    fn the_member_with_the_fewest_outstanding_gets_it_then_in_turn() {
        let mut groups = Groups::default();
        let Joined { group: id, .. } = join(&mut groups, "$share/g/t", 1);
        assert_eq!(
            join(&mut groups, "$share/g/t", 2),
            Joined {
                group: id,
                new_group: false
            }
        );
        assert_eq!(
            [chosen(&mut groups, id), chosen(&mut groups, id)],
            [Some(who(1)), Some(who(2))]
        );
        groups.done(id, who(2));
        assert_eq!(
            [chosen(&mut groups, id), chosen(&mut groups, id)],
            [Some(who(2)), Some(who(1))]
        );
    }

    #[test]
    fn with_nobody_connected_messages_wait_up_to_the_limits_and_expired_ones_make_room() {
        let mut groups = Groups::default();
        let id = join(&mut groups, "$share/g/t", 1).group;
        groups.set_connected(id, who(1), false);
        assert!(matches!(groups.choose(id, QoS::AtMostOnce), Choice::Nobody));
        let size = waiting(None).message.size() as u64;
        let quota = |messages, bytes| {
            let settings = Settings {
                queue_messages: messages,
                queue_bytes: bytes,
                ..Settings::default()
            };
            Quota::new(
                &settings,
                &Counters::default(),
                &Tally::default(),
                Origin::New,
            )
        };
        let most = quota(2, 1_000_000);
        groups.wait(id, waiting(Some(3)));
        groups.wait(id, waiting(None));
        let mut expired = 0;
        let room = groups.make_room(id, &most, size, NOW, |_, _| expired += 1);
        assert_eq!(room, Ok(()));
        assert_eq!(expired, 1);
        groups.wait(id, waiting(None));
        let room = |groups: &mut Groups, most: &Quota| {
            groups.make_room(id, most, size, NOW, |_, _| unreachable!())
        };
        assert_eq!(room(&mut groups, &most), Err(Full::Queue));
        let most = quota(9, 3 * size - 1);
        assert_eq!(room(&mut groups, &most), Err(Full::Queue));
        assert_eq!(groups.take_waiting(id).len(), 2);
        assert_eq!(room(&mut groups, &most), Ok(()));
    }

    /// Members are found by their places, whoever has left before them; each was searched for among all others.
    #[test]
    fn a_member_is_found_whoever_has_left() {
        let mut groups = Groups::default();
        let id = join(&mut groups, "$share/g/t", 0).group;
        for slot in 1..100 {
            join(&mut groups, "$share/g/t", slot);
        }
        let stays = |slot: u32| slot % 3 == 1;
        for slot in (0..100).filter(|slot| !stays(*slot)) {
            let left = groups.leave("$share/g/t", who(slot));
            assert!(left.is_some_and(|left| left.ended.is_none()));
            assert!(groups.leave("$share/g/t", who(slot)).is_none());
        }
        for slot in 0..100 {
            let member = groups.member(id, who(slot)).map(|member| member.who);
            assert_eq!(member, stays(slot).then_some(who(slot)));
            groups.set_connected(id, who(slot), slot == 49);
        }
        assert_eq!(chosen(&mut groups, id), Some(who(49)));
        groups.set_connected(id, who(49), false);
        assert_eq!(chosen(&mut groups, id), None);
        assert!(groups.leave("$share/g/t", who(49)).is_some());
        groups.set_connected(id, who(52), true);
        assert_eq!(chosen(&mut groups, id), Some(who(52)));
    }

    /// A message that was meant for an ended group must not reach the next one that has its place.
    #[test]
    fn the_last_member_ends_the_group_and_its_number_stays_unused() {
        let mut groups = Groups::default();
        let id = join(&mut groups, "$share/g/t", 1).group;
        assert!(groups.leave("$share/g/t", who(2)).is_none());
        assert!(groups.leave("$share/g/t", who(1)).unwrap().ended.is_some());
        assert_eq!(groups.find("$share/g/t"), None);
        let again = join(&mut groups, "$share/h/t", 1);
        assert!(again.new_group && again.group != id);
        assert!(matches!(groups.choose(id, QoS::AtLeastOnce), Choice::Ended));
    }
}
