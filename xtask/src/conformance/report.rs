//! What is proven, chapter by chapter.

use std::collections::BTreeMap;

use super::statement::{Otherwise, Spec, Statement};
use crate::shell::{bold, dim, green, yellow};

const BAR: usize = 16;

/// How many statements of some set are proven, excepted and open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// All.
    pub(super) all: usize,
    /// Named by a test.
    pub(super) proven: usize,
    /// With a reason why no test can.
    pub(super) excepted: usize,
}

impl Count {
    /// Counts statements.
    pub(super) fn of<'s>(statements: impl Iterator<Item = &'s Statement>) -> Self {
        let mut count = Self::default();
        for statement in statements {
            count.all += 1;
            count.proven += usize::from(!statement.tests.is_empty());
            count.excepted += usize::from(matches!(statement.otherwise, Otherwise::Exception(_)));
        }
        count
    }

    /// Neither proven nor excepted.
    pub(super) fn open(self) -> usize {
        self.all.saturating_sub(self.proven + self.excepted)
    }

    /// A bar of fixed width with the numbers behind it.
    fn bar(self) -> String {
        if self.all == 0 {
            return " ".repeat(BAR + 8);
        }
        // Rounded down: a full bar means that nothing is left.
        let full = self.proven * BAR / self.all;
        let text = format!("{:>3}/{:<3}", self.proven, self.all);
        let bar = "█".repeat(full);
        let rest = dim(&"░".repeat(BAR - full));
        if self.open() == 0 {
            format!("{}{rest} {text}", green(&bar))
        } else {
            format!("{}{rest} {}", yellow(&bar), yellow(&text))
        }
    }
}

fn title(chapter: (u32, u32)) -> String {
    let (number, name) = match chapter {
        (1, _) => ("1", "Data types"),
        (2, _) => ("2", "Packet format"),
        (3, 1) => ("3.1", "CONNECT"),
        (3, 2) => ("3.2", "CONNACK"),
        (3, 3) => ("3.3", "PUBLISH"),
        (3, 4) => ("3.4", "PUBACK"),
        (3, 5) => ("3.5", "PUBREC"),
        (3, 6) => ("3.6", "PUBREL"),
        (3, 7) => ("3.7", "PUBCOMP"),
        (3, 8) => ("3.8", "SUBSCRIBE"),
        (3, 9) => ("3.9", "SUBACK"),
        (3, 10) => ("3.10", "UNSUBSCRIBE"),
        (3, 11) => ("3.11", "UNSUBACK"),
        (3, 12) => ("3.12", "PINGREQ"),
        (3, 14) => ("3.14", "DISCONNECT"),
        (3, 15) => ("3.15", "AUTH"),
        (4, 1) => ("4.1", "Session state"),
        (4, 2) => ("4.2", "Network connection"),
        (4, 3) => ("4.3", "Quality of Service"),
        (4, 4) => ("4.4", "Delivery again"),
        (4, 5) => ("4.5", "Receipt"),
        (4, 6) => ("4.6", "Order"),
        (4, 7) => ("4.7", "Topics"),
        (4, 8) => ("4.8", "Subscriptions, errors"),
        (4, 9) => ("4.9", "Flow control"),
        (4, 12) => ("4.12", "Enhanced authentication"),
        (4, 13) => ("4.13", "Errors"),
        (6, _) => ("6", "WebSocket"),
        (7, _) => ("7", "Conformance"),
        (a, b) => return format!("{a}.{b}"),
    };
    format!("{number:<5} {name}")
}

