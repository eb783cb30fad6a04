//! `cargo xtask bench --check`: instructions of each operation, compared with those that were recorded.
//!
//! Times are of one machine and one moment; instructions of the same program are the same on every run. callgrind counts them
//! between the beginning and the end of one function, once for each operation of `xtask/cases`.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::Path;

use crate::shell::{Error, Program, Result, bold, dim, green, red, yellow};
use crate::workspace::{Workspace, read};

/// How much more, or less, counts as grown or shrunk.
const TOLERANCE: f64 = 0.03;
/// The figures, relative to the root.
const RECORD: &str = "xtask/cases/instructions.txt";
/// Installs what counts.
pub(crate) const INSTALL: &str = "apt-get install valgrind";
/// The function between whose ends is counted.
const MEASURED: &str = "instructions::measured";
/// The copies of the C library that every processor of the architecture has, so that all machines count the same.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-AVX512F";

/// Whether instructions can be counted here.
pub(crate) fn is_possible(ws: &Workspace) -> bool {
    Program::new("valgrind", &ws.root)
        .args(["--version"])
        .succeeds_silently()
}

/// Counts, and compares or records.
///
/// # Errors
/// If valgrind is missing, nothing was recorded, or an operation takes more than it did.
pub(crate) fn main(ws: &Workspace, record: bool) -> Result<()> {
    if !is_possible(ws) {
        return Err(format!("needs valgrind: {INSTALL}").into());
    }
    let path = ws.root.join(RECORD);
    // Nothing is built to be compared with a record that cannot be read.
    let before = if record {
        None
    } else {
        Some(Figures::parse(&read(&path)?)?)
    };
    let compiler = Program::new("rustc", &ws.root)
        .args(["--version"])
        .capture()?;
    let now = Figures {
        compiler: compiler.trim().to_owned(),
        counts: count(ws)?,
    };
    let Some(before) = before else {
        std::fs::write(&path, now.to_string())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{} operations recorded in {RECORD}", now.counts.len());
        return Ok(());
    };
    let verdict = compare(&before, &now);
    print!("{}", verdict.text);
    if verdict.grown > 0 {
        return Err(Error::Told);
    }
    Ok(())
}

/// Instructions of each operation, in the order in which they were counted.
#[derive(Debug, PartialEq)]
struct Figures {
    compiler: String,
    counts: Vec<(String, f64)>,
}

impl Figures {
    fn parse(text: &str) -> Result<Self> {
        let mut compiler = String::new();
        let mut counts = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(version) = line.strip_prefix("# compiler: ") {
                version.clone_into(&mut compiler);
            } else if !line.starts_with('#') && !line.is_empty() {
                let figure = line
                    .trim_start()
                    .split_once("  ")
                    .and_then(|(count, name)| Some((name.to_owned(), count.parse().ok()?)))
                    .filter(|(_, count): &(String, f64)| count.is_finite() && *count > 0.0);
                counts.push(figure.ok_or_else(|| {
                    format!(
                        "{RECORD}:{}: is not a count, two spaces and a name: {line}",
                        number + 1
                    )
                })?);
            }
        }
        if compiler.is_empty() || counts.is_empty() {
            return Err(format!(
                "{RECORD}: names no compiler or no operation; `cargo xtask bench --record` writes it anew"
            )
            .into());
        }
        Ok(Self { compiler, counts })
    }
}

impl core::fmt::Display for Figures {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(
            f,
            "# Instructions of each operation of xtask/cases, written by `cargo xtask bench --record`.\n# compiler: {}",
            self.compiler
        )?;
        self.counts
            .iter()
            .try_for_each(|(name, count)| writeln!(f, "{count:>9.1}  {name}"))
    }
}

/// Builds the program and runs it once under callgrind.
fn count(ws: &Workspace) -> Result<Vec<(String, f64)>> {
    Program::cargo(&ws.root)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-p",
            "mqtt-cases",
        ])
        .args(["--bin", "instructions"])
        .run()?;
    let dir = ws.target.join("instructions");
    // Dumps of an earlier run would be taken for those of this one.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let dump = dir.join("dump");
    let names = Program::new("valgrind", &dir)
        .args(["--quiet", "--tool=callgrind"])
        .args([
            format!("--toggle-collect={MEASURED}"),
            format!("--dump-after={MEASURED}"),
            format!("--callgrind-out-file={}", dump.display()),
        ])
        .args([ws.target.join("release/instructions")])
        .quiet_env("GLIBC_TUNABLES", TUNABLES)
        .capture()?;
    let figures = names.lines().zip(1..).map(|(line, number)| {
        let (divisor, name) = line
            .split_once('\t')
            .and_then(|(divisor, name)| Some((divisor.parse::<f64>().ok()?, name)))
            .ok_or_else(|| format!("the operations are not told as expected: {line}"))?;
        Ok((name.to_owned(), total(&dump, number)? / divisor))
    });
    figures.collect()
}

