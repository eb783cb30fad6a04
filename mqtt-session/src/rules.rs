//! Rules that both state machines, [`Session`](crate::Session) and [`Compact`](crate::compact::Compact), ask: no state, only decisions.

use mqtt_codec::PacketId;

use crate::violation::Rule;

/// What an outgoing QoS 1 or QoS 2 message waits for on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// Nothing: there is no such message, or it was not sent on this connection.
    Nothing,
    PubAck,
    PubRec,
    /// PUBREC came, and PUBREL is still to be sent.
    DuePubRel,
    PubComp,
}

/// Which acknowledgement has come.
#[expect(clippy::enum_variant_names, reason = "the names of the packets")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    PubAck,
    PubRec,
    PubComp,
}

/// What follows from an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Ignore,
    /// The handshake is over, well or with a refusal: the packet id is free.
    Finish,
    /// The peer owns the message; PUBREL is due [MQTT-4.3.3-4].
    Release,
    /// PUBREL is due once more: the peer says again that it has the message.
    ReleaseAgain,
    /// PUBREL is due for an id that is not known here: the peer keeps it for a message of an earlier session.
    ReleaseUnknown,
}

/// What an acknowledgement does to the message that it names [MQTT-4.3.2-3], [MQTT-4.3.3-4].
///
/// `refused` is for a reason of 0x80 or more, which frees the id at once [MQTT-4.4.0-2].
#[inline(always)]
pub(crate) const fn acknowledge(
    awaits: Awaits,
    acknowledgement: Acknowledgement,
    refused: bool,
) -> Result<Step, Rule> {
    Ok(match (acknowledgement, awaits) {
        (Acknowledgement::PubAck, Awaits::PubAck) | (Acknowledgement::PubComp, Awaits::PubComp) => {
            Step::Finish
        }
        (Acknowledgement::PubRec, Awaits::PubRec) if refused => Step::Finish,
        (Acknowledgement::PubRec, Awaits::PubRec) => Step::Release,
        (Acknowledgement::PubRec, Awaits::PubComp) => Step::ReleaseAgain,
        (Acknowledgement::PubRec, Awaits::Nothing) if !refused => Step::ReleaseUnknown,
        // An id from before a lost session, or a PUBREL that is due and will be answered again.
        (_, Awaits::Nothing)
        | (Acknowledgement::PubRec | Acknowledgement::PubComp, Awaits::DuePubRel) => Step::Ignore,
        (Acknowledgement::PubAck, Awaits::PubRec | Awaits::DuePubRel | Awaits::PubComp)
        | (Acknowledgement::PubRec, Awaits::PubAck)
        | (Acknowledgement::PubComp, Awaits::PubAck | Awaits::PubRec) => {
            return Err(Rule::WrongAcknowledgement);
        }
    })
}

/// The packet id that follows in the ring of 1 to 65,535 [MQTT-2.2.1-3].
pub(crate) const fn next_packet_id(id: u16) -> PacketId {
    match PacketId::new(id.wrapping_add(1)) {
        Some(id) => id,
        None => PacketId::MIN,
    }
}

/// Whether what a server says of the session can be [MQTT-3.2.2-4]: none can be there after a clean start.
pub(crate) const fn session_claim(present: bool, clean_start: bool) -> Result<(), Rule> {
    if present && clean_start {
        Err(Rule::UnexpectedSession)
    } else {
        Ok(())
    }
}
