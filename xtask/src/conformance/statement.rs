//! The table of statements: `xtask/conformance/statements.tsv`.

use core::fmt;

use crate::shell::Result;

/// Where the table is.
pub(super) const PATH: &str = "xtask/conformance/statements.tsv";

const HEADING: &str = "spec\tid\tparaphrase\tside\tlayer\ttests\totherwise";

/// A specification with numbered statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spec {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Spec {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::V311, Self::V5];

    /// Its number.
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }

    /// How many statements it has: none may get lost from the table.
    pub(super) const fn statements(self) -> usize {
        match self {
            Self::V311 => 142,
            Self::V5 => 251,
        }
    }

    /// How code names one of its statements.
    pub(super) fn spell(self, id: &str) -> String {
        match self {
            Self::V311 => format!("[3.1.1:{id}]"),
            Self::V5 => format!("[{id}]"),
        }
    }
}

/// Why no test proves a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// There is a test.
    No,
    /// None can, for this reason.
    Exception(String),
    /// None does as yet; this is missing.
    Gap(String),
}

/// Who answers for a statement, and where the tests of that layer are.
const LAYERS: [(&str, &[&str]); 7] = [
    ("codec", &["mqtt-codec/"]),
    ("topic", &["mqtt-topic/"]),
    ("session", &["mqtt-session/"]),
    ("core", &["mqtt-broker/src/core/"]),
    ("broker", &["mqtt-broker/", "xtask/conformance/"]),
    ("client", &["mqtt-client/"]),
    ("device", &["mqtt-device/"]),
];

/// The folders of a layer's tests.
pub(super) fn folders(layer: &str) -> Option<&'static [&'static str]> {
    let row = LAYERS.iter().find(|(name, _)| *name == layer);
    row.map(|(_, folders)| *folders)
}

/// The names of all layers.
pub(super) fn layers() -> String {
    LAYERS.map(|(name, _)| name).join(", ")
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Which specification.
    pub(super) spec: Spec,
    /// As in `MQTT-4.3.3-10`.
    pub(super) id: String,
    /// What it demands, in a few words of ours.
    pub(super) paraphrase: String,
    /// Whom it binds: `client`, `server` or `both`.
    pub(super) side: String,
    /// The lowest layers that can break it.
    pub(super) layer: String,
    /// The tests that name it, sorted.
    pub(super) tests: Vec<String>,
    /// Why there is none.
    pub(super) otherwise: Otherwise,
    /// Its line in the table, from 1.
    pub(super) line: usize,
}

impl Statement {
    /// The numbers by which statements are sorted: `MQTT-4.3.3-10` is [4, 3, 3, 10].
    pub(super) fn numbers(&self) -> Vec<u32> {
        let numbers = self.id.split(['.', '-']).skip(1);
        numbers.filter_map(|number| number.parse().ok()).collect()
    }

    /// The chapter, or the section in chapters 3 and 4.
    pub(super) fn chapter(&self) -> (u32, u32) {
        match self.numbers()[..] {
            [chapter @ (3 | 4), section, ..] => (chapter, section),
            [chapter, ..] => (chapter, 0),
            [] => (0, 0),
        }
    }

