//! See the application of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::run(firmware_apps::tracker::run)
}