/// The table of chapters and the closing lines.
pub(super) fn table(statements: &[Statement]) -> String {
    let mut chapters = BTreeMap::<(u32, u32), Vec<&Statement>>::new();
    for statement in statements {
        chapters
            .entry(statement.chapter())
            .or_default()
            .push(statement);
    }
    let mut text = bold(&format!("{:<30} {:<25} {}\n", "", "MQTT 3.1.1", "MQTT 5.0"));
    for (chapter, rows) in chapters {
        let [v311, v5] = Spec::ALL.map(|spec| {
            let rows = rows.iter().copied();
            Count::of(rows.filter(|row| row.spec == spec)).bar()
        });
        let line = format!("{:<30} {v311}  {v5}", title(chapter));
        text += line.trim_end();
        text.push('\n');
    }
    text.push('\n');
    for statement in statements {
        let (kind, reason) = match &statement.otherwise {
            Otherwise::No => continue,
            Otherwise::Exception(reason) => ("exception", reason),
            Otherwise::Gap(missing) => ("gap", missing),
        };
        let spelt = statement.spec.spell(&statement.id);
        text += &yellow(&format!(
            "{kind:<9} {spelt:<22} {}: {reason}\n",
            statement.paraphrase
        ));
    }
    for spec in Spec::ALL {
        text += &sum(
            &format!("MQTT {}", spec.version()),
            Count::of(statements.iter().filter(|row| row.spec == spec)),
        );
    }
    text += &bold(&sum("both", Count::of(statements.iter())));
    text
}

fn sum(name: &str, count: Count) -> String {
    format!(
        "{name:<10} {} of {} statements proven by tests, {} excepted, {} open\n",
        count.proven,
        count.all,
        count.excepted,
        count.open()
    )
}

/// One line for each statement.
pub(super) fn list(statements: &[Statement]) -> String {
    let line = |statement: &Statement| {
        let id = statement.spec.spell(&statement.id);
        let state = match (&statement.otherwise, statement.tests.len()) {
            (Otherwise::Exception(reason), _) => yellow(&format!("exception: {reason}")),
            (Otherwise::Gap(missing), _) => yellow(&format!("gap: {missing}")),
            (Otherwise::No, 0) => yellow("no test"),
            (Otherwise::No, 1) => statement.tests[0].clone(),
            (Otherwise::No, more) => {
                format!(
                    "{} {}",
                    statement.tests[0],
                    dim(&format!("and {} more", more - 1))
                )
            }
        };
        let Statement {
            layer, paraphrase, ..
        } = statement;
        format!("{id:<23} {layer:<13} {paraphrase}: {state}\n")
    };
    statements.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse;
    use super::*;

    fn statements() -> Vec<Statement> {
        parse(
            "spec\tid\tparaphrase\tside\tlayer\ttests\totherwise
3.1.1\tMQTT-2.2.2-1\tflags\tboth\tcodec\ta::b c::d\t
3.1.1\tMQTT-2.2.2-2\tclose\tboth\tcodec\t\texception: none can
5.0\tMQTT-4.3.3-1\tonce\tboth\tsession\ta::b\t
5.0\tMQTT-4.3.3-2\tfirst\tboth\tsession\t\tgap: a test
5.0\tMQTT-4.3.3-3\tthen\tboth\tsession\ta::b\t
",
        )
        .expect("a table")
    }

    #[test]
    fn chapters_and_sums_are_counted() {
        let text = table(&statements());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("2     Packet format"), "{text}");
        assert!(lines[1].ends_with("████████░░░░░░░░   1/2"), "{text}");
        assert!(lines[2].starts_with("4.3   Quality of Service"), "{text}");
        assert!(lines[2].ends_with("██████████░░░░░░   2/3"), "{text}");
        assert!(text.contains("exception [3.1.1:MQTT-2.2.2-2]   close: none can\n"));
        assert!(text.contains("gap       [MQTT-4.3.3-2]         first: a test\n"));
        let sum = "both       3 of 5 statements proven by tests, 1 excepted, 1 open\n";
        assert!(text.ends_with(sum), "{text}");
    }

    #[test]
    fn a_bar_is_full_only_when_nothing_is_left() {
        let almost = Count {
            all: 100,
            proven: 99,
            excepted: 0,
        };
        assert!(almost.bar().contains('░'));
        assert_eq!(almost.open(), 1);
        let all = Count {
            all: 1,
            proven: 1,
            excepted: 0,
        };
        assert!(!all.bar().contains('░'));
    }

    #[test]
    fn every_statement_has_a_line() {
        let text = list(&statements());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[0].ends_with("flags: a::b and 1 more"), "{text}");
        assert!(lines[1].ends_with("close: exception: none can"), "{text}");
        assert!(lines[4].ends_with("then: a::b"), "{text}");
    }
}
