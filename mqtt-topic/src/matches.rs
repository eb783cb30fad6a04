//! The two relations between topics: a filter matches a name, a filter covers a filter.

use crate::filter::TopicFilter;
use crate::levels::{FilterLevels, Level};
use crate::name::TopicName;

pub(crate) fn matches(filter: TopicFilter<'_>, name: TopicName<'_>) -> bool {
    if name.is_dollar() && filter.begins_with_wildcard() {
        return false;
    }
    let mut levels = name.levels();
    for level in filter.levels() {
        match (level, levels.next()) {
            // `#` takes what is left, and nothing: `sport/#` matches `sport`.
            (Level::Hash, _) => return true,
            (Level::Plus, Some(_)) => {}
            (Level::Name(wanted), Some(found)) if wanted == found => {}
            (Level::Plus | Level::Name(_), _) => return false,
        }
    }
    levels.next().is_none()
}

pub(crate) fn covers(wide: TopicFilter<'_>, narrow: TopicFilter<'_>) -> bool {
    if wide.begins_with_wildcard() && narrow.as_str().starts_with('$') {
        return false;
    }
    // No name is empty: `#` matches what `+/#` matches, and `/#` what `/+/#` does.
    let mut narrow = match narrow.as_str() {
        "#" => FilterLevels::of("+/#"),
        "/#" => FilterLevels::of("/+/#"),
        _ => narrow.levels(),
    };
    for level in wide.levels() {
        match (level, narrow.next()) {
            (Level::Hash, _) => return true,
            (Level::Plus, Some(Level::Plus | Level::Name(_))) => {}
            (Level::Name(wanted), Some(Level::Name(found))) if wanted == found => {}
            (Level::Plus | Level::Name(_), _) => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use crate::{TopicFilter, TopicName};

    fn check(filter: &str, names: &[&str], others: &[&str]) {
        let filter = TopicFilter::new(filter).unwrap();
        for name in names {
            assert!(
                filter.matches(&TopicName::new(name).unwrap()),
                "{filter} matches {name}"
            );
        }
        for name in others {
            assert!(
                !filter.matches(&TopicName::new(name).unwrap()),
                "{filter} does not match {name}"
            );
        }
    }

    /// `#` matches its parent and any number of levels below. [MQTT-4.7.1-1], [3.1.1:MQTT-4.7.1-2]
    #[test]
    fn hash_matches_the_parent_and_all_below() {
        check(
            "sport/tennis/player1/#",
            &[
                "sport/tennis/player1",
                "sport/tennis/player1/ranking",
                "sport/tennis/player1/score/wimbledon",
            ],
            &[
                "sport/tennis/player2",
                "sport/tennis",
                "sport/tennis/player10",
            ],
        );
        check(
            "sport/#",
            &["sport", "sport/", "sport//"],
            &["sports", "/sport"],
        );
        check("#", &["a", "/", "/a/b", "a//"], &[]);
        check("/#", &["/", "/a"], &["a", "a/"]);
    }

    /// `+` matches exactly one level. [MQTT-4.7.1-2], [3.1.1:MQTT-4.7.1-3]
    #[test]
    fn plus_matches_exactly_one_level() {
        check(
            "sport/tennis/+",
            &["sport/tennis/player1", "sport/tennis/"],
            &["sport/tennis/player1/ranking"],
        );
        check("sport/+", &["sport/"], &["sport"]);
        check("+/+", &["/finance", "/", "a/b"], &["finance", "/a/b"]);
        check("/+", &["/finance"], &["finance"]);
        check("+", &["finance"], &["/finance"]);
        check("+/#", &["a", "a/b/c", "/"], &["$a"]);
        check("sport/+/#", &["sport/a", "sport/a/b"], &["sport"]);
    }

    /// A leading wildcard does not match names that begin with `$`. [MQTT-4.7.2-1], [3.1.1:MQTT-4.7.2-1]
    #[test]
    fn a_leading_wildcard_does_not_match_dollar_names() {
        check("#", &[], &["$SYS", "$SYS/uptime"]);
        check(
            "+/monitor/Clients",
            &["a/monitor/Clients"],
            &["$SYS/monitor/Clients"],
        );
        check("$SYS/#", &["$SYS", "$SYS/uptime", "$SYS/a/b"], &["SYS/a"]);
        check("$SYS/monitor/+", &["$SYS/monitor/Clients"], &[]);
        check("+/$x", &["a/$x"], &[]);
    }

    /// Names are compared byte by byte: case, spaces and unnormalised forms count. [MQTT-4.7.3-4], [3.1.1:MQTT-4.7.3-4]
    #[test]
    fn nothing_is_normalised() {
        check(
            "ACCOUNTS",
            &["ACCOUNTS"],
            &["Accounts", "ACCOUNTS ", "/ACCOUNTS", "ACCOUNTS/"],
        );
        check("\u{e9}", &["\u{e9}"], &["e\u{301}"]);
        check("a//b", &["a//b"], &["a/b"]);
    }

    /// A filter covers another exactly when it matches every name that the other matches: shown by
    /// all filters and names of up to four levels over a small alphabet.
    #[test]
    fn covers_is_inclusion_of_matches() {
        // "z" stands for all levels that no filter spells out.
        let names = texts(&["a", "", "$", "z"], 4);
        let filters = texts(&["a", "", "$", "+", "#"], 3);
        let filters: Vec<_> = filters
            .iter()
            .filter_map(|text| TopicFilter::new(text).ok())
            .collect();
        let names: Vec<_> = names
            .iter()
            .filter_map(|text| TopicName::new(text).ok())
            .collect();
        let matched: Vec<Vec<bool>> = filters
            .iter()
            .map(|filter| names.iter().map(|name| filter.matches(name)).collect())
            .collect();
        for (wide, wide_matches) in filters.iter().zip(&matched) {
            for (narrow, narrow_matches) in filters.iter().zip(&matched) {
                let included = narrow_matches
                    .iter()
                    .zip(wide_matches)
                    .all(|(narrow, wide)| !narrow || *wide);
                assert_eq!(wide.covers(narrow), included, "{wide} covers {narrow}");
            }
        }
    }

    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    /// All texts of one to `depth` levels out of `alphabet`.
    fn texts(alphabet: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = alphabet.iter().map(|level| String::from(*level)).collect();
        let mut last = all.clone();
        for _ in 1..depth {
            last = last
                .iter()
                .flat_map(|text| {
                    alphabet
                        .iter()
                        .map(move |level| std::format!("{text}/{level}"))
                })
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }
}
