//! The same bytes to our decoder and to those of others: where they do not say the same, a list says who is right, and why.

pub mod facts;
pub mod frames;
pub mod judged;
pub mod judgement;
pub mod ours;
pub mod peers;
pub mod report;

use core::sync::atomic::Ordering::Relaxed;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use mqtt_codec::Version;
use mqtt_testkit::fuzz::Shape;

use judgement::{Case, Seen};
use peers::{PEERS, Peer, Verdict};

/// How often each judged disagreement was seen, in the order of the list.
static FIRED: LazyLock<Vec<AtomicU64>> =
    LazyLock::new(|| judged::rows().map(|_| AtomicU64::new(0)).collect());

/// What came of one frame and one peer.
#[derive(Debug)]
pub struct Disagreement {
    /// What differs.
    pub seen: Seen,
    /// The row of [`judged::rows`] that recognises it.
    pub judged: Option<usize>,
}

/// Every peer's disagreements with us about a frame; `None` if not even we have it in full.
#[must_use]
pub fn compare(version: Version, frame: &[u8]) -> Option<Vec<(&'static Peer, Vec<Disagreement>)>> {
    let version = ours::version_of_connect(frame).unwrap_or(version);
    let ours = ours::read(version, frame)?;
    let mut all = Vec::new();
    for peer in &PEERS {
        let verdict = peer.read(version, frame);
        let case = Case {
            peer: peer.name,
            version,
            frame,
            ours: ours.as_ref().ok(),
        };
        let seen = match (&ours, &verdict) {
            (_, Verdict::NotAsked) | (Err(_), Verdict::Refused(_)) => Vec::new(),
            (_, Verdict::Panics(text)) => vec![Seen::Panics(text.clone())],
            (Ok(_), Verdict::Refused(text)) => vec![Seen::PeerRefuses(text.clone())],
            (Ok(_), Verdict::Waits) => vec![Seen::Waits(None)],
            (Err(error), Verdict::Waits) => vec![Seen::Waits(Some(error.rule))],
            (Err(error), Verdict::Packet(_)) => vec![Seen::WeRefuse(error.rule)],
            (Ok(read), Verdict::Packet(facts)) if read.kind != facts.kind => {
                vec![Seen::Kind]
            }
            (Ok(read), Verdict::Packet(facts)) => {
                let names = read.differing(facts);
                names.into_iter().map(Seen::Differs).collect()
            }
        };
        let disagreements = seen.into_iter().map(|seen| Disagreement {
            judged: judged::rows().position(|row| row.recognises(&case, &seen)),
            seen,
        });
        all.push((peer, disagreements.collect()));
    }
    Some(all)
}

/// Reads the input as frames, and compares.
///
/// # Panics
/// At a disagreement that is not judged.
pub fn run(bytes: &[u8]) -> Shape {
    let mut shape = Shape::default();
    for (version, frame) in frames::read(bytes) {
        let Some(compared) = compare(version, &frame) else {
            continue;
        };
        shape.steps += 1;
        shape.decodes |= ours::read(version, &frame).is_some_and(|read| read.is_ok());
        for (peer, disagreements) in compared {
            for it in disagreements {
                let Some(row) = it.judged else {
                    panic!(
                        "not judged: {} {version:?}: {:?}: {}",
                        peer.name,
                        it.seen,
                        report::hex(&frame)
                    );
                };
                FIRED[row].fetch_add(1, Relaxed);
            }
        }
    }
    shape
}

/// The counts as a line that `cargo xtask fuzz` reads.
#[must_use]
pub fn fired() -> String {
    let counts = judged::rows().zip(FIRED.iter()).map(|(row, count)| {
        let count = count.load(Relaxed);
        format!(" {}={count}", row.id)
    });
    counts.collect()
}
