//! What all targets share: running one input, and telling now and then how many of them decode.

#[cfg(feature = "peers")]
pub mod differential;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;
use std::time::Instant;

use mqtt_testkit::fuzz::Shape;

static INPUTS: AtomicU64 = AtomicU64::new(0);
static DECODE: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(250);
static START: OnceLock<Instant> = OnceLock::new();

/// Runs one input, and prints a line `shape: …` four times a second.
pub fn run(target: fn(&[u8]) -> Shape, input: &[u8]) {
    run_and_tell(target, || (), input);
}

/// The same, with more lines of the target's own.
pub fn run_and_tell(target: fn(&[u8]) -> Shape, tell: fn(), input: &[u8]) {
    let shape = target(input);
    let inputs = INPUTS.fetch_add(1, Relaxed) + 1;
    DECODE.fetch_add(u64::from(shape.decodes), Relaxed);
    STEPS.fetch_add(u64::from(shape.steps), Relaxed);
    if !inputs.is_multiple_of(16) {
        return;
    }
    let ms = START.get_or_init(Instant::now).elapsed().as_millis() as u64;
    if ms >= NEXT.load(Relaxed) {
        NEXT.store(ms + 250, Relaxed);
        let (decode, steps) = (DECODE.load(Relaxed), STEPS.load(Relaxed));
        eprintln!("shape: {inputs} inputs, {decode} decode, {steps} steps, {ms} ms");
        tell();
    }
}
