//! Records in the order of their batches: each adds to what is live, or ends it.

use mqtt_codec::{PacketId, QoS};
use mqtt_session::{Change, Commit};
use mqtt_topic::{ParsedFilter, TopicName};

use super::super::fanout::Grant;
use super::super::ids::{GroupId, Receiver, Subscriber};
use super::super::store::{Kept, Record};
use super::image::{Copy, Group, Image, Presence, Session, Uses, Walk, Will};

/// A record that does not fit those before it: the store has lost or mixed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {number}: {what}", number = number.0)]
pub struct Malformed {
    /// The record's number.
    pub number: Commit,
    /// What is wrong with it.
    pub what: &'static str,
}

type Taken<T = ()> = Result<T, &'static str>;

const NO_SESSION: &str = "it names a session that is not there";

impl Image {
    /// Takes the next record, which had this number.
    ///
    /// # Errors
    /// [`Malformed`] when it does not fit those before it; nothing of it is taken then.
    pub fn take(&mut self, record: &Record<'_, Kept<'_>>, number: Commit) -> Result<(), Malformed> {
        self.latest = self.latest.max(number.0);
        self.record(record, number.0)
            .map_err(|what| Malformed { number, what })
    }

    fn record(&mut self, record: &Record<'_, Kept<'_>>, number: u64) -> Taken {
        match *record {
            Record::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            } => {
                let kept = self.begin(session, client_id, number)?;
                kept.user_name = user_name.map(Into::into);
                (kept.expiry, kept.bridge) = (expiry, bridge);
                kept.presence = Presence::Connected;
                let will = kept.will.take();
                self.uses.end(will.map(|will| will.body));
            }
            Record::Used(session) => self.session(session)?.used = true,
            Record::Disconnected { session, expires } => {
                self.session(session)?.presence = Presence::Gone { expires };
            }
            Record::Ended(who) => self.ended(who)?,
            Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            } => {
                if ParsedFilter::parse(filter).is_err() {
                    return Err("it names a filter that is none");
                }
                let kept = self.session(session)?;
                kept.subscriptions
                    .insert(filter.into(), Grant { options, id });
                if retained {
                    kept.walks.push(Walk::new(filter, options, id));
                }
            }
            Record::RetainedSent { session, filter } => {
                let walks = &mut self.session(session)?.walks;
                let at = walks
                    .iter()
                    .position(|walk| &*walk.filter == filter)
                    .ok_or("no retained messages were on their way")?;
                walks.remove(at);
            }
            Record::Unsubscribed { session, filter } => {
                let known = self.session(session)?.subscriptions.remove(filter);
                known.ok_or("it ends a subscription that is not there")?;
            }
            Record::Group { group, filter } => self.group(group, filter, number)?,
            Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            } => {
                if qos == QoS::AtMostOnce {
                    return Err("QoS 0 is not kept");
                }
                message.topic.map_or(Ok(()), check_topic)?;
                if let Some(Receiver::Group(_)) = receiver.receiver() {
                    self.known_group(receiver, number);
                }
                let group = group.map(|group| self.known_group(Subscriber::group(group), number));
                let copy = Copy {
                    body: message.body.0,
                    qos,
                    retain,
                    ids: ids.iter().copied().collect(),
                    group,
                };
                if !self.early.remove(&number) {
                    self.queue(receiver, copy, number, message.topic.unwrap_or_default());
                }
            }
            Record::Done { receiver, copy } => self.done(receiver, copy.0),
            Record::Handshake {
                session,
                change,
                copy,
            } => handshake(self.session(session)?, change, copy.0)?,
            Record::Retained(message) => {
                let topic = message.topic.unwrap_or_default();
                check_topic(topic)?;
                self.retain(topic, number, Some(message.body.0));
            }
            Record::Unretained(topic) => self.retain(topic, number, None),
            Record::Will {
                session,
                message,
                delay,
                due,
            } => {
                message.topic.map_or(Ok(()), check_topic)?;
                let body = message.body.0;
                let will = Will { body, delay, due };
                let before = self.session(session)?.will.replace(will);
                self.uses.begun.push(body);
                self.uses.end(before.map(|will| will.body));
            }
            Record::WillGone(session) => {
                let will = self.session(session)?.will.take();
                self.uses.end(will.map(|will| will.body));
            }
            Record::Restarted => {
                self.names.clear();
                // No batch of before comes after this: these are not waited for.
                self.over.clear();
                self.settle(u64::MAX);
                self.unname_groups();
            }
            Record::Renamed { session, client_id } => {
                if !matches!(session.receiver(), Some(Receiver::Session { .. })) {
                    return Err("its name is not one of a session");
                }
                let birth = *self.by_client.get(client_id).ok_or(NO_SESSION)?;
                if self.names.contains_key(&session) {
                    return Err("two sessions have the same name");
                }
                self.names.insert(session, birth);
            }
        }
        Ok(())
    }

    fn session(&mut self, who: Subscriber) -> Taken<&mut Session> {
        let birth = self.names.get(&who).ok_or(NO_SESSION)?;
        self.sessions.get_mut(birth).ok_or(NO_SESSION)
    }

    /// The session of this name and client, new if need be.
    fn begin(&mut self, who: Subscriber, client_id: &str, number: u64) -> Taken<&mut Session> {
        if !matches!(who.receiver(), Some(Receiver::Session { .. })) {
            return Err("its name is not one of a session");
        }
        let birth = match (self.names.get(&who), self.by_client.get(client_id)) {
            (Some(named), Some(known)) if named == known => *named,
            (Some(_), _) => return Err("two clients have the same session"),
            (None, Some(_)) => return Err("one client has two sessions"),
            (None, None) if self.sessions.contains_key(&number) => {
                return Err("its number was given before");
            }
            (None, None) => {
                self.names.insert(who, number);
                self.by_client.insert(client_id.into(), number);
                number
            }
        };
        Ok(self
            .sessions
            .entry(birth)
            .or_insert_with(|| Session::new(client_id)))
    }

    /// The number with which a group began: it is there from the first record that names it, since the batch with its beginning may be another
    /// worker's and stand behind this one.
    fn known_group(&mut self, who: Subscriber, number: u64) -> u64 {
        *self.names.entry(who).or_insert_with(|| {
            self.groups.insert(number, Group::named(""));
            number
        })
    }

    fn group(&mut self, id: GroupId, filter: &str, number: u64) -> Taken {
        if !ParsedFilter::parse(filter).is_ok_and(|parsed| parsed.share.is_some()) {
            return Err("its filter is not one of a group");
        }
        let who = Subscriber::group(id);
        if self.over.remove(&who) {
            self.forget_group(who);
            return Ok(());
        }
        let named = |birth: &u64| self.groups.get(birth).is_some_and(|group| group.named);
        let known = self.by_filter.get(filter).copied();
        let birth = match self.names.get(&who) {
            // Messages for it have come.
            Some(birth) => *birth,
            // One of this filter that has a name has ended: another worker says so in a batch that comes later, if it was not lost.
            None => known.filter(|birth| !named(birth)).unwrap_or(number),
        };
        if self
            .groups
            .get(&birth)
            .is_some_and(|group| group.named && group.has_begun())
        {
            return Err("a group began twice");
        }
        self.names.insert(who, birth);
        let began = known.and_then(|latest| self.groups.get(&latest));
        if began.is_none_or(|latest| latest.began <= number) {
            self.by_filter.insert(filter.into(), birth);
        }
        let group = self
            .groups
            .entry(birth)
            .or_insert_with(|| Group::named(filter));
        group.filter = filter.into();
        (group.named, group.began) = (true, number);
        Ok(())
    }

    /// After a restart there is one group of each filter: an earlier one whose end was lost has become part of it.
    fn unname_groups(&mut self) {
        let mut waiting = Vec::new();
        // Their beginning was lost with its batch.
        let uses = &mut self.uses;
        self.groups.retain(|_, group| {
            if !group.has_begun() {
                uses.end(group.waiting.iter().map(|(_, copy)| copy.body));
            }
            group.has_begun()
        });
        for (birth, group) in &mut self.groups {
            group.named = false;
            if let Some(&latest) = self.by_filter.get(&group.filter)
                && latest != *birth
            {
                waiting.push((latest, core::mem::take(&mut group.waiting)));
            }
        }
        for (birth, copies) in waiting {
            if let Some(group) = self.groups.get_mut(&birth) {
                for (number, copy) in copies.iter() {
                    group.waiting.insert(number, copy);
                }
            }
        }
    }

    fn ended(&mut self, who: Subscriber) -> Taken {
        if let Some(Receiver::Group(_)) = who.receiver() {
            if !self.forget_group(who) {
                self.over.insert(who);
            }
            return Ok(());
        }
        let birth = self.names.remove(&who).ok_or("what it ends is not there")?;
        if let Some(session) = self.sessions.remove(&birth) {
            self.by_client.remove(&session.client_id);
            self.uses.end(session.will.map(|will| will.body));
            for (number, copy) in session.queue.iter() {
                // What it had got itself it has given back, and said so: these come from other workers, and are still on their way to it.
                if copy.group.is_some() {
                    self.strays.insert(number, copy);
                } else {
                    self.uses.ended.push(copy.body);
                }
            }
        }
        Ok(())
    }

    /// Forgets a group and what waits for it; says whether it had begun.
    fn forget_group(&mut self, who: Subscriber) -> bool {
        let birth = self.names.remove(&who);
        let Some((birth, group)) = birth.and_then(|birth| self.groups.remove_entry(&birth)) else {
            return false;
        };
        if self.by_filter.get(&group.filter) == Some(&birth) {
            self.by_filter.remove(&group.filter);
        }
        let bodies = group.waiting.iter().map(|(_, copy)| copy.body);
        self.uses.end(bodies);
        group.has_begun()
    }

    fn queue(&mut self, receiver: Subscriber, copy: Copy, number: u64, topic: &str) {
        let body = copy.body;
        let birth = self.names.get(&receiver);
        if let Some(session) = birth.and_then(|birth| self.sessions.get_mut(birth)) {
            if copy.retain
                && let Some(walk) = session.walks.first_mut()
                && Some(walk.id) == one(copy.ids.as_slice())
            {
                walk.served.insert(topic.into());
            }
            session.queue.insert(number, copy);
        } else if let Some(group) = birth.and_then(|birth| self.groups.get_mut(birth)) {
            group.waiting.insert(number, copy);
        } else if copy.group.is_some() {
            self.strays.insert(number, copy);
        } else {
            return;
        }
        self.uses.begun.push(body);
    }

    fn done(&mut self, receiver: Subscriber, copy: u64) {
        let birth = self.names.get(&receiver);
        let known = if let Some(session) = birth.and_then(|birth| self.sessions.get_mut(birth)) {
            session.sent.retain(|(sent, _)| *sent != copy);
            session.queue.remove(copy)
        } else if let Some(group) = birth.and_then(|birth| self.groups.get_mut(birth)) {
            group.waiting.remove(copy)
        } else {
            self.strays.remove(&copy)
        };
        // A session that is not there has ended, and what it left behind with it; a group may still have to begin.
        let may_come = birth.is_some() || matches!(receiver.receiver(), Some(Receiver::Group(_)));
        if known.is_none() && may_come {
            self.early.insert(copy);
        }
        self.uses.end(known.map(|copy| copy.body));
    }

    fn retain(&mut self, topic: &str, number: u64, body: Option<u64>) {
        if !self.retained.contains_key(topic) {
            self.retained.insert(topic.into(), (0, None));
        }
        if let Some(entry) = self.retained.get_mut(topic)
            && entry.0 <= number
        {
            let (_, before) = core::mem::replace(entry, (number, body));
            if body.is_none() {
                self.removed.insert(number, topic.into());
            }
            self.uses.begun.extend(body);
            self.uses.end(before);
        }
    }
}

