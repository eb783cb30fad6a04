//! The codec bench: packets read and written, streams, fan-out, conversations.

use mqtt_cases::{codec, ours};

use crate::harness::{Bench, Chart, Contender, Filter, Op, Row, Section};

/// The whole comparison.
#[must_use]
pub fn bench() -> Bench {
    Bench {
        name: "codec",
        unit: "packet",
        contenders: vec![Contender::ours()],
        extras: Vec::new(),
        sections: vec![
            Section::new("Decode", 40.0, decode_rows),
            Section::new("Encode", 40.0, encode_rows),
            Section::new("Streams", 40.0, stream_rows),
            Section::new("Conversations", 20.0, session_rows),
        ],
        chart: Chart {
            title: "Reading MQTT packets in Rust",
            rows: Vec::new(),
        },
    }
}

fn decode_rows(_: &Filter) -> Vec<Row> {
    codec::packets()
        .iter()
        .map(|case| row(ours::decode(case)))
        .collect()
}

fn encode_rows(_: &Filter) -> Vec<Row> {
    codec::packets()
        .iter()
        .map(|case| row(ours::encode(case)))
        .collect()
}

fn stream_rows(_: &Filter) -> Vec<Row> {
    codec::streams()
        .iter()
        .map(|case| row(ours::stream(case)))
        .collect()
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
