//! `cargo xtask bench topic`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_peers::harness::main(mqtt_peers::topic::bench())
}
