//! The one table of keys: parsing, `--help` and the README's table all come from it.

use core::fmt::{self, Write};
use core::time::Duration;
use std::path::Path;

use mqtt_codec::QoS;

use super::{Config, LogLevel};
use crate::core::QueuePolicy;
use crate::store::Durability;

/// One key of the configuration file.
pub(super) struct Key {
    /// With its section, as `limits.queue_messages`.
    pub(super) name: &'static str,
    pub(super) accepts: Accepts,
    doc: &'static str,
    /// Takes a value that `accepts` has passed.
    pub(super) set: fn(&mut Config, Value),
    /// The value as TOML; empty when there is none.
    show: fn(&Config) -> String,
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Accepts {
    Number(u64, u64),
    Flag,
    Text,
    Choice(&'static [&'static str]),
    Texts,
    /// What `hash-password` prints; read elsewhere.
    Hash,
}

/// A value of one of these types.
pub(super) enum Value {
    Number(u64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
}

impl Accepts {
    const fn is_hash(self) -> bool {
        matches!(self, Self::Hash)
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(low, high) => write!(f, "number {}..={}", grouped(*low), grouped(*high)),
            Self::Flag => f.write_str("true or false"),
            Self::Text => f.write_str("string"),
            Self::Choice(names) => write!(f, "\"{}\"", names.join("\", \"")),
            Self::Texts => f.write_str("list of strings"),
            Self::Hash => f.write_str("string from `mqtt-broker hash-password`"),
        }
    }
}

/// Thousands apart, as TOML allows it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// A row whose value is a number of any width.
macro_rules! number {
    ($name:literal, $low:literal..=$high:expr, $($field:ident).+, $doc:literal) => {
        Key {
            name: $name,
            accepts: Accepts::Number($low, $high as u64),
            doc: $doc,
            set: |config, value| {
                if let Value::Number(number) = value
                    && let Ok(number) = number.try_into()
                {
                    config.$($field).+ = number;
                }
            },
            show: |config| grouped(config.$($field).+.into()),
        }
    };
}

/// A row whose value is true or false.
macro_rules! flag {
    ($name:literal, $($field:ident).+, $doc:literal) => {
        Key {
            name: $name,
            accepts: Accepts::Flag,
            doc: $doc,
            set: |config, value| {
                if let Value::Flag(flag) = value {
                    config.$($field).+ = flag;
                }
            },
            show: |config| config.$($field).+.to_string(),
        }
    };
}

/// A row whose value is a time, shown in one unit.
macro_rules! time {
    ($name:literal, $low:literal..=$high:expr, $($field:ident).+, $from:ident, $to:ident, $doc:literal) => {
        Key {
            name: $name,
            accepts: Accepts::Number($low, $high as u64),
            doc: $doc,
            set: |config, value| {
                if let Value::Number(number) = value {
                    config.$($field).+ = Duration::$from(number);
                }
            },
            // The table's ranges fit in 64 bits.
            show: |config| grouped(config.$($field).+.$to() as u64),
        }
    };
}

/// The largest packet that MQTT can express: 5 bytes of header and 268,435,455 of the rest.
const LARGEST_PACKET: u32 = 268_435_460;
/// A day in milliseconds, more than enough for a handshake or an interval between reports.
const DAY_MS: u32 = 86_400_000;
/// TOML's numbers end here.
const LARGEST_NUMBER: i64 = i64::MAX;

/// The section whose keys are names that the operator chooses.
pub(super) const USERS: &str = "users";
/// The key that counts with a data directory only.
pub(super) const DURABILITY: &str = "durability";

