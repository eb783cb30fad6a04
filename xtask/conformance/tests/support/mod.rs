//! What the controls run the suite against.

pub(crate) mod mosquitto;
pub(crate) mod stub;

use std::io::Write as _;

/// Says that a test was skipped and how to have it run, on standard error and in the file that `MQTT_TEST_SKIPS` names.
pub(crate) fn note_skip(test: &str, install: &str) {
    let line = format!("SKIPPED {test}: {install}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("MQTT_TEST_SKIPS") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        // One write, so that lines of tests that end together do not mix.
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .expect("MQTT_TEST_SKIPS names a writable file");
    }
}
