//! Who reads nothing must not win: a peer has a cell where it writes the packet that it has read so that our codec reads
//! the same packet from both.

use mqtt_cases::codec::StreamCase;
use mqtt_codec::{Decoded, Decoder, FromClient, Properties, Version};

use super::adapter::Adapter;
use super::frames;

/// Whether the peer keeps the packet.
pub(super) fn keeps(adapter: &Adapter, version: Version, wire: &[u8]) -> bool {
    let Some(rewritten) = (adapter.rewrite)(wire) else {
        return false;
    };
    let decoder = Decoder::new(version);
    match (decoder.from_client(wire), decoder.from_client(&rewritten)) {
        (Ok(Decoded::Complete { packet, .. }), Ok(Decoded::Complete { packet: again, len })) => {
            len == rewritten.len() && content(&packet) == content(&again)
        }
        _ => false,
    }
}

/// Whether it keeps every packet of the stream.
pub(super) fn keeps_all(adapter: &Adapter, case: &StreamCase) -> bool {
    let mut rest = &case.wire[..];
    while !rest.is_empty() {
        let Ok(len) = frames::frame_len(rest) else {
            return false;
        };
        let Some((frame, later)) = rest.split_at_checked(len) else {
            return false;
        };
        if !keeps(adapter, case.version, frame) {
            return false;
        }
        rest = later;
    }
    true
}

/// Everything in the packet, with the properties in the order of their names: only the order of those with the same name
/// means something.
fn content(packet: &FromClient<'_>) -> String {
    match packet {
        FromClient::Connect(view) => {
            let mut connect = view.to_connect();
            let mut lists = sorted(&connect.properties);
            connect.properties = Properties::EMPTY;
            if let Some(will) = &mut connect.will {
                lists.push("will".to_owned());
                lists.extend(sorted(&will.properties));
                will.properties = Properties::EMPTY;
            }
            format!("{connect:?} {lists:?}")
        }
        FromClient::Publish(publish) => {
            let list = sorted(&publish.properties);
            let mut publish = *publish;
            publish.properties = Properties::EMPTY;
            format!("{publish:?} {list:?}")
        }
        other => format!("{other:?}"),
    }
}

fn sorted(properties: &Properties<'_>) -> Vec<String> {
    let mut list: Vec<String> = properties.iter().map(|it| format!("{it:?}")).collect();
    let name = |shown: &String| shown.split('(').next().map(str::to_owned);
    list.sort_by_key(name);
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mqtt_cases::codec;

    use super::super::peers;
    use super::*;

    /// A peer that drops out of a row, or comes in, is noticed here.
    #[test]
    fn peers_keep_what_they_are_known_to_keep() {
        let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in codec::packets() {
            for adapter in peers::all().iter().filter(|it| it.version == case.version) {
                if !keeps(adapter, case.version, &case.wire) {
                    lost.entry(adapter.peer).or_default().push(case.name);
                }
            }
        }
        let lengths = vec![
            "PUBLISH QoS 0, 1 KiB, v3.1.1",
            "PUBLISH QoS 0, 64 KiB, v3.1.1",
        ];
        assert_eq!(lost, BTreeMap::from([("mqtt-tiny", lengths)]));

        for case in codec::streams() {
            for adapter in peers::all().iter().filter(|it| it.version == case.version) {
                let kept = keeps_all(adapter, &case);
                assert_eq!(
                    kept,
                    adapter.peer != "mqtt-tiny",
                    "{}: {}",
                    adapter.peer,
                    case.name
                );
                assert!(
                    !kept || (adapter.stream)(&case).is_some(),
                    "{}",
                    adapter.peer
                );
            }
        }
    }

    /// The controls: one that does nothing, one that loses a property, one that loses a byte of the payload.
    #[test]
    fn who_does_not_keep_the_packet_is_found_out() {
        let with = |rewrite| Adapter {
            rewrite,
            ..peers::all()[0]
        };
        let case = codec::packets()
            .into_iter()
            .find(|case| case.name.contains("user properties"));
        let case = case.expect("the case");
        let kept = |rewrite| keeps(&with(rewrite), case.version, &case.wire);
        assert!(kept(|wire| Some(wire.to_vec())));
        assert!(!kept(|_| None));
        assert!(!kept(|_| Some(Vec::new())));
        assert!(!kept(|wire| {
            let mut wire = wire.to_vec();
            *wire.last_mut()? ^= 1;
            Some(wire)
        }));
        // "unit" becomes "unis".
        assert!(!kept(|wire| {
            let at = wire.windows(4).position(|part| part == b"unit")?;
            let mut wire = wire.to_vec();
            wire[at + 3] = b's';
            Some(wire)
        }));
    }
}
