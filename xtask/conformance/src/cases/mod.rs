//! The cases, chapter by chapter in the order of the specification.

mod ping;

use mqtt_codec::ReasonCode;

use crate::case::Case;

/// All cases, in the order of the specification's chapters, each once for each version that it runs in.
pub fn cases() -> Vec<Case> {
    let chapters = [ping::CHAPTER];
    chapters
        .iter()
        .flat_map(|chapter| chapter.cases())
        .collect()
}

/// How a malformed packet or a protocol error may be told; which of the two it is, brokers may see differently.
pub(crate) const MALFORMED: &[ReasonCode] =
    &[ReasonCode::MALFORMED_PACKET, ReasonCode::PROTOCOL_ERROR];
