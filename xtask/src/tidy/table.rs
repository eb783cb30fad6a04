//! The table of layers, allowed crates and exceptions: `xtask/tidy.toml`.

use toml::de::{DeTable, DeValue};

use crate::shell::Result;
use crate::workspace::{at, parse, strings};

/// What one crate may depend on.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Package name.
    pub(super) name: String,
    /// The sentence that a failure prints.
    pub(super) rule: String,
    /// `no_std` always, without clock, sockets or randomness.
    pub(super) pure: bool,
    /// Crates of the workspace.
    pub(super) ours: Vec<String>,
    /// Crates from outside.
    pub(super) outside: Vec<String>,
    /// Crates from outside that only a feature brings in.
    pub(super) optional: Vec<String>,
}

/// A file that one of the text rules does not bind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exception {
    /// Short name of the rule.
    pub(super) rule: String,
    /// The file.
    pub(super) path: String,
}

/// The whole table.
#[derive(Debug)]
pub(super) struct Table {
    /// One row per crate.
    pub(super) rows: Vec<Row>,
    /// What tests may use from outside.
    pub(super) dev: Row,
    /// Where a rule does not bind.
    pub(super) exceptions: Vec<Exception>,
}

impl Table {
    /// Reads the table.
    ///
    /// # Errors
    /// If the text is no TOML, or a row lacks its name, its rule or a reason.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table = parse(text)?;
        let rows = tables(&table, "crate")
            .map(row)
            .collect::<Result<Vec<_>>>()?;
        let dev = at(&table, &["dev"])
            .and_then(DeValue::as_table)
            .map(row)
            .transpose()?
            .unwrap_or_default();
        let exceptions = tables(&table, "exception")
            .map(exception)
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            rows,
            dev,
            exceptions,
        })
    }
}

fn tables<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> impl Iterator<Item = &'t DeTable<'i>> {
    let array = table.get(key).and_then(|value| value.get_ref().as_array());
    array
        .map(|array| array.iter())
        .into_iter()
        .flatten()
        .filter_map(|value| value.get_ref().as_table())
}

fn row(table: &DeTable<'_>) -> Result<Row> {
    Ok(Row {
        name: text(table, "name").unwrap_or_default(),
        rule: text(table, "rule").ok_or("xtask/tidy.toml: a row has no `rule`")?,
        pure: table
            .get("pure")
            .and_then(|value| value.get_ref().as_bool())
            .unwrap_or(false),
        ours: strings(at(table, &["ours"])),
        outside: reasoned(table, "outside")?,
        optional: reasoned(table, "optional")?,
    })
}

/// Names of crates, each of which must say what it is for.
fn reasoned(table: &DeTable<'_>, key: &str) -> Result<Vec<String>> {
    let Some(crates) = table.get(key).and_then(|value| value.get_ref().as_table()) else {
        return Ok(Vec::new());
    };
    let name = |(name, reason): (
        &toml::Spanned<toml::de::DeString<'_>>,
        &toml::Spanned<DeValue<'_>>,
    )| {
        let given = reason
            .get_ref()
            .as_str()
            .is_some_and(|reason| !reason.trim().is_empty());
        let name = name.get_ref().to_string();
        if given {
            Ok(name)
        } else {
            Err(
                format!("xtask/tidy.toml: `{name}` does not say what it saves us from writing")
                    .into(),
            )
        }
    };
    crates.iter().map(name).collect()
}

fn exception(table: &DeTable<'_>) -> Result<Exception> {
    let missing = "xtask/tidy.toml: an exception needs `rule`, `path` and `reason`";
    text(table, "reason").ok_or(missing)?;
    Ok(Exception {
        rule: text(table, "rule").ok_or(missing)?,
        path: text(table, "path").ok_or(missing)?,
    })
}

fn text(table: &DeTable<'_>, key: &str) -> Option<String> {
    table
        .get(key)
        .and_then(|value| value.get_ref().as_str())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_reasons_is_refused() {
        for (text, named) in [
            ("[[crate]]\nname = 'a'", "rule"),
            ("[[crate]]\nname = 'a'\nrule = 'r'\noutside.mio = ''", "mio"),
            ("[[exception]]\nrule = 'length'\npath = 'p'", "reason"),
        ] {
            let error = Table::parse(text).expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
