//! The topic bench: a million subscriptions, a worker's cache, filters made to be slow, memory, retained names.

mod attack;
pub mod index;
mod matching;
mod memory;
mod peers;
mod reference;
mod retained;
pub mod shape;
mod slow;

use crate::harness::{Bench, Chart, Contender, Role, Section};

use self::index::Index;
use self::peers::{Engine, Quill, Rmqtt};
use self::reference::{Edges, OneMap};

/// Requested heap bytes, for each subscription or name.
const BYTES: &str = "bytes each";
/// Nodes of the tree that are looked at, for each match.
const NODES: &str = "nodes each";

/// The whole comparison.
#[must_use]
pub fn bench() -> Bench {
    Bench {
        name: "topic",
        unit: "match",
        contenders: vec![
            Contender::ours(),
            Contender::peer(Quill::NAME),
            Contender::peer(Engine::NAME),
            Contender::peer(Rmqtt::NAME),
            Contender::new(Edges::NAME, Role::Reference, ""),
            Contender::new(OneMap::NAME, Role::Reference, ""),
            Contender::new(matching::QUIET, Role::Reference, ""),
            Contender::new(slow::RANDOM, Role::Reference, ""),
        ],
        extras: vec![BYTES, NODES],
        sections: vec![
            Section::new("A million subscriptions", 60.0, matching::rows),
            Section::new("A fleet's device trees", 15.0, matching::fleet_rows),
            Section::new("Made to be slow", 20.0, slow::rows),
            Section::new("Memory of subscriptions", 1.0, memory::rows),
            Section::new("Ten million subscriptions", 1.0, memory::ten_million_rows).unless_quick(),
            Section::new("A million retained names", 15.0, retained::rows),
        ],
        chart: Chart {
            title: "Matching a name among a million MQTT subscriptions in Rust",
            rows: [
                matching::UNIFORM,
                matching::HOT,
                matching::CACHED,
                matching::CHANGES,
            ]
            .map(str::to_owned)
            .to_vec(),
        },
    }
}
