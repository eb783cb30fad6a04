//! What all programs here do with their command line.

use std::process::ExitCode;

/// The options that were read from a command line; `None` there asks for help.
///
/// # Errors
/// The code with which the program ends, once it has said why: without options it goes no further.
pub fn options<O>(
    program: &str,
    help: &str,
    parsed: Result<Option<O>, lexopt::Error>,
) -> Result<O, ExitCode> {
    match parsed {
        Ok(Some(options)) => Ok(options),
        Ok(None) => {
            print!("{help}");
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {error}\n\nTry `{program} --help`.");
            Err(ExitCode::from(2))
        }
    }
}