    fn parse(row: &str, line: usize) -> core::result::Result<Self, String> {
        let columns: Vec<&str> = row.split('\t').collect();
        let [spec, id, paraphrase, side, layer, tests, otherwise] = columns[..] else {
            return Err(format!("7 columns are needed, here are {}", columns.len()));
        };
        let spec = Spec::ALL
            .into_iter()
            .find(|known| known.version() == spec)
            .ok_or_else(|| format!("`{spec}` is neither 3.1.1 nor 5.0"))?;
        if !["client", "server", "both"].contains(&side) {
            return Err(format!("side `{side}` is not client, server or both"));
        }
        if let Some(unknown) = layer.split(' ').find(|layer| folders(layer).is_none()) {
            return Err(format!("layer `{unknown}` is none of {}", layers()));
        }
        let otherwise = match otherwise.split_once(": ") {
            None if otherwise.is_empty() => Otherwise::No,
            Some(("exception", reason)) if !reason.trim().is_empty() => {
                Otherwise::Exception(reason.to_owned())
            }
            Some(("gap", missing)) if !missing.trim().is_empty() => {
                Otherwise::Gap(missing.to_owned())
            }
            _ => {
                return Err(format!(
                    "`{otherwise}` is not empty, `exception: <reason>` or `gap: <what is missing>`"
                ));
            }
        };
        Ok(Self {
            spec,
            id: id.to_owned(),
            paraphrase: paraphrase.to_owned(),
            side: side.to_owned(),
            layer: layer.to_owned(),
            tests: tests.split_whitespace().map(str::to_owned).collect(),
            otherwise,
            line,
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otherwise = match &self.otherwise {
            Otherwise::No => String::new(),
            Otherwise::Exception(reason) => format!("exception: {reason}"),
            Otherwise::Gap(missing) => format!("gap: {missing}"),
        };
        let Self {
            id,
            paraphrase,
            side,
            layer,
            ..
        } = self;
        let tests = self.tests.join(" ");
        let spec = self.spec.version();
        write!(
            f,
            "{spec}\t{id}\t{paraphrase}\t{side}\t{layer}\t{tests}\t{otherwise}"
        )
    }
}

/// Reads the table.
///
/// # Errors
/// If a row does not fit: with its line and what is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().map(|(_, line)| line) != Some(HEADING) {
        return Err(format!("{PATH}:1: the first line must be `{HEADING}`").into());
    }
    lines
        .map(|(line, row)| {
            Statement::parse(row, line).map_err(|error| format!("{PATH}:{line}: {error}").into())
        })
        .collect()
}

/// Writes the table, sorted.
pub(super) fn write(statements: &[Statement]) -> String {
    let mut sorted: Vec<&Statement> = statements.iter().collect();
    sorted.sort_by_key(|statement| (statement.spec, statement.numbers()));
    let rows = sorted.iter().map(|statement| format!("{statement}\n"));
    format!("{HEADING}\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "spec\tid\tparaphrase\tside\tlayer\ttests\totherwise
3.1.1\tMQTT-2.2.2-2\tinvalid flags: close\tboth\tcodec session\ta::b a::c\t
5.0\tMQTT-4.2-1\ta byte stream\tboth\tbroker\t\texception: none can
5.0\tMQTT-4.3.3-10\tonce\tboth\tsession\t\tgap: a test
";

    #[test]
    fn the_table_is_read_and_written() {
        let statements = parse(TABLE).expect("a table");
        assert_eq!(write(&statements), TABLE);
        let reversed: Vec<_> = statements.iter().rev().cloned().collect();
        assert_eq!(write(&reversed), TABLE, "it is sorted by numbers");
        assert_eq!(statements[0].tests, ["a::b", "a::c"]);
        assert_eq!(statements[2].numbers(), [4, 3, 3, 10]);
        let chapters: Vec<_> = statements.iter().map(Statement::chapter).collect();
        assert_eq!(chapters, [(2, 0), (4, 2), (4, 3)]);
    }

    #[test]
    fn a_row_that_does_not_fit_is_named() {
        for (from, to, named) in [
            ("3.1.1\tM", "3.1\tM", ":2: `3.1` is neither"),
            ("codec session", "codec wire", ":2: layer `wire`"),
            ("codec session", "", ":2: layer ``"),
            ("\tboth\tbroker", "\tall\tbroker", ":3: side `all`"),
            ("exception: none can", "exception: ", ":3: `exception: `"),
            ("gap: a test", "later", ":4: `later`"),
            ("gap: a test", "gap: a\ttest", ":4: 7 columns"),
            ("spec\t", "", ":1: the first line"),
        ] {
            let error = parse(&TABLE.replacen(from, to, 1))
                .expect_err(to)
                .to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
