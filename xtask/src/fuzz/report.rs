//! What libFuzzer and the targets print, read line by line; progress and the closing table.

use core::fmt::Write as _;
use core::time::Duration;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Instant;

/// What came of a run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Inputs that were run.
    pub(super) runs: u64,
    /// Edges of the control flow that were taken.
    pub(super) edges: u64,
    /// Edges and how often they were taken, in libFuzzer's coarse counts.
    pub(super) features: u64,
    /// Inputs in the corpus.
    pub(super) corpus: u64,
    /// Inputs that the target has told about, and how many of them decode.
    pub(super) told: u64,
    /// See there.
    pub(super) decode: u64,
    /// Packets or operations in them.
    pub(super) steps: u64,
    /// Disagreements that were judged, by the name of their rule, and how often each was seen.
    pub(super) judged: Vec<(String, u64)>,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// The first finding, which ends a run.
    pub(super) finding: Option<Finding>,
}

/// A finding.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Finding {
    /// The first lines of the panic.
    pub(super) what: String,
    /// The input.
    pub(super) file: Option<PathBuf>,
    /// Since the fuzzer was started.
    pub(super) after: Duration,
}

impl Figures {
    fn share(&self) -> String {
        if self.told == 0 {
            return "-".to_owned();
        }
        format!("{} %", (100 * self.decode + self.told / 2) / self.told)
    }

