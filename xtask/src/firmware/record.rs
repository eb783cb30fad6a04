//! Sizes compared with the recorded ones: `mqtt-device/firmware/sizes.txt`.

use core::fmt;

use crate::shell::Result;

/// The figures, relative to the root.
pub(super) const RECORD: &str = "mqtt-device/firmware/sizes.txt";

/// What a program takes on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) board: String,
    pub(super) program: String,
    /// Beyond the empty program.
    pub(super) flash: u32,
    /// Variables and the peak of the stack, of the run that took most; `None` where it is not run.
    pub(super) ram: Option<u32>,
    /// The same of the run that took least: whether an interrupt comes when the stack is deepest is chance.
    pub(super) least_ram: Option<u32>,
}

/// The sizes, and the compiler that made them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) compiler: String,
    pub(super) sizes: Vec<Size>,
}

impl Sizes {
    /// Reads the record.
    ///
    /// # Errors
    /// If a line is no size, or there is none.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut compiler = String::new();
        let mut sizes = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(version) = line.strip_prefix("# compiler: ") {
                version.clone_into(&mut compiler);
            } else if !line.starts_with('#') && !line.is_empty() {
                let size = size(line).ok_or_else(|| {
                    format!(
                        "{RECORD}:{}: is not flash, RAM, board and program: {line}",
                        number + 1
                    )
                })?;
                sizes.push(size);
            }
        }
        if compiler.is_empty() || sizes.is_empty() {
            return Err(format!(
                "{RECORD}: names no compiler or no program; `cargo xtask firmware --record` writes it anew"
            )
            .into());
        }
        Ok(Self { compiler, sizes })
    }

    /// The size of a program on a board.
    pub(super) fn find(&self, board: &str, program: &str) -> Option<&Size> {
        self.sizes
            .iter()
            .find(|size| size.board == board && size.program == program)
    }

    /// What has changed since `before`, and whether something has grown. Sizes of another compiler are not judged.
    pub(super) fn compare(&self, before: &Self) -> Comparison {
        let mut comparison = Comparison {
            comparable: self.compiler == before.compiler,
            ..Comparison::default()
        };
        for now in &self.sizes {
            let place = format!("{} {}", now.board, now.program);
            let Some(was) = before.find(&now.board, &now.program) else {
                comparison.remarks.push(format!("{place}: new"));
                continue;
            };
            let figures = [
                ("flash", Some(was.flash), Some(now.flash), Some(now.flash)),
                // Every run takes more than any did, or every run takes less.
                ("RAM", was.ram, now.least_ram, now.ram),
            ];
            for (what, was, least, most) in figures {
                let [was, least, most] = [was, least, most].map(Option::unwrap_or_default);
                if least > was && differs(was, least) {
                    let grown = format!("{place}: {what} {was} -> {most}");
                    comparison.grown.push(grown);
                } else if most < was && differs(was, most) {
                    let remark = format!("{place}: {what} {was} -> {most}");
                    comparison.remarks.push(remark);
                }
            }
        }
        for was in &before.sizes {
            if self.find(&was.board, &was.program).is_none() {
                let remark = format!("{} {}: gone", was.board, was.program);
                comparison.remarks.push(remark);
            }
        }
        comparison
    }
}

/// What a comparison has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Whether both were made by the same compiler.
    pub(super) comparable: bool,
    /// What has grown beyond the tolerance.
    pub(super) grown: Vec<String>,
    /// What is smaller, new or gone.
    pub(super) remarks: Vec<String>,
}

/// By more than 2 %, and by more than the alignment of one word.
fn differs(was: u32, now: u32) -> bool {
    let change = u64::from(was.abs_diff(now));
    change * 50 > u64::from(was) && change > 4
}

fn size(line: &str) -> Option<Size> {
    let mut words = line.split_whitespace();
    let flash = words.next()?.parse().ok()?;
    let ram = match words.next()? {
        "-" => None,
        bytes => Some(bytes.parse().ok()?),
    };
    let size = Size {
        board: words.next()?.to_owned(),
        program: words.next()?.to_owned(),
        flash,
        ram,
        least_ram: ram,
    };
    words.next().is_none().then_some(size)
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Bytes of flash beyond the empty program and of RAM, written by `cargo xtask firmware --record`.\n# compiler: {}",
            self.compiler
        )?;
        self.sizes.iter().try_for_each(|size| {
            let ram = size
                .ram
                .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
            writeln!(
                f,
                "{:>6} {ram:>6}  {} {}",
                size.flash, size.board, size.program
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(compiler: &str, sizes: &[(&str, u32, Option<u32>)]) -> Sizes {
        Sizes {
            compiler: compiler.to_owned(),
            sizes: sizes
                .iter()
                .map(|(program, flash, ram)| Size {
                    board: "uno".to_owned(),
                    program: (*program).to_owned(),
                    flash: *flash,
                    ram: *ram,
                    least_ram: *ram,
                })
                .collect(),
        }
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let sizes = sizes("rustc 1.96.0", &[("a", 3072, Some(888)), ("b", 0, None)]);
        let read = Sizes::parse(&sizes.to_string());
        assert_eq!(read.expect("it was written by itself"), sizes);
        for text in [
            "",
            "# compiler: x\n",
            "1 2 uno a\n",
            "# compiler: x\n1 2 uno\n",
            "# compiler: x\n1 much uno a\n",
        ] {
            assert!(Sizes::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_grows_by_more_than_two_hundredths_is_named() {
        let before = sizes(
            "x",
            &[("a", 1000, Some(1000)), ("b", 10, None), ("gone", 1, None)],
        );
        let now = sizes(
            "x",
            &[("a", 1020, Some(1021)), ("b", 14, None), ("new", 1, None)],
        );
        let comparison = now.compare(&before);
        assert_eq!(comparison.grown, ["uno a: RAM 1000 -> 1021"]);
        assert_eq!(comparison.remarks, ["uno new: new", "uno gone: gone"]);
        let back = before.compare(&now);
        assert_eq!(back.grown, [""; 0]);
        assert!(back.remarks.contains(&"uno a: RAM 1021 -> 1000".to_owned()));
    }

    #[test]
    fn an_interrupt_in_some_runs_is_no_growth() {
        let before = sizes("x", &[("a", 1, Some(500))]);
        let mut now = sizes("x", &[("a", 1, Some(560))]);
        now.sizes[0].least_ram = Some(505);
        assert_eq!(now.compare(&before).grown, [""; 0]);
        now.sizes[0].least_ram = Some(511);
        assert_eq!(now.compare(&before).grown, ["uno a: RAM 500 -> 560"]);
    }

    #[test]
    fn a_figure_that_was_not_measured_before_counts_as_grown() {
        let comparison = sizes("x", &[("a", 1, Some(500))]).compare(&sizes("x", &[("a", 1, None)]));
        assert_eq!(comparison.grown.len(), 1);
        assert!(comparison.comparable);
        let other = sizes("y", &[("a", 9, None)]).compare(&sizes("x", &[("a", 1, None)]));
        assert!(!other.comparable);
    }
}
