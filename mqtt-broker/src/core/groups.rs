//! Shared subscriptions: each message goes to one member of the group.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};

use super::ids::{GroupId, Subscriber};
use super::message::Message;

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
#[derive(Debug)]
struct Group {
    /// `$share/name/filter`.
    filter: Box<str>,
    members: Vec<Member>,
    /// QoS 1 and 2 messages that came while nobody was connected.
    waiting: VecDeque<Arc<Message>>,
    /// Where the search for a member begins: round robin among equals.
    turn: usize,
}

/// What becomes of a message for a group.
#[derive(Debug)]
pub(super) enum Choice {
    /// This member gets it.
    Member(Member),
    /// It waits for the first member that comes back.
    Waits,
    /// Nobody is there and it does not wait, or too many wait already.
    Dropped,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_filter: HashMap<Box<str>, GroupId>,
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
}

impl Groups {
    /// Makes `who` a member, or changes its terms. Says the group, whether it is new, and whether the member is.
    pub(super) fn join(
        &mut self,
        filter: &str,
        who: Subscriber,
        options: SubscriptionOptions,
        id: Option<SubscriptionId>,
    ) -> (GroupId, bool, bool) {
        let known = self.by_filter.get(filter).copied();
        let group_id = known.unwrap_or_else(|| {
            let group = Group {
                filter: filter.into(),
                members: Vec::new(),
                waiting: VecDeque::new(),
                turn: 0,
            };
            let slot = self.free.pop().unwrap_or(self.groups.len() as u32);
            if slot as usize == self.groups.len() {
                self.groups.push(Some(group));
            } else {
                self.groups[slot as usize] = Some(group);
            }
            self.by_filter.insert(filter.into(), GroupId(slot));
            GroupId(slot)
        });
        let Some(group) = self.groups[group_id.0 as usize].as_mut() else {
            return (group_id, false, false);
        };
        let new_member = match group.members.iter_mut().find(|member| member.who == who) {
            Some(member) => {
                (member.options, member.id) = (options, id);
                false
            }
            None => {
                group.members.push(Member {
                    who,
                    options,
                    id,
                    connected: true,
                    outstanding: 0,
                });
                true
            }
        };
        (group_id, known.is_none(), new_member)
    }

    /// Takes `who` out of a group. `Some` when it was a member; then says whether the group has ended.
    pub(super) fn leave(&mut self, filter: &str, who: Subscriber) -> Option<(GroupId, bool)> {
        let id = *self.by_filter.get(filter)?;
        let slot = self.groups.get_mut(id.0 as usize)?;
        let group = slot.as_mut()?;
        let at = group.members.iter().position(|member| member.who == who)?;
        group.members.remove(at);
        let ended = group.members.is_empty();
        if ended {
            self.by_filter.remove(&group.filter);
            *slot = None;
            self.free.push(id.0);
        }
        Some((id, ended))
    }

    fn group(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id.0 as usize)?.as_mut()
    }

    /// The group of a filter with its share name.
    pub(super) fn find(&self, filter: &str) -> Option<GroupId> {
        self.by_filter.get(filter).copied()
    }

    /// Tells a group that a member has come or gone.
    pub(super) fn set_connected(&mut self, id: GroupId, who: Subscriber, connected: bool) {
        if let Some(member) = self
            .group(id)
            .and_then(|group| group.members.iter_mut().find(|member| member.who == who))
        {
            member.connected = connected;
        }
    }

    /// Chooses who gets a message: among connected members the one with the fewest outstanding, then in turn.
    pub(super) fn choose(
        &mut self,
        id: GroupId,
        message_qos: QoS,
        most_waiting: usize,
        message: impl FnOnce() -> Arc<Message>,
    ) -> Choice {
        let Some(group) = self.group(id) else {
            return Choice::Dropped;
        };
        let count = group.members.len();
        let best = (0..count)
            .map(|step| (group.turn + step) % count)
            .filter(|&at| group.members[at].connected)
            .min_by_key(|&at| group.members[at].outstanding);
        match best {
            Some(at) => {
                group.turn = at + 1;
                let member = &mut group.members[at];
                if message_qos.min(member.options.qos) != QoS::AtMostOnce {
                    member.outstanding += 1;
                }
                Choice::Member(*member)
            }
            None if message_qos == QoS::AtMostOnce || group.waiting.len() >= most_waiting => {
                Choice::Dropped
            }
            None => {
                group.waiting.push_back(message());
                Choice::Waits
            }
        }
    }

    /// A member is done with one message.
    pub(super) fn done(&mut self, id: GroupId, who: Subscriber) {
        if let Some(member) = self
            .group(id)
            .and_then(|group| group.members.iter_mut().find(|member| member.who == who))
        {
            member.outstanding = member.outstanding.saturating_sub(1);
        }
    }

    /// The messages that waited, for the first member that is back.
    pub(super) fn take_waiting(&mut self, id: GroupId) -> VecDeque<Arc<Message>> {
        self.group(id)
            .map(|group| core::mem::take(&mut group.waiting))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::SessionKey;
    use super::*;

    fn who(slot: u32) -> Subscriber {
        Subscriber::session(
            0,
            SessionKey {
                slot,
                generation: 0,
            },
        )
    }

    fn options(qos: QoS) -> SubscriptionOptions {
        SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        }
    }

    fn message() -> Arc<Message> {
        Arc::new(Message::new("t", &[], b"", QoS::AtLeastOnce, false))
    }

    fn chosen(groups: &mut Groups, id: GroupId) -> Option<Subscriber> {
        match groups.choose(id, QoS::AtLeastOnce, 2, message) {
            Choice::Member(member) => Some(member.who),
            Choice::Waits | Choice::Dropped => None,
        }
    }

    #[test]
    fn the_member_with_the_fewest_outstanding_gets_it_then_in_turn() {
        let mut groups = Groups::default();
        let (id, new, _) = groups.join("$share/g/t", who(1), options(QoS::AtLeastOnce), None);
        assert!(new);
        assert_eq!(
            groups.join("$share/g/t", who(2), options(QoS::AtLeastOnce), None),
            (id, false, true)
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
    fn with_nobody_connected_messages_wait_up_to_the_limit() {
        let mut groups = Groups::default();
        let (id, ..) = groups.join("$share/g/t", who(1), options(QoS::AtLeastOnce), None);
        groups.set_connected(id, who(1), false);
        assert!(matches!(
            groups.choose(id, QoS::AtMostOnce, 2, message),
            Choice::Dropped
        ));
        assert!(matches!(
            groups.choose(id, QoS::AtLeastOnce, 2, message),
            Choice::Waits
        ));
        assert!(matches!(
            groups.choose(id, QoS::ExactlyOnce, 2, message),
            Choice::Waits
        ));
        assert!(matches!(
            groups.choose(id, QoS::ExactlyOnce, 2, message),
            Choice::Dropped
        ));
        assert_eq!(groups.take_waiting(id).len(), 2);
    }

    #[test]
    fn the_last_member_ends_the_group() {
        let mut groups = Groups::default();
        let (id, ..) = groups.join("$share/g/t", who(1), options(QoS::AtLeastOnce), None);
        assert_eq!(groups.leave("$share/g/t", who(2)), None);
        assert_eq!(groups.leave("$share/g/t", who(1)), Some((id, true)));
        assert_eq!(groups.find("$share/g/t"), None);
        let (again, new, _) = groups.join("$share/h/t", who(1), options(QoS::AtMostOnce), None);
        assert_eq!((again, new), (id, true), "the number is used again");
    }
}
