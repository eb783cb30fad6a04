//! The section `[users]`: names that the operator chooses, so it is read by other rules than the table's.

use core::ops::Range;

use toml::de::DeValue;

use super::read::Reader;
use crate::auth::{UserError, Users};

impl Reader<'_> {
    /// Reads the users. What stands in place of a hash is not shown: it may be a password.
    pub(super) fn users(&mut self, place: &Range<usize>, value: &DeValue<'_>) {
        let DeValue::Table(table) = value else {
            let what = "`users` is a section: write [users], then a line for each user, as alice = \"$argon2id$...\"";
            return self.find(place, what);
        };
        let mut users = Users::new();
        for (key, value) in table {
            let (place, name) = (key.span(), key.get_ref());
            match value.get_ref() {
                DeValue::String(hash) => {
                    if let Err(error) = users.insert(name, hash) {
                        self.find(&place, &format!("user `{}`: {error}", name.escape_debug()));
                    }
                }
                DeValue::Table(_) => self.find(
                    &place,
                    &format!(
                        "user `{}` has a section where a hash should be: a name with dots goes into quotes, as \"a.b\" = \"$argon2id$...\"",
                        name.escape_debug()
                    ),
                ),
                _ => self.find(
                    &place,
                    &format!("user `{}`: {}", name.escape_debug(), UserError::NotAHash),
                ),
            }
        }
        self.config.users = Some(users);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$3HwBd1eILDq8Pyo8aFI3BA";

    fn refused(text: &str) -> String {
        let error = Config::from_toml(text, "broker.toml").expect_err(text);
        error.to_string()
    }

    #[test]
    fn users_are_read() {
        let text = format!("[users]\nalice = \"{HASH}\"\n\"bob @ home\" = '{HASH}'\n");
        let config = Config::from_toml(&text, "broker.toml").expect("valid");
        assert_eq!(config.users.map(|users| users.len()), Some(2));
        let none = Config::from_toml("", "broker.toml").expect("valid");
        assert!(none.users.is_none());
        // Nobody may come: not the same as everybody.
        let empty = Config::from_toml("[users]\n", "broker.toml").expect("valid");
        assert!(empty.users.is_some_and(|users| users.is_empty()));
    }

    #[test]
    fn what_is_no_hash_is_refused_with_its_line_and_not_shown() {
        let said = refused("[users]\nalice = \"wonderland\"\nbob = 7\n");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].starts_with(
            "broker.toml:2: user `alice`: this is no password hash: `mqtt-broker hash-password`"
        ));
        assert!(lines[1].starts_with("broker.toml:3: user `bob`: this is no password hash"));
        assert!(!said.contains("wonderland"));
        let said = refused("users = \"wonderland\"");
        assert!(
            said.starts_with("broker.toml:1: `users` is a section"),
            "{said}"
        );
        assert!(!said.contains("wonderland"));
        let said = refused(&format!("[users]\nsite.7 = \"{HASH}\"\n"));
        assert!(said.starts_with("broker.toml:2: user `site`"), "{said}");
        assert!(said.contains("quotes"), "{said}");
    }

    #[test]
    fn two_tables_or_two_lines_of_one_user_are_refused_with_their_line() {
        let said = refused(&format!(
            "[users]\na = \"{HASH}\"\n[users]\nb = \"{HASH}\"\n"
        ));
        assert!(said.starts_with("broker.toml:3: "), "{said}");
        let said = refused(&format!("[users]\na = \"{HASH}\"\na = \"{HASH}\"\n"));
        assert!(said.starts_with("broker.toml:3: "), "{said}");
    }

    #[test]
    fn a_section_that_is_nearly_users_is_pointed_there() {
        let said = refused(&format!("[user]\nalice = \"{HASH}\"\n"));
        assert!(said.ends_with("the nearest one is `users.NAME`"), "{said}");
    }
}
