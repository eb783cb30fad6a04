//! A record as a store keeps it in memory.

use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::{Change, Commit, Instant};

use super::ids::{GroupId, Subscriber};
use super::message::Message;
use super::store::Record;

/// A [`Record`] that borrows nothing: for a store that writes later than it is told, and for tests. Variants and fields are the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is what Record says of it")]
pub enum OwnedRecord {
    Session {
        session: Subscriber,
        client_id: Box<str>,
        user_name: Option<Box<str>>,
        expiry: u32,
        bridge: bool,
    },
    Used(Subscriber),
    Disconnected {
        session: Subscriber,
        expires: Option<Instant>,
    },
    Ended(Subscriber),
    Subscribed {
        session: Subscriber,
        filter: Box<str>,
        options: SubscriptionOptions,
        id: Option<SubscriptionId>,
        retained: bool,
    },
    RetainedSent {
        session: Subscriber,
        filter: Box<str>,
    },
    Unsubscribed {
        session: Subscriber,
        filter: Box<str>,
    },
    Group {
        group: GroupId,
        filter: Box<str>,
    },
    Queued {
        receiver: Subscriber,
        message: Arc<Message>,
        qos: QoS,
        retain: bool,
        ids: Box<[SubscriptionId]>,
        group: Option<GroupId>,
    },
    Done {
        receiver: Subscriber,
        copy: Commit,
    },
    Handshake {
        session: Subscriber,
        change: Change,
        copy: Commit,
    },
    Retained(Arc<Message>),
    Unretained(Box<str>),
    Will {
        session: Subscriber,
        message: Arc<Message>,
        delay: u32,
        due: Option<Instant>,
    },
    WillGone(Subscriber),
    Restarted,
    Renamed {
        session: Subscriber,
        client_id: Box<str>,
    },
}

impl From<&Record<'_>> for OwnedRecord {
    fn from(record: &Record<'_>) -> Self {
        match *record {
            Record::Session {
                session,
                client_id,
                user_name,
                expiry,
                bridge,
            } => Self::Session {
                session,
                client_id: client_id.into(),
                user_name: user_name.map(Into::into),
                expiry,
                bridge,
            },
            Record::Used(session) => Self::Used(session),
            Record::Disconnected { session, expires } => Self::Disconnected { session, expires },
            Record::Ended(who) => Self::Ended(who),
            Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            } => Self::Subscribed {
                session,
                filter: filter.into(),
                options,
                id,
                retained,
            },
            Record::RetainedSent { session, filter } => Self::RetainedSent {
                session,
                filter: filter.into(),
            },
            Record::Unsubscribed { session, filter } => Self::Unsubscribed {
                session,
                filter: filter.into(),
            },
            Record::Group { group, filter } => Self::Group {
                group,
                filter: filter.into(),
            },
            Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            } => Self::Queued {
                receiver,
                message: Arc::clone(message),
                qos,
                retain,
                ids: ids.into(),
                group,
            },
            Record::Done { receiver, copy } => Self::Done { receiver, copy },
            Record::Handshake {
                session,
                change,
                copy,
            } => Self::Handshake {
                session,
                change,
                copy,
            },
            Record::Retained(message) => Self::Retained(Arc::clone(message)),
            Record::Unretained(topic) => Self::Unretained(topic.into()),
            Record::Will {
                session,
                message,
                delay,
                due,
            } => Self::Will {
                session,
                message: Arc::clone(message),
                delay,
                due,
            },
            Record::WillGone(session) => Self::WillGone(session),
            Record::Restarted => Self::Restarted,
            Record::Renamed { session, client_id } => Self::Renamed {
                session,
                client_id: client_id.into(),
            },
        }
    }
}

impl OwnedRecord {
    /// The record that this was made from.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        match *self {
            Self::Session {
                session,
                ref client_id,
                ref user_name,
                expiry,
                bridge,
            } => Record::Session {
                session,
                client_id,
                user_name: user_name.as_deref(),
                expiry,
                bridge,
            },
            Self::Used(session) => Record::Used(session),
            Self::Disconnected { session, expires } => Record::Disconnected { session, expires },
            Self::Ended(who) => Record::Ended(who),
            Self::Subscribed {
                session,
                ref filter,
                options,
                id,
                retained,
            } => Record::Subscribed {
                session,
                filter,
                options,
                id,
                retained,
            },
            Self::RetainedSent {
                session,
                ref filter,
            } => Record::RetainedSent { session, filter },
            Self::Unsubscribed {
                session,
                ref filter,
            } => Record::Unsubscribed { session, filter },
            Self::Group { group, ref filter } => Record::Group { group, filter },
            Self::Queued {
                receiver,
                ref message,
                qos,
                retain,
                ref ids,
                group,
            } => Record::Queued {
                receiver,
                message,
                qos,
                retain,
                ids,
                group,
            },
            Self::Done { receiver, copy } => Record::Done { receiver, copy },
            Self::Handshake {
                session,
                change,
                copy,
            } => Record::Handshake {
                session,
                change,
                copy,
            },
            Self::Retained(ref message) => Record::Retained(message),
            Self::Unretained(ref topic) => Record::Unretained(topic),
            Self::Will {
                session,
                ref message,
                delay,
                due,
            } => Record::Will {
                session,
                message,
                delay,
                due,
            },
            Self::WillGone(session) => Record::WillGone(session),
            Self::Restarted => Record::Restarted,
            Self::Renamed {
                session,
                ref client_id,
            } => Record::Renamed { session, client_id },
        }
    }
}
