//! One connection, and the owner that its session sees.

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_session::profile::Durable;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Change, Commit, HandshakeText, Instant, Limits, Outbox, Outcome, OutgoingMessage, Owner, Seq,
    ServerSession, SessionState, Violation,
};
use zeroize::Zeroize;

use super::counters::Tally;
use super::ids::{GroupId, SessionKey, Subscriber};
use super::output::Output;
use super::policy::{ConnectRequest, Peer};
use super::queue::Queue;
use super::sessions::Will;
use super::settings::Settings;
use super::store::{Record, Room, Store, Unreadable};

/// The state machine of one connection.
pub(super) type Machine = ServerSession<Durable, Heap>;
/// What is left of it without a connection.
pub(super) type State = SessionState<Durable, Heap>;

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) machine: Machine,
    /// Its session, from the accepted CONNECT on; `None` again when another connection has taken it over.
    pub(super) session: Option<SessionKey>,
    /// Only while something waits to be written.
    pub(super) output: Option<Box<Output>>,
    /// Only until CONNACK is written, or as long as the client may authenticate again.
    pub(super) handshake: Option<Box<Handshake>>,
    /// What most connections never have.
    pub(super) rare: Option<Box<Rare>>,
    /// When its timer fires.
    pub(super) armed: Instant,
    /// It stands in a list of touched connections.
    pub(super) touched: bool,
    /// The driver was told not to read.
    pub(super) paused: bool,
    /// There is more to write than one round takes.
    pub(super) more: bool,
    /// It has done what it seldom does: the memory for that goes as soon as everything is said.
    pub(super) trim: bool,
    /// It stands in the list of those to be looked at when the store has come further.
    pub(super) withheld: bool,
    /// The store knows that the client has used the session.
    pub(super) noted: bool,
}

/// What most connections never have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// A SUBSCRIBE that somebody else was asked about.
    pub(super) asked: Option<Asked>,
    /// The rule that the client broke.
    pub(super) why: Option<Violation>,
}

/// What CONNECT said, until it is answered.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) request: ConnectRequest,
    pub(super) clean_start: bool,
    pub(super) bridge: bool,
    /// The client sent no id: CONNACK tells the one that was chosen.
    pub(super) assigned: bool,
    pub(super) keep_alive: u16,
    pub(super) session_expiry: u32,
    pub(super) will: Option<Box<Will>>,
    pub(super) response_information: Option<Box<str>>,
    /// Data of enhanced authentication that CONNACK brings.
    pub(super) last_data: Option<Box<[u8]>>,
    /// The number of the open question; 0 is none.
    pub(super) question: u32,
}

/// A SUBSCRIBE that waits for somebody's verdict.
#[derive(Debug)]
pub(super) struct Asked {
    /// 0 while nobody was asked.
    pub(super) question: u32,
    pub(super) filters: Vec<(Box<str>, mqtt_codec::SubscriptionOptions)>,
    pub(super) id: Option<SubscriptionId>,
}

impl Handshake {
    /// Overwrites the password: once the client is judged nobody needs it.
    pub(super) fn forget_password(&mut self) {
        if let Some(mut password) = self.request.password.take() {
            password.zeroize();
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.forget_password();
    }
}

impl Conn {
    /// No timer is set.
    pub(super) const NEVER: Instant = Instant::from_millis(u64::MAX);

    pub(super) fn new(peer: Peer, now: Instant, limits: &Limits) -> Self {
        let mut machine = Machine::new();
        machine.open(now, limits);
        let armed = machine.deadline().unwrap_or(Self::NEVER);
        let request = ConnectRequest {
            client_id: "".into(),
            user_name: None,
            password: None,
            version: mqtt_codec::Version::V311,
            peer,
            authentication_method: None,
            authentication_data: None,
            authentication_step: 0,
        };
        let handshake = Handshake {
            request,
            clean_start: true,
            bridge: false,
            assigned: false,
            keep_alive: 0,
            session_expiry: 0,
            will: None,
            response_information: None,
            last_data: None,
            question: 0,
        };
        Self {
            machine,
            session: None,
            output: None,
            handshake: Some(Box::new(handshake)),
            rare: None,
            armed,
            touched: false,
            paused: false,
            more: false,
            trim: false,
            withheld: false,
            noted: false,
        }
    }

    /// Whether nothing has come yet.
    pub(super) fn awaits_connect(&self) -> bool {
        // CONNECT gives everyone a client id, its own or one that is assigned.
        self.handshake
            .as_ref()
            .is_some_and(|handshake| handshake.request.client_id.is_empty())
    }