/// Every key there is, in the order in which they are shown.
pub(super) static KEYS: &[Key] = &[
    Key {
        name: "listen",
        accepts: Accepts::Texts,
        doc: "Addresses to listen on, HOST[:PORT]; port 1883 when not said. Empty: 127.0.0.1 and, where there is one, [::1]",
        set: |config, value| {
            if let Value::Texts(texts) = value {
                config.listen = texts;
            }
        },
        show: |config| format!("{:?}", config.listen),
    },
    flag!(
        "allow_anonymous",
        allow_anonymous,
        "Serve clients without a user name on addresses that are not loopback, and beside [users]"
    ),
    number!(
        "workers",
        0..=1024,
        workers,
        "Worker threads; 0: one for each core that the process may use"
    ),
    Key {
        name: "data_dir",
        accepts: Accepts::Text,
        doc: "Directory in which sessions, queues and retained messages are kept over a restart, made if it is not there. Empty: nothing is kept",
        set: |config, value| {
            if let Value::Text(text) = value {
                config.data_dir = (!text.is_empty()).then(|| text.into());
            }
        },
        show: |config| {
            let path = config.data_dir.as_deref().unwrap_or_else(|| Path::new(""));
            format!("{:?}", path.display().to_string())
        },
    },
    Key {
        name: DURABILITY,
        accepts: Accepts::Choice(Durability::NAMES),
        doc: "With data_dir: when an answer leaves. \"fsync\": when the disk has what it promises; survives a power cut. \"os\": when the system has it; survives a crash of the broker, and spares SD cards. \"none\": at once; a crash loses about the last second",
        set: |config, value| {
            if let Value::Text(text) = value
                && let Some(durability) = Durability::named(&text)
            {
                config.store.durability = durability;
            }
        },
        show: |config| format!("{:?}", config.store.durability.name()),
    },
    Key {
        name: "log",
        accepts: Accepts::Choice(LogLevel::NAMES),
        doc: "What is logged to standard error",
        set: |config, value| {
            if let Value::Text(text) = value
                && let Some(level) = LogLevel::named(&text)
            {
                config.log = level;
            }
        },
        show: |config| format!("{:?}", config.log.name()),
    },
    Key {
        name: "users.NAME",
        accepts: Accepts::Hash,
        doc: "A user and the hash of the password. With this section, clients must give a right user name and password, on every address",
        // The names are the operator's: the section is read as a whole.
        set: |_, _| {},
        show: |_| String::new(),
    },
    number!(
        "passwords.threads",
        0..=256,
        passwords.threads,
        "Threads that check passwords; 0: one for every two cores. Each needs the memory of a hash, usually 19 MiB"
    ),
    number!(
        "passwords.queue",
        1..=1_000_000,
        passwords.queue,
        "Passwords that wait for a thread; more are told that the server is busy, and counted"
    ),
    time!(
        "passwords.wait_ms",
        1..=DAY_MS,
        passwords.wait,
        from_millis,
        as_millis,
        "Milliseconds that a password may wait for a thread before its client is told that the server is busy"
    ),
    time!(
        "passwords.remember_s",
        0..=u32::MAX,
        passwords.remember,
        from_secs,
        as_secs,
        "Seconds for which a right password is let in again without the slow check; 0: it is checked every time"
    ),
    number!(
        "limits.connections",
        1..=u32::MAX,
        settings.connections,
        "Connections of one worker; more are closed at once"
    ),
    number!(
        "limits.sessions",
        1..=u32::MAX,
        settings.sessions,
        "Sessions of one worker, connected or not; more are refused"
    ),
    number!(
        "limits.connect_timeout_ms",
        100..=DAY_MS,
        settings.limits.connect_timeout_ms,
        "Milliseconds from accepting a connection until its CONNECT is complete and decided upon"
    ),
    number!(
        "limits.maximum_packet_size",
        64..=LARGEST_PACKET,
        settings.limits.maximum_packet_size,
        "Bytes of the largest packet taken, with its header; announced to 5.0 clients"
    ),
    number!(
        "limits.receive_maximum",
        1..=u16::MAX,
        settings.limits.receive_maximum,
        "QoS 1 and 2 messages that a client may leave unacknowledged; announced to 5.0 clients"
    ),
    number!(
        "limits.unannounced_receive_maximum",
        1..=u16::MAX,
        settings.limits.unannounced_receive_maximum,
        "The same for clients before 5.0, which cannot be told; one that exceeds it is disconnected"
    ),
    number!(
        "limits.send_maximum",
        1..=u16::MAX,
        settings.limits.send_maximum,
        "QoS 1 and 2 messages in flight to a client, whatever it allows"
    ),
    number!(
        "limits.topic_alias_maximum",
        0..=u16::MAX,
        settings.limits.topic_alias_maximum,
        "Topic aliases that a 5.0 client may use"
    ),
    number!(
        "limits.topic_alias_send_maximum",
        0..=u16::MAX,
        settings.limits.topic_alias_send_maximum,
        "Topic aliases used towards a 5.0 client that allows as many"
    ),
    number!(
        "limits.topic_levels",
        1..=u16::MAX,
        settings.limits.topic_levels,
        "Levels of a topic name or filter"
    ),
    Key {
        name: "limits.maximum_qos",
        accepts: Accepts::Number(0, 2),
        doc: "Highest QoS that clients may publish with",
        set: |config, value| {
            if let Value::Number(number) = value
                && let Some(qos) = u8::try_from(number).ok().and_then(QoS::from_u8)
            {
                config.settings.limits.maximum_qos = qos;
            }
        },
        show: |config| (config.settings.limits.maximum_qos as u8).to_string(),
    },
    flag!(
        "limits.retain_available",
        settings.limits.retain_available,
        "Whether messages may be retained"
    ),
    number!(
        "limits.retained_messages",
        0..=u32::MAX,
        settings.retained_messages,
        "Retained messages kept; more are delivered, not retained"
    ),
    number!(
        "limits.user_properties",
        0..=u16::MAX,
        settings.user_properties,
        "User properties in one packet"
    ),
    number!(
        "limits.subscriptions_per_client",
        1..=u32::MAX,
        settings.subscriptions_per_client,
        "Subscriptions of one client"
    ),
    number!(
        "limits.queue_messages",
        1..=u32::MAX,
        settings.queue_messages,
        "QoS 1 and 2 messages that wait for one session, or for a shared group of which nobody is connected"
    ),
    number!(
        "limits.queue_bytes",
        1..=LARGEST_NUMBER,
        settings.queue_bytes,
        "Bytes of the messages that wait for one session, or for such a group"
    ),
    number!(
        "limits.queue_total_messages",
        0..=LARGEST_NUMBER,
        settings.queue_total_messages,
        "QoS 1 and 2 messages that wait for all sessions together; 0: no limit"
    ),
    number!(
        "limits.queue_total_bytes",
        0..=LARGEST_NUMBER,
        settings.queue_total_bytes,
        "Bytes of the messages that wait for all sessions together; a message counts in each queue in which it waits; 0: no limit"
    ),
    Key {
        name: "limits.queue_policy",
        accepts: Accepts::Choice(QueuePolicy::NAMES),
        doc: "What goes when a message comes for a full queue: the new one, or those of its session that have waited longest",
        set: |config, value| {
            if let Value::Text(text) = value
                && let Some(policy) = QueuePolicy::named(&text)
            {
                config.settings.queue_policy = policy;
            }
        },
        show: |config| format!("{:?}", config.settings.queue_policy.name()),
    },
    number!(
        "limits.unread_output_bytes",
        1_000..=u32::MAX,
        settings.unread_output_bytes,
        "Bytes that wait for a client which does not read; beyond, QoS 0 messages are dropped and counted"
    ),
    number!(
        "limits.session_expiry_maximum",
        0..=u32::MAX,
        settings.session_expiry_maximum,
        "Seconds that a session of any version is kept after its connection; 4,294,967,295: as long as its client asked for"
    ),
    number!(
        "limits.keep_alive_maximum",
        0..=u16::MAX,
        settings.keep_alive_maximum,
        "Seconds of the longest keep-alive of 5.0 clients, which can be told; 0: what the client asked for"
    ),
    number!(
        "limits.sys_interval_ms",
        0..=DAY_MS,
        settings.sys_interval_ms,
        "Milliseconds between two reports under $SYS; 0: none"
    ),
    Key {
        name: "limits.response_prefix",
        accepts: Accepts::Text,
        doc: "What goes before the client id in the Response Information that 5.0 clients ask for; empty: they get none",
        set: |config, value| {
            if let Value::Text(text) = value {
                config.settings.response_prefix = (!text.is_empty()).then(|| text.into());
            }
        },
        show: |config| {
            format!(
                "{:?}",
                config
                    .settings
                    .response_prefix
                    .as_deref()
                    .unwrap_or_default()
            )
        },
    },
];

