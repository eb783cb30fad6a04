//! What the reference is told: everything that the broker took from its clients, in the order in which it took it.

use mqtt_session::Instant;

use super::kept::Copy;

/// One subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sub {
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    /// 0, 1 or 2.
    pub(super) retain_handling: u8,
    /// The subscription identifier, below 32; 0 is none.
    pub(super) id: u8,
}

impl Sub {
    /// Its identifier as a set of bits.
    pub(super) const fn ids(self) -> u32 {
        if self.id == 0 { 0 } else { 1 << self.id }
    }
}

/// What DISCONNECT said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye {
    /// The will is to be published all the same.
    pub(super) keeps_will: bool,
    /// It changed the expiry of the session.
    pub(super) expiry: Option<u32>,
}

/// When something happens that can bring a will with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) now: Instant,
    /// The store takes nothing more: of what would have to be kept, whoever is connected gets a copy at QoS 0.
    pub(super) no_room: bool,
}

/// What a delivery is one of.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A copy of a published message.
    Live(Copy),
    /// A retained message for a new subscription.
    Retained { r: u32, exactly_once: bool },
    /// A message that a shared group gave to this session.
    Group {
        group: u8,
        copy: Copy,
        exactly_once: bool,
    },
}

/// Something that changes what the broker must remember.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Connect {
        client: usize,
        link: u32,
        clean: bool,
        expiry: u32,
        /// Its routing, and its delay in seconds.
        will: Option<(u32, u32)>,
        /// What was said on the connection that is taken over.
        goodbye: Option<Goodbye>,
        when: When,
    },
    /// The connection of a session has ended.
    Closed {
        client: usize,
        goodbye: Option<Goodbye>,
        when: When,
    },
    /// Something is due of a session without a connection.
    Due {
        client: usize,
        when: When,
    },
    /// A message is routed; `received` is the id of a QoS 2 message.
    Publish {
        r: u32,
        received: Option<u16>,
        opens: u64,
        now: Instant,
    },
    /// The client sent something other than CONNECT.
    Used {
        client: usize,
    },
    Released {
        client: usize,
        id: u16,
    },
    Subscribe {
        client: usize,
        filter: usize,
        sub: Sub,
        /// Names it.
        key: u32,
        now: Instant,
    },
    Unsubscribe {
        client: usize,
        filter: usize,
    },
    /// The broker wrote PUBLISH with an id that was free.
    Wrote {
        client: usize,
        id: u16,
        what: What,
        /// It was begun before a restart.
        dup: bool,
    },
    /// A retained message was written for the subscription that has this key.
    Served {
        client: usize,
        key: u32,
        topic: usize,
    },
    /// The broker crashed, and goes on with what is durable.
    Crashed,
    /// After a crash a session goes on without its connection.
    Resumed {
        client: usize,
        when: When,
    },
    /// The handshake of a delivery is over.
    Acknowledged {
        client: usize,
        id: u16,
    },
    PeerReceived {
        client: usize,
        id: u16,
        opens: u64,
    },
}
