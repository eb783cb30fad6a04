//! What a device learns.

use mqtt_codec::{PacketId, Properties, QoS, ReasonCode};

use crate::violation::Misuse;

/// What a device learns from what has come in. Small and without a borrow: a message is looked at where it lies, by
/// [`Compact::message`](super::Compact::message).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Event {
    /// There is nothing more before bytes have come, or what is due was written: a driver sees to that, and whoever uses one may sleep.
    Waiting,
    /// Nothing that the application has to know; there may be more.
    Nothing,
    /// The broker has accepted the connection. What was in flight is sent again.
    Connected {
        /// Whether this is the session that an earlier event told of, with its subscriptions. If not, subscribe, unless
        /// [`Device::SUBSCRIPTIONS`](super::Device::SUBSCRIPTIONS) does: the broker may have made the session at a CONNECT whose answer
        /// was lost, and nobody has subscribed in it.
        resumed: bool,
        /// Whether the broker had the session, perhaps from before a restart of the device.
        session_present: bool,
    },
    /// The broker has refused the connection, which is over.
    Refused(ReasonCode),
    /// A message, or its first part. It counts as taken when the next call comes, and is acknowledged then.
    Message,
    /// More of the payload of a message that is larger than the buffer. When the connection ends before the last part, what had come is to
    /// be thrown away: the message comes again, from its beginning.
    Part,
    /// A message was skipped: its topic does not fit the buffer, and it is acknowledged; or it is of QoS 2 and the profile is without,
    /// and it is not.
    Skipped,
    /// The broker has a PUBLISH of QoS 1 or 2, or has refused it with a reason of 0x80 or more (5.0).
    ///
    /// Each message has one. Of QoS 2 also one that the broker has said to have (PUBREC), when the session ends before PUBCOMP, lost by the
    /// broker or by a clean start: it arrived, its id is free, and nobody is there to answer for it.
    Acknowledged(PacketId, ReasonCode),
    /// The answer to a SUBSCRIBE: the QoS that was granted, or a refusal of 0x80 or more.
    Subscribed(PacketId, ReasonCode),
    /// The answer to an UNSUBSCRIBE.
    Unsubscribed(PacketId),
    /// The broker says why it closes the connection (5.0).
    Disconnected(ReasonCode),
    /// The broker broke a rule, which [`Compact::violation`](super::Compact::violation) names: a driver writes what is left and closes, and [`Lost`](Self::Lost)
    /// comes next.
    Broken,
    /// The connection is gone, or none came about: the driver's word for it.
    Lost,
    /// No connection can begin: CONNECT asks for a version that the profile does not speak ([`Misuse::NotSupported`]), or does not fit
    /// the receive memory or its version ([`Misuse::Encode`]). The driver's word, too; it tries again after a pause.
    Misuse(Misuse),
}

/// A message from the broker, borrowed from the receive buffer until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Message<'e> {
    /// The topic; empty for a part that is not the first.
    pub topic: &'e str,
    /// The payload, or a part of it.
    pub payload: &'e [u8],
    /// Bytes of the payload that are still to come, as [`Event::Part`]: 0 for a message that fits the buffer.
    pub missing: u32,
    /// The QoS that it was sent with; of a part that is not the first, as of [`retain`](Self::retain), nothing is known.
    pub qos: QoS,
    /// The RETAIN flag: for a new subscription, an old message.
    pub retain: bool,
    /// All properties (5.0).
    pub properties: Properties<'e>,
}
