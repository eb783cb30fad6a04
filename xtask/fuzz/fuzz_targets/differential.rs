//! libFuzzer drives `mqtt_fuzz::differential`.
#![no_main]

use mqtt_fuzz::differential;

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::run_and_tell(
    differential::run,
    || eprintln!("judged: {}", differential::fired()),
    input
));