/// Whether there is a section of this name.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter()
        .any(|key| key.name.split_once('.').is_some_and(|(s, _)| s == name))
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that looks most like `name`, sections left out of account where only they differ.
pub(super) fn nearest(name: &str) -> &'static str {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let section = name.split_once('.').map_or("", |(section, _)| section);
    let distance = |key: &&Key| {
        if key.accepts.is_hash() {
            // Its own name is the operator's.
            return strsim::damerau_levenshtein(section, USERS);
        }
        let whole = strsim::damerau_levenshtein(name, key.name);
        whole.min(strsim::damerau_levenshtein(&last(name), &last(key.name)))
    };
    KEYS.iter().min_by_key(distance).map_or("", |key| key.name)
}

pub(super) fn markdown() -> String {
    let default = Config::default();
    let mut text =
        String::from("| key | type | default | meaning |\n|-----|------|---------|---------|\n");
    for key in KEYS {
        let (name, accepts, value) = (key.name, key.accepts, (key.show)(&default));
        // Writing to a String cannot fail.
        let default = match value.as_str() {
            "" => "none".to_owned(),
            value => format!("`{value}`"),
        };
        let _ = writeln!(text, "| `{name}` | {accepts} | {default} | {} |", key.doc);
    }
    text
}

pub(super) fn plain(width: usize) -> String {
    let default = Config::default();
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = writeln!(text, "\n  [{section}]");
        }
        let _ = writeln!(
            text,
            "  {name} = {}    # {}",
            match (key.show)(&default).as_str() {
                "" => "\"$argon2id$...\"",
                value => value,
            },
            key.accepts
        );
        let mut column = width;
        for word in key.doc.split_whitespace() {
            if column + word.len() + 1 > width {
                let _ = write!(text, "{}        ", if column == width { "" } else { "\n" });
                column = 8;
            }
            let _ = write!(text, " {word}");
            column += word.len() + 1;
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the table shows as a default is what its own parser takes and gives back.
    #[test]
    fn every_default_is_a_valid_value_of_its_key() {
        let default = Config::default();
        for key in KEYS {
            if key.accepts.is_hash() {
                continue;
            }
            let line = format!("{} = {}", key.name, (key.show)(&default));
            let mut read = Config::from_toml(&line, "default").expect(&line);
            read.needs_data_dir = None;
            assert_eq!(format!("{read:?}"), format!("{default:?}"), "{line}");
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        for (place, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..place].iter().all(|other| other.name != key.name));
            assert!(key.doc.len() > 10 && !key.doc.contains('|'), "{}", key.name);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1_000"),
            (1_234_567, "1_234_567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn nearest_ignores_the_section_when_only_that_is_wrong() {
        for (wrong, right) in [
            ("queue_mesages", "limits.queue_messages"),
            ("limits.workers", "workers"),
            ("limit.receive_maximum", "limits.receive_maximum"),
            ("lisen", "listen"),
        ] {
            assert_eq!(nearest(wrong), right);
        }
    }
}
