//! Three owners of a session: fixed memory, heap, and a store that commits late.

mod fixed;
pub mod heap;
pub mod late;

use core::fmt::Debug;

use mqtt_codec::{PacketId, QoS};
use mqtt_session::profile::{Durable, Full};
use mqtt_session::storage::{Fixed, Heap};
use mqtt_session::{Instant, Limits, Outcome, Owner, Profile, Seq, SessionState, Storage};

pub use fixed::FixedOwner;
pub use heap::HeapOwner;
pub use late::LateOwner;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The QoS.
    pub qos: QoS,
    /// The RETAIN flag.
    pub retain: bool,
    /// When it expires.
    pub expires: Option<Instant>,
}

impl Message {
    /// A message that is not retained and does not expire.
    #[must_use]
    pub fn new(topic: &str, qos: QoS, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
            retain: false,
            expires: None,
        }
    }
}

/// An owner that tests can drive.
pub trait TestOwner: Owner + Default + Debug {
    /// The limits, to change them before a connection.
    fn limits_mut(&mut self) -> &mut Limits;
    /// Names a method of enhanced authentication, if this owner can.
    fn set_method(&mut self, _method: &str) {}
    /// Queues a message; `None` when there is no room.
    fn publish(&mut self, message: &Message) -> Option<Seq>;
    /// Appends the payload of `seq` to `out`.
    fn payload(&self, seq: Seq, out: &mut Vec<u8>);
    /// A QoS 0 message was written: it has ended.
    fn written(&mut self, seq: Seq);
    /// Drops a message without being asked to, whatever its state.
    fn lose(&mut self, seq: Seq);
    /// Drops every message: the session has ended.
    fn forget(&mut self);
    /// The messages that are still there, in their order.
    fn waiting(&self) -> Vec<Seq>;
    /// Takes what [`done`](mqtt_session::Outbox::done) was called with since the last time.
    fn ended(&mut self, each: &mut dyn FnMut(Seq, Outcome));
    /// Notes something of the owner's own (a copy, a subscription, a session); gives the gate that opens when it is durable.
    fn keep(&mut self, note: Note) -> Self::Gate;
    /// Makes up to `most` further entries durable.
    fn commit(&mut self, _most: usize) {}
    /// Entries that are not durable.
    fn uncommitted(&self) -> usize {
        0
    }
    /// Whether it is durable that the peer's loss of the session was noticed.
    fn is_reset_durable(&self) -> bool {
        true
    }
    /// Whether the latest change that concerns this packet id is durable: `received` for ids of the peer, else for our own.
    fn is_durable(&self, _received: bool, _id: PacketId) -> bool {
        true
    }
    /// Whether a restart would find this packet id in use.
    fn is_recorded(&self, _received: bool, _id: PacketId) -> bool {
        true
    }
}

/// Something of the owner's own that a restart must find again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A copy of a received message.
    Copy,
    /// The session was created; `kept` when it outlives its connection.
    Created {
        /// Whether it does.
        kept: bool,
    },
    /// The client has used the session: it knows of it.
    Used,
    /// The session was subscribed.
    Subscribed,
    /// The session has ended.
    Forgotten,
}

/// What of the owner's own survives a restart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// There is a session.
    pub exists: bool,
    /// It outlives its connection.
    pub kept: bool,
    /// Its client has shown that it knows: whose CONNACK got lost believes in the session before it.
    pub used: bool,
    /// It is subscribed.
    pub subscribed: bool,
}

/// What a restart finds.
pub type Restarted<K> = (
    SessionState<<K as Kind>::Profile, <K as Kind>::Storage>,
    Memory,
);

/// A kind of owner with the profile and the storage that go with it.
pub trait Kind: Debug + 'static {
    /// The session's profile.
    type Profile: Profile<Gate = <Self::Owner as Owner>::Gate>;
    /// The session's storage.
    type Storage: Storage;
    /// The owner.
    type Owner: TestOwner;
    /// What to call it in messages.
    const NAME: &'static str;
    /// Entries of the smallest table: the largest Receive Maximum that it can announce.
    const ROOM: u16;
    /// Topic aliases that it can hold.
    const ALIASES: u16;

    /// Crashes and starts again from what was committed; `None` when this owner survives no crash.
    fn restart(_owner: &mut Self::Owner) -> Option<Restarted<Self>>
    where
        Self: Sized,
    {
        None
    }
}

/// Fixed memory everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Small;

impl Kind for Small {
    type Profile = Full;
    type Storage = Fixed<4, 4, 2, 2, 16>;
    type Owner = FixedOwner<16, 16, 160>;
    const NAME: &'static str = "fixed";
    const ROOM: u16 = 4;
    const ALIASES: u16 = 2;
}

/// The heap, and no disk.
#[derive(Clone, Copy, Debug)]
pub struct Heaped;

impl Kind for Heaped {
    type Profile = Full;
    type Storage = Heap;
    type Owner = HeapOwner;
    const NAME: &'static str = "heap";
    const ROOM: u16 = u16::MAX;
    const ALIASES: u16 = u16::MAX;
}

/// The heap, and a store whose commits come late and in batches.
#[derive(Clone, Copy, Debug)]
pub struct Stored;

impl Kind for Stored {
    type Profile = Durable;
    type Storage = Heap;
    type Owner = LateOwner;
    const NAME: &'static str = "late";
    const ROOM: u16 = u16::MAX;
    const ALIASES: u16 = u16::MAX;

    fn restart(owner: &mut LateOwner) -> Option<Restarted<Self>> {
        Some(owner.restart())
    }
}
