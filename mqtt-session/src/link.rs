//! What belongs to one connection and dies with it.

use core::fmt::Debug;

use mqtt_codec::{AnyVersion, ReasonCode};

use crate::alias::Aliases;
use crate::limits::packet_size;
use crate::owner::Gate;
use crate::profile::Profile;
use crate::session::Role;
use crate::storage::{ByteQueue, Deque, Part, Storage};
use crate::time::Instant;
use crate::violation::Violation;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    #[default]
    Closed,
    /// Server: nothing has come yet.
    AwaitConnect,
    /// Server: the owner is asked about CONNECT.
    Deciding,
    /// Server: the client owes AUTH.
    AwaitAuth,
    /// Server: CONNACK 0 is due.
    Accepted,
    /// Server: a refusing CONNACK is due.
    Refused,
    /// Client: CONNECT was written.
    AwaitConnAck,
    /// The handshake is over.
    Connected,
    /// DISCONNECT is due.
    Failing,
    /// Nothing more is written.
    Closing,
}

/// What the owner was asked while the connection is up, and has not yet answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Question {
    #[default]
    None,
    Subscribe {
        id: u16,
        count: u16,
    },
    Unsubscribe {
        id: u16,
        count: u16,
    },
    Reauthenticate,
}

/// An acknowledgement that is owed: PUBACK or PUBREC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owed<G> {
    pub(crate) number: u32,
    pub(crate) id: u16,
    /// PUBREC: verdict and gate stand in the session's table of received ids.
    pub(crate) exactly_once: bool,
    /// QoS 1: the verdict; 0xFF while there is none.
    pub(crate) verdict: u8,
    pub(crate) gate: G,
}

/// No verdict yet: not a reason code of any acknowledgement.
pub(crate) const UNDECIDED: u8 = 0xFF;

/// A short answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer<G> {
    pub(crate) gate: G,
    pub(crate) id: u16,
    /// How many reason codes stand in the table of codes.
    pub(crate) count: u16,
    pub(crate) kind: AnswerKind,
    pub(crate) reason: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    #[default]
    PubComp,
    PubRel,
    SubAck,
    UnsubAck,
}

/// What is owed to the peer.
#[derive(Debug)]
pub(crate) struct Owing<G: Gate, S: Storage> {
    /// In the order in which the messages arrived [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    pub(crate) acks: S::Inbound<Owed<G>>,
    pub(crate) answers: S::Answers<Answer<G>>,
    pub(crate) codes: S::Codes,
    /// What the owner was asked and has not answered.
    pub(crate) question: Question,
    pub(crate) connack: OwedConnAck<G>,
    /// Why the connection fails, and the reason code of the DISCONNECT or CONNACK that is due.
    pub(crate) failure: Option<Violation>,
    pub(crate) reason: u8,
}

/// What CONNACK will say: only for the time of the handshake.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwedConnAck<G> {
    pub(crate) gate: G,
    /// What CONNECT asked for, in seconds.
    pub(crate) session_expiry: u32,
    /// The value differs from what the client asked for.
    pub(crate) says_keep_alive: bool,
    pub(crate) says_expiry: bool,
    /// The client wants Response Information [MQTT-3.1.2-28].
    pub(crate) response_information: bool,
}

impl<G: Gate, S: Storage> Owing<G, S> {
    /// Whether nothing is owed and nothing asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.answers.is_empty() && self.question == Question::None
    }

    /// Forgets what is owed: the session is another connection's business.
    pub(crate) fn forget(&mut self) {
        self.acks.clear();
        self.answers.clear();
        self.codes.truncate(0);
        self.question = Question::None;
    }
}

impl<G: Gate, S: Storage> Default for Owing<G, S> {
    fn default() -> Self {
        Self {
            acks: Default::default(),
            answers: Default::default(),
            codes: Default::default(),
            question: Question::None,
            connack: Default::default(),
            failure: None,
            reason: 0,
        }
    }
}

/// The connection's part of a session.
pub(crate) struct Link<R: Role, P: Profile, S: Storage> {
    pub(crate) role: R::Link<S>,
    /// Before the handshake is over: when it must be; afterwards: when the peer was last heard.
    pub(crate) clock: Instant,
    pub(crate) owing: S::Part<Owing<P::Gate, S>>,
    pub(crate) aliases: S::Part<Aliases<S>>,
    /// Largest packet that the peer takes.
    pub(crate) maximum_packet_size: u32,
    /// In seconds; 0 switches it off.
    pub(crate) keep_alive: u16,
    /// QoS 1 and QoS 2 messages that may be unacknowledged at once [MQTT-4.9.0-1].
    pub(crate) send_maximum: u16,
    /// Unacknowledged messages allowed to the peer.
    pub(crate) receive_maximum: u16,
    /// 5.0: messages that the peer sent on this connection and that are not acknowledged to the end.
    pub(crate) unacknowledged: u16,
    /// Aliases allowed to the peer, and to us.
    pub(crate) alias_maximum: u16,
    pub(crate) alias_send_maximum: u16,
    pub(crate) version: P::Version,
    pub(crate) phase: Phase,
    /// PINGREQ or PINGRESP packets that are due.
    pub(crate) pings_due: u8,
    /// The keep-alive clock stood still because nothing was read.
    pub(crate) paused: bool,
    pub(crate) clean_start: bool,
    pub(crate) session_present: bool,
    /// CONNECT named an authentication method.
    pub(crate) authenticating: bool,
    /// The peer wants reason strings.
    pub(crate) problem_information: bool,
}

impl<R: Role, P: Profile, S: Storage> Default for Link<R, P, S> {
    fn default() -> Self {
        Self {
            role: Default::default(),
            clock: Instant::ZERO,
            owing: Default::default(),
            aliases: Default::default(),
            maximum_packet_size: u32::MAX,
            keep_alive: 0,
            send_maximum: 0,
            receive_maximum: 0,
            unacknowledged: 0,
            alias_maximum: 0,
            alias_send_maximum: 0,
            version: P::Version::DEFAULT,
            phase: Phase::Closed,
            pings_due: 0,
            paused: false,
            clean_start: true,
            session_present: false,
            authenticating: false,
            problem_information: true,
        }
    }
}

impl<R: Role, P: Profile, S: Storage> Debug for Link<R, P, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Link")
            .field("phase", &self.phase)
            .field("version", &self.version)
            .field("owing", &self.owing)
            .finish_non_exhaustive()
    }
}

impl<R: Role, P: Profile, S: Storage> Link<R, P, S> {
    /// What the owner was asked and has not answered.
    pub(crate) fn question(&self) -> Question {
        self.owing
            .get()
            .map_or(Question::None, |owing| owing.question)
    }

    /// Asks the owner, or takes its answer.
    pub(crate) fn set_question(&mut self, question: Question) {
        self.owing.make().question = question;
    }

    /// The reason code of the DISCONNECT or CONNACK that is due.
    pub(crate) fn reason(&self) -> ReasonCode {
        ReasonCode(self.owing.get().map_or(0, |owing| owing.reason))
    }

    pub(crate) fn set_reason(&mut self, reason: ReasonCode) {
        self.owing.make().reason = reason.0;
    }

    /// Whether the packets of this connection are those of 5.0.
    pub(crate) fn v5(&self) -> bool {
        self.version.is_v5()
    }

    /// Whether a packet of `len` bytes may be sent to the peer.
    pub(crate) const fn takes(&self, len: usize) -> bool {
        len <= packet_size(self.maximum_packet_size)
    }
}
