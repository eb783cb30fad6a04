//! What waits for long leaves memory: messages that the store has are put away, and fetched when their turn comes.

use std::collections::{HashSet, VecDeque};

use mqtt_session::Commit;

use super::Core;
use super::ids::{GroupId, Receiver, SessionKey, Subscriber};
use super::queue::{Needed, Queued, Taken};

/// Sessions and groups that have messages to put away, each once, and the number that the store has to reach for that.
#[derive(Debug, Default)]
pub(super) struct Aside {
    list: VecDeque<(Commit, Subscriber)>,
    /// The groups among them. They belong to all workers; each puts away what waits when its own list says so.
    groups: HashSet<GroupId>,
}

impl Aside {
    /// A group has something to put away when the store has reached `copy`.
    pub(super) fn group(&mut self, id: GroupId, copy: Commit) {
        if self.groups.insert(id) {
            self.list.push_back((copy, Subscriber::group(id)));
        }
    }

    /// The next one for which the store has come far enough.
    fn next(&mut self, kept: Commit) -> Option<Subscriber> {
        let (copy, who) = *self.list.front()?;
        if copy > kept {
            return None;
        }
        self.list.pop_front();
        Some(who)
    }
}

impl Core {
    /// A session has got a message that need not stay in memory, or has lost its connection.
    pub(super) fn put_away_soon(&mut self, key: SessionKey, copy: Commit) {
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return;
        };
        if session.aside {
            return;
        }
        let needed = self.needed(key);
        let who = self.subscriber(key);
        if let Some(session) = self.sessions.get_mut(key.slot, key.generation)
            && let Some(queue) = &mut session.queue
            && queue.wants_putting_away(needed)
        {
            session.aside = true;
            self.aside.list.push_back((copy, who));
        }
    }

    /// What of a session's queue has to be in memory.
    fn needed(&self, key: SessionKey) -> Needed {
        let session = self.sessions.get(key.slot, key.generation);
        if session.is_some_and(|session| session.conn.is_some()) {
            Needed::From(self.cursor(key))
        } else {
            Needed::Nothing
        }
    }

    /// Puts away what the store has by now.
    pub(super) fn put_away(&mut self) {
        if self.aside.list.is_empty() {
            return;
        }
        let kept = self.store.kept();
        while let Some(who) = self.aside.next(kept) {
            let waits = match who.receiver() {
                Some(Receiver::Session { key, .. }) => self.put_session_away(key, kept),
                Some(Receiver::Group(id)) => {
                    let waits = self.shared.groups().put_away(id, kept);
                    if waits.is_none() {
                        self.aside.groups.remove(&id);
                    }
                    waits
                }
                Some(Receiver::Local(_)) | None => None,
            };
            if let Some(copy) = waits {
                self.aside.list.push_back((copy, who));
            }
        }
    }

    fn put_session_away(&mut self, key: SessionKey, kept: Commit) -> Option<Commit> {
        let needed = self.needed(key);
        let session = self.sessions.get_mut(key.slot, key.generation)?;
        let queue = session.queue.as_mut();
        let waits = queue.and_then(|queue| queue.put_away(needed, kept));
        session.aside = waits.is_some();
        waits
    }

    /// Fetches a message that was taken out of a queue, if need be. One that cannot be read is given up without a word to the store, which
    /// keeps it for whoever repairs it.
    pub(super) fn load_taken(&mut self, taken: Taken) -> Option<Queued> {
        match taken.load(&mut *self.store) {
            Ok(queued) => Some(queued),
            Err(error) => {
                self.tally.unreadable += 1;
                tracing::error!("message not delivered: {error}");
                None
            }
        }
    }
}