impl Uses {
    fn end(&mut self, bodies: impl IntoIterator<Item = u64>) {
        self.ended.extend(bodies);
    }
}

/// What is to be sent must be fit for it, however damaged the store is.
fn check_topic(topic: &str) -> Taken {
    let checked = TopicName::new(topic);
    checked
        .map(drop)
        .map_err(|_| "it names a topic that is none")
}

/// The identifier of a copy that came by one subscription.
fn one(ids: &[mqtt_codec::SubscriptionId]) -> Option<Option<mqtt_codec::SubscriptionId>> {
    match ids {
        [] => Some(None),
        [id] => Some(Some(*id)),
        _ => None,
    }
}

fn handshake(session: &mut Session, change: Change, copy: u64) -> Taken {
    let forget = |list: &mut Vec<PacketId>, id| list.retain(|known| *known != id);
    match change {
        Change::Received(id) => {
            forget(&mut session.received, id);
            session.received.push(id);
        }
        Change::Released(id) => forget(&mut session.received, id),
        Change::Sent(_, id) => {
            if !session.queue.contains(copy) {
                return Err("it sends a copy that is not there");
            }
            session.sent.retain(|(_, known)| *known != id);
            session.sent.push((copy, id));
        }
        Change::PeerReceived(_, id) => {
            session.sent.retain(|(_, known)| *known != id);
            forget(&mut session.releasing, id);
            session.releasing.push(id);
        }
        Change::Completed(id) => {
            session.sent.retain(|(_, known)| *known != id);
            forget(&mut session.releasing, id);
        }
        Change::Reset => {
            session.sent.clear();
            session.releasing.clear();
            session.received.clear();
        }
        _ => return Err("it changes a handshake in an unknown way"),
    }
    session.used = true;
    Ok(())
}
