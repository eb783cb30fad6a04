//! The cases, chapter by chapter in the order of the specification.

mod alias;
mod auth;
mod connack;
mod connect;
mod deliver;
mod disconnect;
mod expiry;
mod flow;
mod format;
mod keep_alive;
mod limits;
mod malformed_acks;
mod malformed_connect;
mod malformed_publish;
mod malformed_subscribe;
mod no_local;
mod order;
mod ping;
mod properties;
mod publish;
mod qos;
mod redelivery;
mod refused;
mod retained;
mod session;
mod shared;
mod shared_delivery;
mod subscribe;
mod subscription_ids;
mod topics;
mod unsubscribe;
mod wildcards;
mod will;

use mqtt_codec::ReasonCode;

use crate::case::{Case, Chapter};

/// The chapters, in the order of the specification.
const CHAPTERS: [Chapter; 33] = [
    format::CHAPTER,
    connect::CHAPTER,
    malformed_connect::CHAPTER,
    session::CHAPTER,
    will::CHAPTER,
    keep_alive::CHAPTER,
    limits::CHAPTER,
    connack::CHAPTER,
    publish::CHAPTER,
    retained::CHAPTER,
    properties::CHAPTER,
    expiry::CHAPTER,
    alias::CHAPTER,
    refused::CHAPTER,
    malformed_publish::CHAPTER,
    malformed_acks::CHAPTER,
    subscribe::CHAPTER,
    no_local::CHAPTER,
    subscription_ids::CHAPTER,
    unsubscribe::CHAPTER,
    malformed_subscribe::CHAPTER,
    ping::CHAPTER,
    disconnect::CHAPTER,
    qos::CHAPTER,
    deliver::CHAPTER,
    redelivery::CHAPTER,
    order::CHAPTER,
    topics::CHAPTER,
    wildcards::CHAPTER,
    shared::CHAPTER,
    shared_delivery::CHAPTER,
    flow::CHAPTER,
    auth::CHAPTER,
];

/// All cases, in the order of the specification's chapters, each once for each version that it runs in.
pub fn cases() -> Vec<Case> {
    CHAPTERS
        .iter()
        .flat_map(|chapter| chapter.cases())
        .collect()
}

/// How a malformed packet or a protocol error may be told; which of the two it is, brokers may see differently.
pub(crate) const MALFORMED: &[ReasonCode] =
    &[ReasonCode::MALFORMED_PACKET, ReasonCode::PROTOCOL_ERROR];

#[cfg(test)]
mod tests {
    use super::CHAPTERS;

    /// A case that names no statement would never run.
    #[test]
    fn every_case_runs() {
        for chapter in &CHAPTERS {
            let cases = chapter.cases();
            for (name, ..) in chapter.entries {
                let name = format!("{}::{name}", chapter.file);
                assert!(
                    cases.iter().any(|case| case.name() == name),
                    "{name} names no statement in the comment above it"
                );
            }
        }
    }
}
