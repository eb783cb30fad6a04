//! What is printed at the start.

use core::net::SocketAddr;
use std::io::{self, Write};

/// What the broker was told that its users should know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Clients give a user name and password.
    pub(crate) users: bool,
    /// There is a data directory.
    pub(crate) kept: bool,
}

/// Prints where the broker listens, whether anything is kept, and the first steps when it is there for this machine only.
pub(crate) fn greet(addresses: &[SocketAddr], about: About) {
    // Somebody who closed our output does not want to read it.
    let _ = io::stdout().write_all(greeting(addresses, about).as_bytes());
}

fn greeting(addresses: &[SocketAddr], about: About) -> String {
    let mut text = String::new();
    for address in addresses {
        text.push_str(&format!("listening on {address} (mqtt)\n"));
    }
    if !about.kept {
        text.push_str(
            "Nothing is kept over a restart; `--data-dir DIR` keeps sessions, queues and retained messages.\n",
        );
    }
    let Some(first) = addresses.first() else {
        return text;
    };
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        return text;
    }
    let mut options = String::new();
    if first.ip().to_string() != "127.0.0.1" {
        options.push_str(&format!("-h {} ", first.ip()));
    }
    if first.port() != 1883 {
        options.push_str(&format!("-p {} ", first.port()));
    }
    let (anonymous, how) = if about.users {
        options.push_str("-u NAME -P PASSWORD ");
        ("", ", with user name and password")
    } else {
        (" --allow-anonymous", "")
    };
    text.push_str(&format!(
        "Only this machine can connect{how}; `--listen 0.0.0.0:{}{anonymous}` lets others in. Try in other terminals:\n\
         \x20 mosquitto_sub {options}-t 'demo/#' -v\n\
         \x20 mosquitto_pub {options}-t demo/hello -m 'hello, world'\n\
         \x20 mosquitto_pub {options}-t demo/state -m 'kept for those who come later' -r\n\
         The tool `mqtt` beside this broker takes the same options: mqtt sub, mqtt pub.\n",
        first.port()
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: About = About {
        users: false,
        kept: true,
    };

    #[test]
    fn loopback_is_greeted_with_first_steps() {
        let usual = greeting(
            &[
                "127.0.0.1:1883".parse().unwrap(),
                "[::1]:1883".parse().unwrap(),
            ],
            KEPT,
        );
        assert!(usual.starts_with(
            "listening on 127.0.0.1:1883 (mqtt)\nlistening on [::1]:1883 (mqtt)\nOnly this machine"
        ));
        assert!(usual.contains("mosquitto_sub -t 'demo/#' -v"));
        let other = greeting(&["127.0.0.1:1999".parse().unwrap()], KEPT);
        assert_eq!(other.matches("-p 1999").count(), 3);
        let open = greeting(&["0.0.0.0:1883".parse().unwrap()], KEPT);
        assert_eq!(open, "listening on 0.0.0.0:1883 (mqtt)\n");
        let users = greeting(
            &["127.0.0.1:1883".parse().unwrap()],
            About {
                users: true,
                ..KEPT
            },
        );
        assert_eq!(users.matches("-u NAME -P PASSWORD").count(), 3);
        assert!(!users.contains("anonymous"), "{users}");
    }

    #[test]
    fn that_nothing_is_kept_is_said() {
        let about = About {
            kept: false,
            ..KEPT
        };
        for address in ["127.0.0.1:1883", "0.0.0.0:1883"] {
            let said = greeting(&[address.parse().unwrap()], about);
            let second = said.lines().nth(1).unwrap();
            assert!(second.starts_with("Nothing is kept over a restart; `--data-dir DIR`"));
        }
    }
}
