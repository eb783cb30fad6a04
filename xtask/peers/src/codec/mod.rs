//! The codec bench: packets read and written, streams, fan-out, conversations.

mod adapter;
mod bars;
mod conversations;
mod floor;
mod frames;
mod keeps;
mod peers;

use mqtt_cases::codec::{self, PacketCase};
use mqtt_cases::packets::Outgoing;
use mqtt_cases::{ours, session};
use mqtt_codec::Version::{self, V5, V311};
use mqtt_codec::{Decoded, Decoder, FromClient};

use self::adapter::Adapter;
use self::bars::{COPY, FLOOR, Kind, with_bars};
use self::keeps::{keeps, keeps_all};
use crate::harness::{Bench, Chart, Contender, Filter, Op, Role, Row, Section};

/// The whole comparison.
#[must_use]
pub fn bench() -> Bench {
    let mut contenders = vec![
        Contender::new("ours", Role::Ours, "mqtt-codec"),
        Contender::new(FLOOR, Role::Floor, ""),
        Contender::new(COPY, Role::Reference, ""),
    ];
    for adapter in peers::all() {
        if !contenders.iter().any(|it| it.name == adapter.peer) {
            contenders.push(Contender::peer(adapter.peer));
        }
    }
    Bench {
        name: "codec",
        unit: "packet",
        contenders,
        extras: Vec::new(),
        sections: vec![
            Section::new("Decode", 50.0, decode_rows).rebuilt(),
            Section::new("Encode", 50.0, encode_rows).rebuilt(),
            Section::new("Heads", 10.0, head_rows).rebuilt(),
            Section::new("Streams", 40.0, stream_rows).rebuilt(),
            Section::new("Conversations", 20.0, session_rows).rebuilt(),
        ],
        chart: Chart {
            title: "Reading MQTT packets in Rust",
            rows: [
                "CONNECT v3.1.1",
                "CONNECT v5, will + properties",
                "PUBLISH QoS 0, 64 B, v3.1.1",
                "PUBLISH QoS 0, 64 B, v5",
                "PUBLISH QoS 1, alias + 3 user properties, v5",
                "SUBSCRIBE, 8 filters, v5",
                "mixed packets in pieces of 1 KiB, v3.1.1",
                "mixed packets in pieces of 1 KiB, v5",
            ]
            .map(|case| format!("decode {case}"))
            .into(),
        },
    }
}

fn decode_rows(only: &Filter) -> Vec<Row> {
    let cases = codec::packets().into_iter();
    rows(cases, only, ours::decode, |case, row| {
        row.push(FLOOR, Some(floor::decode(case)));
        row.push(COPY, Some(floor::copy_in(&case.wire)));
        for adapter in adapters(case) {
            row.push(adapter.peer, (adapter.decode)(&case.wire));
        }
        Kind::Decode
    })
}

fn encode_rows(only: &Filter) -> Vec<Row> {
    let cases = codec::packets().into_iter().map(payload_as_read);
    let mut all = rows(cases, only, ours::encode, |case, row| {
        row.push(FLOOR, Some(floor::encode(case)));
        row.push(COPY, Some(floor::copy_out(&case.wire)));
        for adapter in adapters(case) {
            row.push(adapter.peer, (adapter.encode)(&case.wire));
        }
        Kind::Encode
    });
    // Peers take properties apart when they read them, and have nothing to pass on.
    all.extend(rows(as_received(), only, ours::encode, |case, row| {
        row.push(FLOOR, Some(floor::encode(case)));
        row.push(COPY, Some(floor::copy_out(&case.wire)));
        Kind::Encode
    }));
    all
}

/// The payload where peers have theirs: in a packet that was read. A copy of a kilobyte takes an eighth less if both ends
/// have the same place in a cache line, and so they have if they stand behind the same bytes.
fn payload_as_read(mut case: PacketCase) -> PacketCase {
    if let Outgoing::Publish(publish) = &mut case.packet {
        let wire: &'static [u8] = case.wire.clone().leak();
        publish.payload = &wire[wire.len() - publish.payload.len()..];
    }
    case
}

/// The PUBLISH with properties as a broker passes it on: as the bytes that came.
fn as_received() -> Option<PacketCase> {
    let mut cases = codec::packets().into_iter();
    let mut case = cases.find(|case| case.name.contains("user properties"))?;
    let wire: &'static [u8] = case.wire.clone().leak();
    match Decoder::new(case.version).from_client(wire) {
        Ok(Decoded::Complete {
            packet: FromClient::Publish(publish),
            ..
        }) => {
            case.name = "PUBLISH QoS 1, properties as they came, v5";
            case.packet = Outgoing::Publish(publish);
            Some(case)
        }
        _ => None,
    }
}

