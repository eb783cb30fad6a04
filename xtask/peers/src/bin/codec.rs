//! `cargo xtask bench codec`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_peers::harness::main(mqtt_peers::codec::bench())
}
