//! What the state of a client's message means to us.

use mqtt_codec::QoS;

use super::chunk::{ClientMessage, Wrong};

/// What a client message means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A copy that waits.
    Waits,
    /// QoS 2: sent, PUBREC awaited.
    Sent,
    /// QoS 2: PUBREC came.
    Releasing,
    /// QoS 2, from the client: PUBREL awaited.
    Unreleased,
    /// Not kept: QoS 0.
    AtMostOnce,
    /// Not kept: from the client, who was not told that we have it.
    NotAcknowledged,
    /// Not kept: from the client, released and given to everybody.
    Over,
}

impl Meaning {
    /// Mosquitto's states by their number.
    pub(super) fn of(message: &ClientMessage<'_>) -> Result<Self, Wrong> {
        let meaning = match (message.outgoing, message.qos, message.state) {
            (true, QoS::AtMostOnce, 1 | 11) => Self::AtMostOnce,
            // To be published, PUBACK awaited, queued.
            (true, QoS::AtLeastOnce, 2 | 3 | 11) => Self::Waits,
            // To be published: with the same packet id when it was before.
            (true, QoS::ExactlyOnce, 4 | 5) => Self::Sent,
            // PUBREL to be sent again, PUBCOMP awaited.
            (true, QoS::ExactlyOnce, 6 | 9) => Self::Releasing,
            (true, QoS::ExactlyOnce, 11) => Self::Waits,
            // PUBREL awaited, PUBREC to be sent.
            (false, QoS::ExactlyOnce, 7 | 10) => Self::Unreleased,
            (false, QoS::ExactlyOnce, 8) => Self::Over,
            (false, QoS::ExactlyOnce, 11) => Self::NotAcknowledged,
            (outgoing, qos, state) => {
                let whose = if outgoing { "to" } else { "from" };
                return Err(format!(
                    "a message {whose} a client with QoS {} cannot be in state {state}",
                    qos as u8
                ));
            }
        };
        let needs_id = matches!(meaning, Self::Sent | Self::Releasing | Self::Unreleased);
        if needs_id && message.packet_id == 0 {
            return Err("a message in flight has no packet id".to_owned());
        }
        Ok(meaning)
    }
}