    fn per_second(&self) -> u64 {
        (self.runs as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }
}

/// Characters of a panic's message that are shown; the rest is there when it is repeated.
const MOST_TEXT: usize = 300;

/// Reads lines.
pub(super) struct Reader {
    figures: Figures,
    progress: Progress,
    start: Instant,
    /// The next line is the message of a panic.
    panicked: bool,
}

impl Reader {
    pub(super) fn new(progress: Progress) -> Self {
        Self {
            figures: Figures::default(),
            progress,
            start: Instant::now(),
            panicked: false,
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        let figures = &mut self.figures;
        if core::mem::take(&mut self.panicked) {
            if let Some(finding) = &mut figures.finding {
                finding.what.extend(line.trim().chars().take(MOST_TEXT));
            }
        } else if line.starts_with('#') {
            let words: Vec<&str> = line.split_whitespace().collect();
            figures.runs = number(&words[0][1..]).unwrap_or(figures.runs);
            for pair in words.windows(2) {
                let value = number(pair[1].split('/').next().unwrap_or_default());
                let Some(value) = value else { continue };
                match pair[0] {
                    "cov:" => figures.edges = value,
                    "ft:" => figures.features = value,
                    "corp:" => figures.corpus = value,
                    _ => {}
                }
            }
        } else if let Some(shape) = line.strip_prefix("shape: ") {
            let mut numbers = shape
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(number);
            figures.told = numbers.next().unwrap_or(0);
            figures.decode = numbers.next().unwrap_or(0);
            figures.steps = numbers.next().unwrap_or(0);
            figures.runs = figures.runs.max(figures.told);
        } else if let Some(counts) = line.strip_prefix("judged: ") {
            let pairs = counts
                .split_whitespace()
                .filter_map(|it| it.split_once('='));
            figures.judged = pairs
                .filter_map(|(rule, count)| Some((rule.to_owned(), number(count)?)))
                .collect();
        } else if let Some(done) = line.strip_prefix("Done ") {
            let runs = done.split_whitespace().next().and_then(number);
            figures.runs = runs.unwrap_or(figures.runs);
        } else if let Some(at) = line.find("panicked at ") {
            self.found(format!("{} ", &line[at..]));
            self.panicked = true;
        } else if let Some(at) = line.find("ERROR: libFuzzer: ") {
            self.found(line[at..].to_owned());
        } else if let Some((_, file)) = line.split_once("Test unit written to ")
            && let Some(finding) = &mut figures.finding
        {
            finding.file = Some(PathBuf::from(file.trim()));
        }
        self.progress.show(&self.figures, self.start.elapsed());
    }

    fn found(&mut self, what: String) {
        let after = self.start.elapsed();
        self.figures.finding.get_or_insert(Finding {
            what,
            file: None,
            after,
        });
    }

    pub(super) fn finish(self) -> Figures {
        self.progress.end();
        self.figures
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// One line that is written over and over; nothing where standard error is no terminal.
pub(super) struct Progress {
    whole: Duration,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(whole: Duration) -> Self {
        Self {
            whole,
            shown: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, figures: &Figures, elapsed: Duration) {
        let recent = |shown: Instant| shown.elapsed() < Duration::from_millis(200);
        if !self.terminal || self.shown.is_some_and(recent) {
            return;
        }
        self.shown = Some(Instant::now());
        eprint!(
            "\r\u{1b}[K{:>4} s of {} s   {} runs   {} edges   {} features   {} inputs   {} decode",
            elapsed.as_secs(),
            self.whole.as_secs(),
            figures.runs,
            figures.edges,
            figures.features,
            figures.corpus,
            figures.share(),
        );
        let _ = std::io::stderr().flush();
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// One line for each target.
pub(super) fn table(rows: &[(&str, Figures)]) -> String {
    let mut text = format!(
        "{:<12} {:>8} {:>11} {:>8} {:>7} {:>9} {:>7} {:>7} {:>8}  {}\n",
        "target",
        "seconds",
        "executions",
        "per s",
        "edges",
        "features",
        "corpus",
        "decode",
        "steps",
        "findings"
    );
    for (name, figures) in rows {
        let steps = (figures.steps as f64 / (figures.told as f64).max(1.0)).round();
        let _ = writeln!(
            text,
            "{name:<12} {:>8} {:>11} {:>8} {:>7} {:>9} {:>7} {:>7} {steps:>8}  {}",
            figures.elapsed.as_secs(),
            figures.runs,
            figures.per_second(),
            figures.edges,
            figures.features,
            figures.corpus,
            figures.share(),
            u8::from(figures.finding.is_some()),
        );
    }
    text.push_str("\ndecode: share of the inputs that came through, see xtask/fuzz/README.md; steps: packets or operations an input\n");
    text
}

/// How often each judged disagreement was seen; nothing for a target without such.
pub(super) fn judged(figures: &Figures) -> String {
    if figures.judged.is_empty() {
        return String::new();
    }
    let mut text = String::from("judged disagreements, and how often each was seen\n");
    for (rule, count) in &figures.judged {
        let _ = writeln!(text, "{count:>11}  {rule}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Figures {
        let mut reader = Reader::new(Progress::new(Duration::from_secs(1)));
        for line in lines.lines() {
            reader.line(line);
        }
        reader.finish()
    }

    #[test]
    fn figures_are_read_from_the_lines_of_libfuzzer() {
        let figures = read(
            "INFO: Seed: 1\n\
             #2\tINITED cov: 20 ft: 21 corp: 1/1b exec/s: 0 rss: 28Mb\n\
             shape: 1200 inputs, 601 decode, 4000 steps, 250 ms\n\
             #1208\tREDUCE cov: 2170 ft: 11973 corp: 3171/233Kb lim: 21 exec/s: 10070 rss: 34Mb L: 5/9 MS: 3 CrossOver-\n\
             judged: a-rule=7 another=0\n\
             Done 1209 runs in 1 second(s)",
        );
        let expected = Figures {
            runs: 1209,
            edges: 2170,
            features: 11973,
            corpus: 3171,
            told: 1200,
            decode: 601,
            steps: 4000,
            judged: vec![("a-rule".to_owned(), 7), ("another".to_owned(), 0)],
            ..Figures::default()
        };
        assert_eq!(figures, expected);
        assert_eq!(figures.share(), "50 %");
        assert!(judged(&figures).ends_with("7  a-rule\n          0  another\n"));
        assert_eq!(judged(&Figures::default()), "");
    }

    #[test]
    fn a_finding_has_its_message_and_its_file() {
        let figures = read(
            "thread '<unnamed>' (7) panicked at src/a.rs:2:9:\n\
             a walk that does not end\n\
             ==7== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='x-'; Test unit written to x-crash-1",
        );
        let finding = figures.finding.expect("there is one");
        assert_eq!(
            finding.what,
            "panicked at src/a.rs:2:9: a walk that does not end"
        );
        assert_eq!(finding.file, Some(PathBuf::from("x-crash-1")));
        let slow = read("==7== ERROR: libFuzzer: timeout after 20 seconds");
        assert!(
            slow.finding
                .is_some_and(|finding| finding.what.contains("timeout"))
        );
    }
}
