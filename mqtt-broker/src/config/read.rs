//! From TOML to [`Config`], by the table of keys.

use core::ops::Range;

use toml::de::{DeTable, DeValue};

use super::table::{self, Accepts, Key, Value};
use super::{Config, ConfigError};

pub(super) fn read(text: &str, name: &str) -> Result<Config, ConfigError> {
    let mut reader = Reader {
        text,
        name,
        config: Config::default(),
        findings: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(root) => reader.table("", root.get_ref()),
        Err(error) => {
            let place = error.span().unwrap_or(0..0);
            reader.find(&place, error.message().trim());
        }
    }
    if reader.findings.is_empty() {
        Ok(reader.config)
    } else {
        reader.findings.sort_by_key(|(line, _)| *line);
        let findings = reader.findings.into_iter().map(|(_, text)| text);
        Err(ConfigError::findings(findings.collect()))
    }
}

pub(super) struct Reader<'t> {
    text: &'t str,
    name: &'t str,
    pub(super) config: Config,
    findings: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// Reads the keys of a table; `section` is empty for the whole file.
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let place = key.span();
            let name = match section {
                "" => key.get_ref().to_string(),
                _ => format!("{section}.{}", key.get_ref()),
            };
            if name == table::USERS {
                self.users(&place, value.get_ref());
            } else if let Some(known) = table::find(&name) {
                match value_of(known, value.get_ref()) {
                    Ok(value) => {
                        (known.set)(&mut self.config, value);
                        if name == table::DURABILITY {
                            let line = self.line(&place);
                            let what = format!("`{name}` ({}:{line})", self.name);
                            self.config.require_data_dir(what);
                        }
                    }
                    Err(found) => {
                        let accepts = known.accepts;
                        self.find(
                            &place,
                            &format!("`{name}` takes {}, not {found}", article(accepts)),
                        );
                    }
                }
            } else if table::is_section(&name) {
                match value.get_ref() {
                    DeValue::Table(table) => self.table(&name, table),
                    other => {
                        let found = describe(other);
                        self.find(
                            &place,
                            &format!("`{name}` is a section: write [{name}], not {found}"),
                        );
                    }
                }
            } else if let DeValue::Table(table) = value.get_ref() {
                // Each key of an unknown section has its own nearest one.
                if table.is_empty() {
                    self.unknown(&place, &name);
                }
                self.table(&name, table);
            } else {
                self.unknown(&place, &name);
            }
        }
    }

    fn unknown(&mut self, place: &Range<usize>, name: &str) {
        let nearest = table::nearest(name);
        self.find(
            place,
            &format!("there is no key `{name}`; the nearest one is `{nearest}`"),
        );
    }

    /// Counted from 1.
    fn line(&self, place: &Range<usize>) -> usize {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    pub(super) fn find(&mut self, place: &Range<usize>, what: &str) {
        let line = self.line(place);
        self.findings
            .push((line, format!("{}:{line}: {what}", self.name)));
    }
}

fn article(accepts: Accepts) -> String {
    match accepts {
        Accepts::Flag => accepts.to_string(),
        Accepts::Choice(_) => format!("one of {accepts}"),
        _ => format!("a {accepts}"),
    }
}

/// The value, or what it is instead.
fn value_of(key: &Key, value: &DeValue<'_>) -> Result<Value, String> {
    match (key.accepts, value) {
        (Accepts::Number(low, high), DeValue::Integer(number)) => {
            let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
            parsed
                .filter(|number| (low..=high).contains(number))
                .map(Value::Number)
                .ok_or_else(|| number.as_str().to_owned())
        }
        (Accepts::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Accepts::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Accepts::Choice(names), DeValue::String(text)) if names.contains(&text.as_ref()) => {
            Ok(Value::Text(text.to_string()))
        }
        (Accepts::Texts, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Value::Texts)
            .ok_or_else(|| "a list of something else".to_owned()),
        (_, other) => Err(describe(other)),
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {:?}", text.as_ref()),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text, "broker.toml")
            .expect_err("it is wrong")
            .to_string()
    }

    #[test]
    fn a_file_is_read_key_by_key() {
        let text = "listen = [\"127.0.0.1:1884\", \"localhost\"]\nlog = 'debug'\n[limits]\nqueue_messages = 1_000\nmaximum_qos = 1\nretain_available = false\nreceive_maximum = 0x10\nresponse_prefix = \"answers/\"\n";
        let config = read(text, "broker.toml").expect("it is valid");
        assert_eq!(config.listen, ["127.0.0.1:1884", "localhost"]);
        assert_eq!(config.settings.queue_messages, 1_000);
        assert_eq!(config.settings.limits.receive_maximum, 16);
        assert!(!config.settings.limits.retain_available);
        assert_eq!(config.settings.response_prefix.as_deref(), Some("answers/"));
        assert_eq!(config.log.name(), "debug");
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_nearest_key() {
        assert_eq!(
            refused("# one\n[limits]\nqueue_mesages = 5\n"),
            "broker.toml:3: there is no key `limits.queue_mesages`; the nearest one is `limits.queue_messages`"
        );
        assert_eq!(
            refused("[limit]\nreceive_maximum = 5\n"),
            "broker.toml:2: there is no key `limit.receive_maximum`; the nearest one is `limits.receive_maximum`"
        );
    }

    #[test]
    fn an_ill_typed_key_is_refused_with_its_type() {
        for (text, said) in [
            (
                "workers = \"two\"",
                "broker.toml:1: `workers` takes a number 0..=1_024, not the string \"two\"",
            ),
            (
                "\n\nworkers = -1",
                "broker.toml:3: `workers` takes a number 0..=1_024, not -1",
            ),
            (
                "allow_anonymous = 1",
                "broker.toml:1: `allow_anonymous` takes true or false, not the number 1",
            ),
            (
                "listen = \"x\"",
                "broker.toml:1: `listen` takes a list of strings, not the string \"x\"",
            ),
            (
                "listen = [1]",
                "broker.toml:1: `listen` takes a list of strings, not a list of something else",
            ),
            (
                "limits = 3",
                "broker.toml:1: `limits` is a section: write [limits], not the number 3",
            ),
        ] {
            assert_eq!(refused(text), said);
        }
        assert!(refused("log = \"loud\"").contains("one of \"off\""));
    }

    #[test]
    fn every_finding_is_reported_in_the_order_of_the_file() {
        let said = refused("zzz = 1\naaa = 2\n[limits]\nqueue_bytes = 0\n");
        let lines: Vec<_> = said
            .lines()
            .map(|line| line.split(':').nth(1).unwrap())
            .collect();
        assert_eq!(lines, ["1", "2", "4"]);
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let said = refused("workers = 1\nlisten = [\n");
        assert!(
            said.starts_with("broker.toml:2:") || said.starts_with("broker.toml:3:"),
            "{said}"
        );
    }
}
