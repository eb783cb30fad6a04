//! What is fixed when a device's firmware is compiled.

use mqtt_codec::SubscriptionOptions;
use mqtt_topic::TopicFilter;

use crate::profile::{Full, Profile, V3, V3QoS1, V3V5};

/// A filter, and how it is subscribed to.
pub type Subscription = (TopicFilter<'static>, SubscriptionOptions);

/// What a device is: its part of the protocol, and what it decides for itself. What a constant rules out is not compiled in.
///
/// Every [`Profile`] is one, with the defaults:
///
/// ```
/// use mqtt_session::compact::Device;
/// use mqtt_session::profile::V3;
///
/// /// Wakes once an hour, sends what has gathered, and sleeps.
/// #[derive(Debug)]
/// struct Solar;
///
/// impl Device for Solar {
///     type Profile = V3;
///     const EARLY: bool = true;
/// }
/// assert_eq!((Solar::WINDOW, V3::WINDOW), (4, 4));
/// ```
pub trait Device: core::fmt::Debug {
    /// The versions it speaks, and how surely.
    type Profile: Profile;
    /// What the client subscribes to by itself, whenever the session is a new one.
    const SUBSCRIPTIONS: &'static [Subscription] = &[];
    /// Messages of QoS 1 and 2 in flight at once, at least one; the broker's Receive Maximum may lower it (5.0).
    const WINDOW: u16 = 4;
    /// QoS 2 messages that may be underway from the broker, at least one: two bytes of the receive memory each. In 5.0 it is announced as
    /// Receive Maximum. A broker that sends more is asked for the rest by a new connection, once those are over: 20 are as many as
    /// Mosquitto sends before 5.0.
    const RECEIVE_MAXIMUM: u16 = 20;
    /// How long the broker keeps the session after a connection, in seconds (5.0); default a week.
    const SESSION_EXPIRY: u32 = 604_800;
    /// Time for CONNACK and for PINGRESP, in milliseconds. When nothing at all has come for so long though an answer to a message or a
    /// subscription is due, the broker is asked by a PINGREQ: a line that is dead without a word, or a broker that has stalled, is found
    /// out in twice this time, whatever the keep-alive.
    const ANSWER_TIMEOUT_MS: u32 = 10_000;
    /// The first pause between two dials, in milliseconds, a power of two: each is as long again at most, and the next twice as long, up
    /// to 256 times the first. Drivers keep it.
    const RETRY_MS: u32 = 1_024;
    /// How long acknowledgements wait for a packet to travel with, in milliseconds: each that does saves the 40 bytes of TCP/IP's
    /// headers, and the radio one transmission. 0 sends them at once.
    const HOLD_MS: u32 = 0;
    /// Messages follow CONNECT without waiting for CONNACK: the first reading is there one round trip earlier, and in the same
    /// segment; that saves 40 bytes where the broker's two answers share a segment, too.
    ///
    /// What a 5.0 broker allows is said by its CONNACK, and so not known to what leaves before. A message that is larger than its Maximum
    /// Packet Size, of a QoS or with a RETAIN flag that it does not take, or one more than its Receive Maximum
    /// ([`WINDOW`](Self::WINDOW) is the device's part) makes it close the connection; of QoS 1 and 2 it stays in the queue, and so it goes
    /// on at every dial. Without `EARLY` such messages wait, or are not sent and told of. Set it for brokers whose limits you know.
    ///
    /// A broker that refuses the connection has taken nothing: messages of QoS 1 and 2 wait for the next one, those of QoS 0 are gone.
    /// When CONNACK is lost with its connection, it may have taken them: they are sent again on the next, those of QoS 1 may arrive
    /// twice, and those of QoS 2 once, if the session is still there then; with a clean start it is not.
    const EARLY: bool = false;
    /// Whether [`violation`](super::Compact::violation) names the rule that a broker broke.
    const DIAGNOSES: bool = true;
}

impl Device for V3QoS1 {
    type Profile = Self;
    const DIAGNOSES: bool = false;
}

impl Device for V3 {
    type Profile = Self;
    const DIAGNOSES: bool = false;
}

impl Device for V3V5 {
    type Profile = Self;
}

impl Device for Full {
    type Profile = Self;
}