    /// Whether packets are taken. Output that the client leaves unread does not stop it, nor do retained messages that it still has to
    /// get: what may pile up is bounded by the session's own tables, a slow link must get its pings through, and acknowledgements are what
    /// opens the window again.
    pub(super) fn takes_input(&self) -> bool {
        self.machine.wants_input()
    }
}

/// The owner of a session while its machine is called.
pub(super) struct Keeper<'a> {
    pub(super) who: Subscriber,
    pub(super) queue: &'a mut Option<Box<Queue>>,
    pub(super) store: &'a mut dyn Store,
    pub(super) settings: &'a Settings,
    pub(super) handshake: Option<&'a Handshake>,
    /// The session outlives its connection.
    pub(super) lasts: bool,
    pub(super) client_id: &'a str,
    pub(super) ended: &'a mut Vec<(GroupId, Subscriber)>,
    pub(super) tally: &'a mut Tally,
    /// The place of a message that could not be read, and its copy in the store.
    pub(super) given_up: Option<(Seq, Commit)>,
}

impl Keeper<'_> {
    /// Appends the payload of a message whose head was written.
    pub(super) fn append_payload(&mut self, seq: Seq, last_use: bool, output: &mut Output) {
        let Some(queue) = self.queue.as_mut() else {
            return;
        };
        if let Some(queued) = queue.get(seq) {
            self.tally.publish_sent += 1;
            self.tally.payload_sent += queued.message.payload().len() as i64;
            output.append(&queued.message);
        }
        if last_use {
            self.forget(seq);
        }
    }

    fn forget(&mut self, seq: Seq) {
        if let Some(taken) = self.queue.as_mut().and_then(|queue| queue.take(seq)) {
            self.tally.unqueue(&taken);
            if taken.qos() != QoS::AtMostOnce {
                self.store.record(&Record::Done {
                    receiver: self.who,
                    copy: taken.copy(),
                });
                if let Some(group) = taken.group() {
                    self.ended.push((group, self.who));
                }
            }
        }
    }

    /// A message cannot be read: it goes out of the queue, and the store is not told, which keeps it for whoever repairs it. But one of QoS 2
    /// whose delivery has begun is [over](Change::PeerReceived).
    #[cold]
    fn give_up(&mut self, seq: Seq, error: &Unreadable) {
        self.tally.unreadable += 1;
        tracing::error!(client_id = self.client_id, "message not delivered: {error}");
        if let Some(taken) = self.queue.as_mut().and_then(|queue| queue.take(seq)) {
            self.tally.unqueue(&taken);
            self.given_up = Some((seq, taken.copy()));
            if let Some(group) = taken.group() {
                self.ended.push((group, self.who));
            }
        }
    }

    /// The id of a message that was given up is released: the client may have got it, so that it must not begin again under another id.
    #[cold]
    fn lose(&mut self, copy: Commit) {
        tracing::error!(
            client_id = self.client_id,
            "the message that could not be read is lost: its delivery had begun"
        );
        self.store.record(&Record::Done {
            receiver: self.who,
            copy,
        });
    }
}

impl Outbox for Keeper<'_> {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        self.queue.as_ref()?.next(from)
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let index = match self.queue.as_mut()?.load(seq, self.store) {
            Ok(index) => index?,
            Err(error) => {
                self.give_up(seq, &error);
                return None;
            }
        };
        let queued = self.queue.as_ref()?.at(index)?;
        Some(
            queued
                .message
                .outgoing(queued.qos, queued.retain, queued.ids.as_slice()),
        )
    }

    fn done(&mut self, seq: Seq, outcome: Outcome) {
        match outcome {
            Outcome::Expired => self.tally.expired += 1,
            Outcome::TooLarge => self.tally.too_large += 1,
            Outcome::Refused(_) => self.tally.refused += 1,
            _ => {}
        }
        self.forget(seq);
    }
}

impl Owner for Keeper<'_> {
    type Gate = Commit;

    fn record(&mut self, change: Change) -> Commit {
        let copy = match change {
            Change::Sent(seq, _) | Change::PeerReceived(seq, _) => {
                self.queue.as_ref().and_then(|queue| queue.copy(seq))
            }
            _ => None,
        };
        let lost = match change {
            Change::PeerReceived(seq, _) => self.given_up.take_if(|(place, _)| *place == seq),
            _ => None,
        };
        let lost = lost.map(|(_, copy)| copy);
        let commit = self.store.record(&Record::Handshake {
            session: self.who,
            change,
            copy: copy.or(lost).unwrap_or_default(),
        });
        if let Some(copy) = lost {
            self.lose(copy);
        }
        // After a crash nobody asks for the ids of a session that has ended with it: they need not wait for a store without room.
        if !self.lasts && self.store.room() != Room::Enough {
            return Commit::default();
        }
        commit
    }

    fn committed(&self) -> Commit {
        self.store.committed()
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    fn handshake_text(&self) -> HandshakeText<'_> {
        let Some(handshake) = self.handshake else {
            return HandshakeText::default();
        };
        HandshakeText {
            assigned_client_id: handshake.assigned.then_some(self.client_id),
            response_information: handshake.response_information.as_deref(),
            authentication_method: handshake.request.authentication_method.as_deref(),
            authentication_data: handshake.last_data.as_deref(),
            server_reference: None,
            reason_string: None,
        }
    }
}
