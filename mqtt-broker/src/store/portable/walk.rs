//! What a restart would find, as items: how an export reads a store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use mqtt_session::Commit;

use super::item::{
    Expiry, Handshake, HandshakeState, Item, Queued, Receiver, Retained, Session, Subscription,
    Will,
};
use super::message::{Message, MessageRef};
use super::record::Clocks;
use crate::core::restore::{self, Copy, Presence};
use crate::core::{Bodies, Image, Message as Shared, Unreadable};

/// A store that no broker has open.
pub(crate) struct Source<'a> {
    /// Everything but messages.
    pub(crate) image: &'a Image,
    /// The messages; instants in them are of the store's clock.
    pub(crate) bodies: &'a mut dyn Bodies,
    /// How often a message is in use.
    pub(crate) uses: &'a dyn Fn(Commit) -> u32,
    pub(crate) clocks: Clocks,
}

/// Hands out everything in it, in the order that `docs/store-export.md` gives; what depends on a message that cannot be read is left
/// out, and given back.
///
/// # Errors
/// Those of `item`.
pub(crate) fn walk(
    source: Source<'_>,
    item: &mut dyn FnMut(Item) -> io::Result<()>,
) -> io::Result<Vec<Unreadable>> {
    let image = source.image;
    let mut walk = Walk {
        source,
        shown: HashSet::new(),
        lost: Vec::new(),
        members: HashSet::new(),
        item,
    };
    for (_, body) in image.retained.values() {
        if let Some(message) = body.and_then(|body| walk.message(body)) {
            (walk.item)(Item::Retained(Retained { message }))?;
        }
    }
    let mut sessions: Vec<_> = image.sessions.values().collect();
    sessions.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
    for session in &sessions {
        walk.session(session)?;
    }
    // When all subscriptions are known, and with them the groups.
    for session in sessions {
        walk.queue(session)?;
    }
    walk.groups()?;
    Ok(walk.lost)
}

struct Walk<'a, 'i> {
    source: Source<'a>,
    /// Messages that were handed out with their number.
    shown: HashSet<u64>,
    lost: Vec<Unreadable>,
    /// Filters of groups that have members.
    members: HashSet<&'a str>,
    item: &'i mut dyn FnMut(Item) -> io::Result<()>,
}