/// The sum of one dump.
fn total(dump: &Path, number: u32) -> Result<f64> {
    let path = format!("{}.{number}", dump.display());
    let text = read(Path::new(&path))?;
    text.lines()
        .find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok())
        .ok_or_else(|| format!("{path}: callgrind has written no sum").into())
}

struct Verdict {
    text: String,
    grown: usize,
}

/// Names what takes more than it did; of another compiler nothing is judged.
fn compare(before: &Figures, now: &Figures) -> Verdict {
    let recorded: BTreeMap<&str, f64> = before
        .counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    let comparable = before.compiler == now.compiler;
    let mut text = format!(
        "\n{}\n",
        bold("  recorded       now  change  instructions of")
    );
    let (mut grown, mut shrunk, mut fresh) = (0, 0, 0);
    for (name, count) in &now.counts {
        let Some(was) = recorded.get(name.as_str()) else {
            fresh += 1;
            let _ = writeln!(
                text,
                "{:>10} {count:>9.1} {:>7}  {name}",
                "-",
                yellow("new")
            );
            continue;
        };
        let change = 100.0 * (count / was - 1.0);
        let shown = format!("{change:>+6.1}%");
        let shown = if *count > was * (1.0 + TOLERANCE) {
            grown += 1;
            red(&shown)
        } else if *count < was * (1.0 - TOLERANCE) {
            shrunk += 1;
            green(&shown)
        } else {
            dim(&shown)
        };
        let _ = writeln!(text, "{was:>10.1} {count:>9.1} {shown}  {name}");
    }
    let gone = before
        .counts
        .iter()
        .filter(|(name, _)| now.counts.iter().all(|(known, _)| known != name));
    for (name, was) in gone {
        fresh += 1;
        let _ = writeln!(text, "{was:>10.1} {:>9} {:>7}  {name}", "-", yellow("gone"));
    }
    if !comparable {
        let _ = writeln!(
            text,
            "Recorded with {}; this is {}. Figures of another compiler are shown and not judged.",
            before.compiler, now.compiler
        );
        grown = 0;
    } else if grown > 0 {
        let _ = writeln!(
            text,
            "{grown} operations take over 3 % more instructions than recorded; if that is worth it, `cargo xtask bench --record`."
        );
    } else if fresh > 0 || shrunk > 0 {
        let _ = writeln!(
            text,
            "Nothing takes more; `cargo xtask bench --record` writes down what is new, gone or faster."
        );
    }
    Verdict { text, grown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(compiler: &str, counts: &[(&str, f64)]) -> Figures {
        Figures {
            compiler: compiler.to_owned(),
            counts: counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }

    #[test]
    fn figures_are_read_as_they_are_written() {
        let figures = figures(
            "rustc 1.88.0",
            &[("decode PINGREQ", 71.5), ("match a name", 2000.0)],
        );
        let read = Figures::parse(&figures.to_string());
        assert_eq!(read.expect("it was written by itself"), figures);
        let error =
            Figures::parse("# compiler: x\nseventy  decode PINGREQ").expect_err("no number");
        assert!(error.to_string().contains("instructions.txt:2"), "{error}");
    }

    /// A file that was cut off was compared with nothing, and a count that is no number with everything: both held.
    #[test]
    fn a_broken_record_is_refused() {
        for text in [
            "",
            "# compiler: x\n",
            "7.0  decode PINGREQ\n",
            "# compiler: x\nnan  decode PINGREQ\n",
            "# compiler: x\n0.0  decode PINGREQ\n",
        ] {
            assert!(Figures::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_grows_by_more_than_three_hundredths_is_named() {
        let before = figures("x", &[("a", 100.0), ("b", 100.0), ("gone", 1.0)]);
        let now = figures("x", &[("a", 103.0), ("b", 103.1), ("new", 1.0)]);
        let verdict = compare(&before, &now);
        assert_eq!(verdict.grown, 1, "{}", verdict.text);
        for part in ["+3.1%", "new", "gone", "1 operations"] {
            assert!(verdict.text.contains(part), "{}", verdict.text);
        }
    }

    #[test]
    fn another_compiler_is_not_judged() {
        let verdict = compare(&figures("x", &[("a", 1.0)]), &figures("y", &[("a", 9.0)]));
        assert_eq!(verdict.grown, 0);
        assert!(verdict.text.contains("not judged"), "{}", verdict.text);
    }
}
