//! libFuzzer drives `mqtt_testkit::fuzz::device`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::run(mqtt_testkit::fuzz::device::run, input));
