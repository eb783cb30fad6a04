//! Versions of the peers, from the lock file that they were built with.

const LOCK: &str = include_str!("../../Cargo.lock");

/// Version of a package; the newest if the lock file holds several.
#[must_use]
pub fn of(package: &str) -> Option<&'static str> {
    in_lock(LOCK, package)
}

fn in_lock<'t>(lock: &'t str, package: &str) -> Option<&'t str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line == name {
            let version = lines.next()?.strip_prefix("version = \"")?;
            found = Some(version.trim_end_matches('"'));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"ab\"\nversion = \"4.0.0\"\n";
        assert_eq!(in_lock(lock, "a"), Some("1.2.3"));
        assert_eq!(in_lock(lock, "ab"), Some("4.0.0"));
        assert_eq!(in_lock(lock, "b"), None);
        assert_eq!(of("mqtt-peers"), Some("0.1.0"));
    }
}