/// Nobody else writes the head of a PUBLISH alone.
fn head_rows(only: &Filter) -> Vec<Row> {
    let head = |len: &u32| ours::encode_head(V311, *len);
    let mut heads = rows([16, 65_536], only, head, |len, row| {
        row.push(FLOOR, Some(floor::encode_head(*len as usize)));
        Kind::Encode
    });
    let fan_out = |version: &Version| {
        ours::fan_out(*version).named(format!("fan-out to 1,000 receivers, {}", label(*version)))
    };
    heads.extend(rows([V311, V5], only, fan_out, |version, row| {
        row.push(FLOOR, Some(floor::fan_out(*version)));
        Kind::Encode
    }));
    heads
}

fn stream_rows(only: &Filter) -> Vec<Row> {
    rows(codec::streams(), only, ours::stream, |case, row| {
        row.push(FLOOR, Some(floor::stream(case)));
        for adapter in peers::all().iter().filter(|it| it.version == case.version) {
            if keeps_all(adapter, case) {
                row.push(adapter.peer, (adapter.stream)(case));
            }
        }
        Kind::Decode
    })
}

fn session_rows(only: &Filter) -> Vec<Row> {
    let named = |op: mqtt_cases::Op, version| {
        let name = format!("{}, {}", op.name, label(version));
        op.named(name)
    };
    let mut all = rows(
        [V311, V5],
        only,
        |it| named(session::qos1(*it), *it),
        |version, row| {
            row.push(FLOOR, Some(floor::qos1(*version)));
            for (peer, op) in conversations::qos1(*version) {
                row.push(peer, Some(op));
            }
            Kind::Session
        },
    );
    all.extend(rows(
        [V311, V5],
        only,
        |it| named(session::qos2(*it), *it),
        |version, row| {
            row.push(FLOOR, Some(floor::qos2(*version)));
            for (peer, op) in conversations::qos2(*version) {
                row.push(peer, Some(op));
            }
            Kind::Session
        },
    ));
    all
}

/// One row for each case, with ours in it; `others` adds the rest and says what the row is about.
fn rows<C>(
    cases: impl IntoIterator<Item = C>,
    only: &Filter,
    ours: impl Fn(&C) -> mqtt_cases::Op,
    others: impl Fn(&C, &mut Row) -> Kind,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases {
        let mut op = ours(&case);
        if only.wants(&op.name) {
            let name = op.name.clone();
            let mut row =
                Row::new(name).with("ours", Op::new(op.units, move |times| op.run(times)));
            let kind = others(&case, &mut row);
            rows.push(with_bars(row, kind));
        }
    }
    rows
}

/// The peers that read and write the case as it is.
fn adapters(case: &PacketCase) -> Vec<Adapter> {
    let mut able: Vec<Adapter> = Vec::new();
    for adapter in peers::all() {
        // PINGREQ is the same in all versions.
        let speaks = adapter.version == case.version || case.wire == mqtt_codec::PINGREQ;
        let twice = able.iter().any(|it| it.peer == adapter.peer);
        if speaks && !twice && keeps(&adapter, case.version, &case.wire) {
            able.push(adapter);
        }
    }
    able
}

/// A version as the cases spell it.
fn label(version: Version) -> &'static str {
    if version == V5 { "v5" } else { "v3.1.1" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Against, What};

    /// Every row has ours and the floor, a name of its own, and peers where there are any.
    #[test]
    fn rows_are_complete() {
        let only = Filter::default();
        let mut names = Vec::new();
        let sections: [fn(&Filter) -> Vec<Row>; 5] = [
            decode_rows,
            encode_rows,
            head_rows,
            stream_rows,
            session_rows,
        ];
        let rows: Vec<Row> = sections.iter().flat_map(|section| section(&only)).collect();
        for row in &rows {
            assert!(row.has("ours") && row.has(FLOOR), "{}", row.name);
            names.push(row.name.clone());
        }
        assert!(as_received().is_some());
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "names of rows");
        for bar in rows.iter().flat_map(|row| &row.bars) {
            if let What::Ratio(_, Against::Row(other, _)) = &bar.what {
                assert!(names.contains(other), "{other}");
            }
        }
        for row in bench().chart.rows {
            assert!(names.contains(&row), "{row}");
        }
    }
}
