//! See the application of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::run_dialling(|board, network| firmware_apps::sensor::run(board, network))
}
