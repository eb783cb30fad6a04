//! What a worker's core asks of its driver, and what workers send each other.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::ids::{ConnId, LocalId, SessionKey};
use super::message::Message;
use super::policy::ConnectRequest;
use super::queue::Queued;
use super::quota::Origin;

/// Names a question to someone who may take time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QuestionId {
    pub(super) conn: ConnId,
    pub(super) number: u32,
}

/// What is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Question {
    /// May this client connect? Answered with [`Core::answer_connect`](super::Core::answer_connect).
    Connect(ConnectRequest),
    /// Which of these subscriptions may it make? Answered with [`Core::answer_subscribe`](super::Core::answer_subscribe).
    Subscribe {
        /// The client id.
        client_id: Box<str>,
        /// The user name.
        user_name: Option<Box<str>>,
        /// The filters, `$share/group/` included, with the QoS asked for.
        filters: Vec<(Box<str>, QoS)>,
    },
}

/// Something for the driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Hand this to another worker's [`Core::inbox`](super::Core::inbox).
    ToWorker {
        /// Which.
        worker: u16,
        /// What.
        batch: Batch,
    },
    /// Ask, then answer.
    Ask(QuestionId, Question),
    /// A message for someone inside this process.
    Local {
        /// For whom.
        subscriber: LocalId,
        /// What.
        message: Arc<Message>,
        /// With which QoS it would have been delivered.
        qos: QoS,
        /// Whether RETAIN would have been set.
        retain: bool,
    },
}

/// What one worker has for another: whatever gathered in a round.
#[derive(Debug, Default)]
pub struct Batch {
    /// For sessions whose home is there.
    pub(super) items: Vec<Item>,
    bytes: usize,
}

/// A message for a session.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: SessionKey,
    pub(super) queued: Queued,
    pub(super) origin: Origin,
}

impl Batch {
    /// Adds a message for a session, and says by how many bytes that has made it larger.
    pub(super) fn deliver(&mut self, key: SessionKey, queued: Queued, origin: Origin) -> usize {
        let bytes = queued.message.size() + size_of::<Item>();
        self.bytes += bytes;
        self.items.push(Item {
            key,
            queued,
            origin,
        });
        bytes
    }

    /// How large it is, in bytes; a message counts in each place where it stands.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds another batch behind this one.
    pub fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.items.append(&mut other.items);
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::QoS;
    use mqtt_session::Commit;

    use super::super::message::Ids;
    use super::*;

    /// What a batch says about its size is what those go by who bound what gathers and what waits.
    #[test]
    fn a_batch_knows_its_bytes() {
        let message = Arc::new(Message::new("t", &[], &[0; 100], QoS::AtLeastOnce, false));
        let queued = || Queued {
            message: Arc::clone(&message),
            copy: Commit::default(),
            body: Commit::default(),
            ids: Ids::None,
            qos: QoS::AtLeastOnce,
            retain: false,
            group: None,
        };
        let key = SessionKey {
            slot: 1,
            generation: 0,
        };
        let mut batch = Batch::default();
        let deliver = |batch: &mut Batch| batch.deliver(key, queued(), Origin::New);
        let grown = [deliver(&mut batch), deliver(&mut batch)];
        assert_eq!(grown, [message.size() + size_of::<Item>(); 2]);
        assert_eq!(batch.bytes(), grown[0] + grown[1]);
        let (bytes, items) = (batch.bytes(), batch.items.len());
        let mut other = Batch::default();
        let more = deliver(&mut other);
        batch.append(other);
        assert_eq!(batch.bytes(), bytes + more);
        assert_eq!(batch.items.len(), items + 1);
    }
}
