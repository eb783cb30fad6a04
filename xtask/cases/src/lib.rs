//! What is measured: packets, streams and conversations, and what our crates do with them.
//!
//! The same cases serve the comparison with other crates (`cargo xtask bench codec`), the count of instructions
//! (`cargo xtask bench --check`) and `cargo bench`, so that their figures mean the same thing.

pub mod codec;
mod op;
pub mod ours;
pub mod packets;
pub mod session;
#[cfg(feature = "criterion")]
pub mod timed;
pub mod topic;

use mqtt_codec::Version;

pub use op::Op;

/// Everything that is measured of `mqtt-codec`.
#[must_use]
pub fn codec_ops() -> Vec<Op> {
    let packets = codec::packets();
    let mut ops: Vec<Op> = packets.iter().map(ours::decode).collect();
    ops.extend(packets.iter().map(ours::encode));
    ops.extend([16, 65_536].map(|len| ours::encode_head(Version::V311, len)));
    ops.push(ours::fan_out(Version::V5));
    ops.extend(codec::streams().iter().map(ours::stream));
    ops
}

/// Everything that is measured of `mqtt-session`.
#[must_use]
pub fn session_ops() -> Vec<Op> {
    [(Version::V311, "v3.1.1"), (Version::V5, "v5")]
        .into_iter()
        .flat_map(|(version, label)| {
            [session::qos1(version), session::qos2(version)].map(|op| {
                let name = format!("{}, {label}", op.name);
                op.named(name)
            })
        })
        .collect()
}

/// Everything that is measured: of the index, on ten thousand filters, which fit into the cache.
#[must_use]
pub fn all_ops() -> Vec<Op> {
    let mut ops = codec_ops();
    ops.extend(session_ops());
    ops.extend(topic::ops(10_000));
    ops
}
