//! What the tests with the real binary share: a broker process, foreign tools, deadlines and a raw client.
//!
//! Environment:
//! * `MQTT_TEST_BROKER=mosquitto` runs the same tests against Debian's Mosquitto, to check the tests themselves; see
//!   [`broker::Kind::Mosquitto`] for what it is known not to do. Any other value is the path of a broker binary that takes our command line.
//! * `MQTT_TEST_FOREIGN` names the folder of the foreign clients (default: `target/foreign` of the workspace).
//! * `MQTT_TEST_SKIPS` names a file; every skipped test adds a line to it.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "every test binary uses its own part of this module"
)]

pub(crate) mod broker;
pub(crate) mod foreign;
pub(crate) mod frame;
pub(crate) mod healthy;
pub(crate) mod process;
pub(crate) mod raw;

pub(crate) use broker::Broker;
pub(crate) use process::Tool;
pub(crate) use raw::Client;

use core::time::Duration;
use std::time::Instant;

/// How long anything that must happen may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Polls `condition` until it holds; panics with `what` when [`PATIENCE`] is over.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The name of the test function it is written in.
macro_rules! test_name {
    () => {{
        fn here() {}
        let name = core::any::type_name_of_val(&here);
        name.strip_suffix("::here").unwrap_or(name)
    }};
}
pub(crate) use test_name;

/// Ends the test with a visible note unless the foreign tool is there: `let tool = need!(foreign::python());`.
macro_rules! need {
    ($tool:expr) => {
        match $tool {
            Ok(tool) => tool,
            Err(install) => {
                $crate::support::foreign::note_skip($crate::support::test_name!(), &install);
                return;
            }
        }
    };
}
pub(crate) use need;

/// Ends the test with a visible note when the broker under test is not ours and lacks what is shown here.
macro_rules! not_for_mosquitto {
    ($why:literal) => {
        if $crate::support::broker::is_mosquitto() {
            eprintln!(
                "not for mosquitto: {}: {}",
                $crate::support::test_name!(),
                $why
            );
            return;
        }
    };
}
pub(crate) use not_for_mosquitto;
