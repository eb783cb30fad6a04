//! The command line that all benches share.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::bench::Filter;

/// How to run and what to write.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A short run: enough to see, not to judge.
    pub quick: bool,
    /// Exactly so many rounds.
    pub rounds: Option<usize>,
    /// Only these rows.
    pub only: Filter,
    /// Every contender instead of the fastest peer alone.
    pub all: bool,
    /// Where the figures go as JSON.
    pub json: Option<PathBuf>,
    /// Where the drawing goes.
    pub svg: Option<PathBuf>,
    /// A missed bar is a failure.
    pub strict: bool,
    /// Print the help and stop.
    pub help: bool,
}

/// The help, for the bench of that name.
#[must_use]
pub fn help(bench: &str) -> String {
    format!(
        "\
Our {bench} beside its peers from crates.io, in one run

Usage: cargo xtask bench {bench} [OPTIONS]

Every round runs one sample of each contender in each row, in changing order; minimum and median are over all rounds.
Prints the fastest peer, ours, the ratios to it and to a hand-written floor, and allocations; then what must hold.

Options:
      --quick           Half a minute: enough to see, not to judge
      --rounds <N>      Exactly N rounds, whatever they take
      --only <TEXT>     Only the rows with this in their name (may be repeated)
      --all             Every contender, not the fastest peer alone
      --json <FILE>     Write every figure, with the versions of the peers
      --svg <FILE>      Draw the chart of the README
      --strict          Fail when a bar is missed
  -h, --help            Print this help
"
    )
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// On an unknown option or a value that is missing or no number.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = Parser::from_iter(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => options.help = true,
            Arg::Long("quick") => options.quick = true,
            Arg::Long("rounds") => {
                let rounds: usize = parser.value()?.parse()?;
                if rounds == 0 {
                    return Err("--rounds takes a number of at least 1".into());
                }
                options.rounds = Some(rounds);
            }
            Arg::Long("only") => options.only.0.push(parser.value()?.string()?),
            Arg::Long("all") => options.all = true,
            Arg::Long("json") => options.json = Some(parser.value()?.into()),
            Arg::Long("svg") => options.svg = Some(parser.value()?.into()),
            Arg::Long("strict") => options.strict = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        let words = line.split(' ').map(OsString::from);
        parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read() {
        let read =
            options("bench --quick --rounds 7 --only PUBLISH --only v5 --strict --json out.json");
        let read = read.expect("valid");
        assert!(read.quick && read.strict && !read.all);
        assert_eq!(read.rounds, Some(7));
        assert_eq!(read.json, Some(PathBuf::from("out.json")));
        assert!(
            read.only.wants("decode publish")
                && read.only.wants("V5")
                && !read.only.wants("PUBACK")
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "bench --fast",
            "bench --rounds 0",
            "bench --rounds x",
            "bench --only",
            "bench codec",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