impl<'a> Walk<'a, '_> {
    fn read(&mut self, body: u64) -> Option<Arc<Shared>> {
        let read = self.source.bodies.message(Commit(body));
        read.map_err(|error| self.lost.push(error)).ok()
    }

    fn message(&mut self, body: u64) -> Option<MessageRef> {
        if self.shown.contains(&body) {
            return Some(MessageRef::Again(body));
        }
        let message = self.read(body)?;
        let shared = (self.source.uses)(Commit(body)) > 1;
        if shared {
            self.shown.insert(body);
        }
        let expires = message.expires;
        let expires = expires.map(|instant| self.source.clocks.time(instant));
        let id = shared.then_some(body);
        Some(MessageRef::Whole(Message::of(&message, expires, id)))
    }

    fn session(&mut self, session: &'a restore::Session) -> io::Result<()> {
        let client_id = String::from(&*session.client_id);
        let clocks = self.source.clocks;
        let mut expiry = Expiry::from_interval(session.expiry);
        let (connected, ends) = match session.presence {
            Presence::Connected => (true, None),
            Presence::Gone { expires } => (false, expires.map(|at| clocks.time(at))),
        };
        if !connected && ends.is_none() {
            // It was said so when its connection ended.
            expiry = Expiry::Never;
        }
        (self.item)(Item::Session(Session {
            client_id: client_id.clone(),
            user_name: session.user_name.as_deref().map(Into::into),
            expiry,
            bridge: session.bridge,
            used: session.used,
            connected,
            ends,
        }))?;
        if let Some(will) = &session.will {
            self.will(&client_id, will, connected)?;
        }
        self.subscriptions(&client_id, session)
    }

    fn queue(&mut self, session: &restore::Session) -> io::Result<()> {
        let client_id = String::from(&*session.client_id);
        // What was sent stands in front of what was not.
        let mut sent = HashMap::new();
        for &(number, id) in &session.sent {
            if let Some(copy) = session.queue.get(number) {
                sent.insert(number, id);
                self.queued(Receiver::Client(client_id.clone()), &copy, Some(id))?;
            }
        }
        for (number, copy) in session.queue.iter() {
            if !sent.contains_key(&number) {
                self.queued(Receiver::Client(client_id.clone()), &copy, None)?;
            }
        }
        let states = [
            (&session.received, HandshakeState::Received),
            (&session.releasing, HandshakeState::Releasing),
        ];
        for (ids, state) in states {
            for &packet_id in ids {
                let client_id = client_id.clone();
                (self.item)(Item::Handshake(Handshake {
                    client_id,
                    packet_id,
                    state,
                }))?;
            }
        }
        Ok(())
    }

    fn will(&mut self, client_id: &str, will: &restore::Will, connected: bool) -> io::Result<()> {
        let Some(message) = self.read(will.body) else {
            return Ok(());
        };
        let clocks = self.source.clocks;
        let due = will.due.map_or(clocks.wall, |due| clocks.time(due));
        // As if it were published at the clock's origin.
        let expiry = message.expires.map(|expires| expires.as_millis() / 1000);
        (self.item)(Item::Will(Will {
            client_id: client_id.to_owned(),
            message: Message::of(&message, None, None),
            message_expiry: expiry.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            delay: will.delay,
            due: (!connected).then_some(due),
        }))
    }

    fn subscriptions(&mut self, client_id: &str, session: &'a restore::Session) -> io::Result<()> {
        let mut underway = HashSet::new();
        for walk in &session.walks {
            if let Some((filter, grant)) = session.subscriptions.get_key_value(&walk.filter)
                && underway.insert(&**filter)
            {
                // Only the first has begun.
                let served = walk.served.iter().map(|topic| String::from(&**topic));
                let served = served.filter(|_| underway.len() == 1).collect();
                self.subscription(client_id, filter, *grant, Some(served))?;
            }
        }
        for (filter, grant) in &session.subscriptions {
            if !underway.contains(&**filter) {
                self.subscription(client_id, filter, *grant, None)?;
            }
        }
        Ok(())
    }

    fn subscription(
        &mut self,
        client_id: &str,
        filter: &'a str,
        grant: restore::Grant,
        retained_sent: Option<Vec<String>>,
    ) -> io::Result<()> {
        if filter.starts_with("$share/") {
            self.members.insert(filter);
        }
        (self.item)(Item::Subscription(Subscription {
            client_id: client_id.to_owned(),
            filter: filter.to_owned(),
            options: grant.options,
            id: grant.id,
            retained_sent,
        }))
    }

    fn queued(
        &mut self,
        receiver: Receiver,
        copy: &Copy,
        sent: Option<mqtt_codec::PacketId>,
    ) -> io::Result<()> {
        let Some(message) = self.message(copy.body) else {
            return Ok(());
        };
        let group = copy
            .group
            .and_then(|birth| self.source.image.groups.get(&birth));
        (self.item)(Item::Queued(Queued {
            receiver,
            qos: copy.qos,
            retain: copy.retain,
            subscription_ids: copy.ids.as_slice().to_vec(),
            // A group in which nobody is left has ended.
            chosen_by: group
                .filter(|group| self.members.contains(&*group.filter))
                .map(|group| String::from(&*group.filter)),
            sent,
            message,
        }))
    }

    /// What waits for groups: first what they had given to sessions that have ended, as a restart does it.
    fn groups(&mut self) -> io::Result<()> {
        let image = self.source.image;
        let mut waiting: BTreeMap<&str, Vec<Copy>> = BTreeMap::new();
        for stray in image.strays.values() {
            if let Some(group) = stray.group.and_then(|birth| image.groups.get(&birth)) {
                waiting
                    .entry(&group.filter)
                    .or_default()
                    .push(stray.clone());
            }
        }
        for group in image.groups.values() {
            let copies = group.waiting.iter().map(|(_, copy)| copy);
            waiting.entry(&group.filter).or_default().extend(copies);
        }
        for (filter, copies) in waiting {
            if !self.members.contains(filter) {
                continue;
            }
            for mut copy in copies {
                copy.group = None;
                self.queued(Receiver::Group(filter.to_owned()), &copy, None)?;
            }
        }
        Ok(())
    }
}
