//! What must hold in the rows of the codec.

use crate::harness::{Against, Bar, Limit, Row, What};

const OURS: &str = "ours";
/// Name of the hand-written codec among the contenders.
pub(super) const FLOOR: &str = "floor";
/// Name of what copies and nothing else.
pub(super) const COPY: &str = "frame + memcpy";

const ALLOCATIONS: &str = "ours allocates nothing";
const NEAR_FLOOR: &str = "ours takes at most 1.25 × the floor";
const DECODE: &str = "ours is faster than every peer at reading";
const ENCODE: &str = "ours is faster than every peer at writing, or within 5 %";
const TINY: &str = "PUBACK and PINGREQ are read as fast as mqtt-tiny does it, within 5 %";
const HEAD: &str =
    "a head whose payload goes out by reference does not depend on the payload, within 10 %";
const SESSION: &str = "a session takes at most 3 × its floor";
const FLOOR_FAST: &str = "the floor is one: at least as fast as every peer in every row";
const FLOOR_COPY: &str = "the floor is one: within 3.5 × frame + memcpy for the 64-byte PUBLISH";

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reading packets or streams.
    Decode,
    /// Writing packets.
    Encode,
    /// Answering packets.
    Session,
}

/// Hangs on the row what must hold in it.
pub(super) fn with_bars(mut row: Row, kind: Kind) -> Row {
    let mut bars = vec![Bar::new(
        ALLOCATIONS,
        What::Allocations(OURS),
        Limit::AtMost(0.0),
    )];
    let ratio = |against| What::Ratio(OURS, against);
    let floor = || ratio(Against::Contender(FLOOR));
    let peers = || ratio(Against::FastestPeer);
    match kind {
        Kind::Decode => {
            bars.push(Bar::new(NEAR_FLOOR, floor(), Limit::AtMost(1.25)));
            bars.push(Bar::new(DECODE, peers(), Limit::Below(1.0)));
        }
        Kind::Encode => {
            bars.push(Bar::new(NEAR_FLOOR, floor(), Limit::AtMost(1.25)));
            bars.push(Bar::new(ENCODE, peers(), Limit::AtMost(1.05)));
        }
        Kind::Session => bars.push(Bar::new(SESSION, floor(), Limit::AtMost(3.0))),
    }
    if ["decode PUBACK v3.1.1", "decode PINGREQ"].contains(&row.name.as_str()) {
        bars.push(Bar::new(
            TINY,
            ratio(Against::Contender("mqtt-tiny")),
            Limit::AtMost(1.05),
        ));
    }
    let head = |len: &str| format!("encode PUBLISH head, {len} B by reference");
    if row.name == head("65536") {
        let small = Against::Row(head("16"), OURS);
        bars.push(Bar::new(HEAD, ratio(small), Limit::AtMost(1.1)));
    }
    let against_peers = What::Ratio(FLOOR, Against::FastestPeer);
    bars.push(Bar::new(FLOOR_FAST, against_peers, Limit::AtMost(1.0)));
    if ["v3.1.1", "v5"].iter().any(|version| {
        row.name
            .ends_with(&format!("code PUBLISH QoS 0, 64 B, {version}"))
    }) {
        let copy = What::Ratio(FLOOR, Against::Contender(COPY));
        bars.push(Bar::new(FLOOR_COPY, copy, Limit::AtMost(3.5)));
    }
    row.bars = bars;
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(row: &str, kind: Kind) -> Vec<&'static str> {
        let row = with_bars(Row::new(row), kind);
        row.bars.iter().map(|bar| bar.claim).collect()
    }

    #[test]
    fn rows_with_a_bar_of_their_own_have_it() {
        let decode = claims("decode PUBLISH QoS 0, 64 B, v5", Kind::Decode);
        assert_eq!(
            decode,
            [ALLOCATIONS, NEAR_FLOOR, DECODE, FLOOR_FAST, FLOOR_COPY]
        );
        assert!(claims("encode PUBLISH QoS 0, 64 B, v3.1.1", Kind::Encode).contains(&FLOOR_COPY));
        assert!(
            !claims(
                "decode PUBLISH QoS 0, 64 B, not ASCII, v3.1.1",
                Kind::Decode
            )
            .contains(&FLOOR_COPY)
        );
        assert!(claims("decode PINGREQ", Kind::Decode).contains(&TINY));
        assert!(claims("encode PUBLISH head, 65536 B by reference", Kind::Encode).contains(&HEAD));
        assert!(claims("session: QoS 1", Kind::Session).contains(&SESSION));
    }
}
