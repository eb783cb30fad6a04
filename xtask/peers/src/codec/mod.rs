//! The codec bench: packets read and written, streams, fan-out, conversations.

mod adapter;
mod frames;
mod keeps;
mod peers;

use mqtt_cases::codec::{self, PacketCase};
use mqtt_cases::ours;

use self::adapter::{Adapter, MakeOp};
use self::keeps::{keeps, keeps_all};
use crate::harness::{Bench, Chart, Contender, Filter, Op, Row, Section};

/// The whole comparison.
#[must_use]
pub fn bench() -> Bench {
    let mut contenders = vec![Contender::ours()];
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
            Section::new("Decode", 50.0, decode_rows),
            Section::new("Encode", 50.0, encode_rows),
            Section::new("Streams", 40.0, stream_rows),
            Section::new("Conversations", 20.0, session_rows),
        ],
        chart: Chart {
            title: "Reading MQTT packets in Rust",
            rows: Vec::new(),
        },
    }
}

fn decode_rows(only: &Filter) -> Vec<Row> {
    packet_rows(only, ours::decode, |adapter| adapter.decode)
}

fn encode_rows(only: &Filter) -> Vec<Row> {
    packet_rows(only, ours::encode, |adapter| adapter.encode)
}

fn packet_rows(
    only: &Filter,
    ours: fn(&PacketCase) -> mqtt_cases::Op,
    theirs: fn(&Adapter) -> MakeOp,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in codec::packets() {
        let ours = ours(&case);
        if !only.wants(&ours.name) {
            continue;
        }
        let mut row = row(ours);
        for adapter in adapters(&case) {
            row.push(adapter.peer, theirs(&adapter)(&case.wire));
        }
        rows.push(row);
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

fn stream_rows(only: &Filter) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in codec::streams() {
        let ours = ours::stream(&case);
        if only.wants(&ours.name) {
            let mut row = row(ours);
            let peers = peers::all().into_iter();
            for adapter in peers.filter(|it| it.version == case.version) {
                if keeps_all(&adapter, &case) {
                    row.push(adapter.peer, (adapter.stream)(&case));
                }
            }
            rows.push(row);
        }
    }
    rows
}

fn session_rows(_: &Filter) -> Vec<Row> {
    mqtt_cases::session_ops().into_iter().map(row).collect()
}

/// A row with our operation in it.
fn row(op: mqtt_cases::Op) -> Row {
    Row::new(op.name.clone()).with("ours", ours_op(op))
}

fn ours_op(mut op: mqtt_cases::Op) -> Op {
    Op::new(op.units, move |times| op.run(times))
}
