//! The list of disagreements: one file for each peer, and what their rows have in common.

mod mqtt_proto;
mod protocol_core;
mod rumqttc;

use mqtt_codec::{RuleId, Version};
use mqtt_topic::{ParsedFilter, TopicName};

use super::facts::{Facts, Name, Value};
use super::judgement::{Judged, Places, Right, Shape};

const V31: &[Version] = &[Version::V31];
const V311: &[Version] = &[Version::V311];
const V5: &[Version] = &[Version::V5];
const OLDER: &[Version] = &[Version::V31, Version::V311];
/// Where a peer knows 3.1.1 and 5.0.
const TWO: &[Version] = &[Version::V311, Version::V5];
const ALL: &[Version] = &[Version::V31, Version::V311, Version::V5];

const CONNECT: &[u8] = &[1];
const CONNACK: &[u8] = &[2];
const PUBLISH: &[u8] = &[3];
const SUBSCRIBE: &[u8] = &[8];
const SUBACK: &[u8] = &[9];
const UNSUBSCRIBE: &[u8] = &[10];
const UNSUBACK: &[u8] = &[11];
const DISCONNECT: &[u8] = &[14];
const AUTH: &[u8] = &[15];
/// CONNECT with its will, and PUBLISH.
const MESSAGES: &[u8] = &[1, 3];
/// SUBSCRIBE and UNSUBSCRIBE.
const FILTERS: &[u8] = &[8, 10];
/// Packets with a string in them.
const STRINGS: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15];
/// Every packet.
const ANY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Every packet but AUTH.
const ANY_OLDER: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

/// Rows of the list, one peer after the other.
pub static JUDGED: &[&[Judged]] = &[mqtt_proto::ROWS, protocol_core::ROWS, rumqttc::ROWS];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Judged> {
    JUDGED.iter().copied().flatten()
}

/// The peer reads what we refuse by a rule, and the specification forbids it.
const fn lax(
    (id, peer): (&'static str, &'static str),
    places: Places,
    rule: RuleId,
    example: &'static str,
    says: &'static str,
) -> Judged {
    Judged {
        id,
        peer,
        places,
        shape: Shape::WeRefuse(rule),
        right: Right::Ours,
        statement: "",
        says,
        example,
    }
}

/// Anything else: by whom it is seen, where, and what it looks like.
const fn other(
    (id, peer): (&'static str, &'static str),
    places: Places,
    shape: Shape,
    (right, statement): (Right, &'static str),
    example: &'static str,
    says: &'static str,
) -> Judged {
    Judged {
        id,
        peer,
        places,
        shape,
        right,
        statement,
        says,
        example,
    }
}

fn bad_topic(facts: &Facts) -> bool {
    let mut topics = facts.texts("topic").chain(facts.texts("will topic"));
    topics.any(|topic| TopicName::new(topic).is_err())
}

fn bad_filter(facts: &Facts) -> bool {
    facts
        .texts("filter")
        .any(|filter| ParsedFilter::parse(filter).is_err())
}

fn bridge(facts: &Facts) -> bool {
    facts.of(Name::Field("bridge")).next().is_some()
}

/// Bad authentication method.
fn reason_8c(facts: &Facts) -> bool {
    facts.of(Name::Field("reason")).eq([&Value::Number(0x8c)])
}

fn any(_: &Facts) -> bool {
    true
}
