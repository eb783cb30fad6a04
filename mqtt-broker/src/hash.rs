//! `mqtt-broker hash-password`: from a password to the line of the configuration.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use mqtt_broker::{UserError, hash_password};
use zeroize::Zeroizing;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordFailure {
    #[error("the password cannot be read")]
    Read(#[source] io::Error),
    #[error("the hash cannot be written")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Given(#[from] Refused),
    #[error(transparent)]
    Hash(UserError),
}

/// What is wrong with what was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the two passwords differ: nothing was done")]
    Differ,
    #[error("there is more than one line: the password is one line, without its line end")]
    Lines,
    #[error(transparent)]
    Password(UserError),
}

/// Reads a password, prints its hash, and tells where it goes.
pub(crate) fn run(user: Option<&str>) -> Result<(), PasswordFailure> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        from_terminal()?
    } else {
        one_line(stdin.lock())?
    };
    let hash = hash_password(&password).map_err(|error| match error {
        UserError::Password => Refused::Password(error).into(),
        error => PasswordFailure::Hash(error),
    })?;
    writeln!(io::stdout(), "{hash}").map_err(PasswordFailure::Write)?;
    let line = line(user.unwrap_or("NAME"), &hash);
    // Only the hash has to arrive.
    let _ = writeln!(
        io::stderr(),
        "Put this into the configuration file, below [users]:\n{line}"
    );
    Ok(())
}

fn from_terminal() -> Result<Zeroizing<Vec<u8>>, PasswordFailure> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt)
            .map(|text| Zeroizing::new(text.into_bytes()))
            .map_err(PasswordFailure::Read)
    };
    let password = ask("Password: ")?;
    if password != ask("The same again: ")? {
        return Err(Refused::Differ.into());
    }
    Ok(password)
}

fn one_line(input: impl BufRead) -> Result<Zeroizing<Vec<u8>>, PasswordFailure> {
    // Longer than any password, so that nothing grows without end.
    let mut input = input.take(70_000);
    let mut line = Zeroizing::new(Vec::with_capacity(70_000));
    input
        .read_until(b'\n', &mut line)
        .map_err(PasswordFailure::Read)?;
    let mut more = [0];
    let more = input.read(&mut more).map_err(PasswordFailure::Read)?;
    if more > 0 {
        return Err(Refused::Lines.into());
    }
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    Ok(line)
}

/// The line of the configuration; a hash needs no escapes.
fn line(user: &str, hash: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !user.is_empty() && user.chars().all(bare) {
        return format!("{user} = \"{hash}\"");
    }
    let mut name = String::new();
    for c in user.chars() {
        match c {
            '"' | '\\' => name.extend(['\\', c]),
            c if c.is_control() => name.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => name.push(c),
        }
    }
    format!("\"{name}\" = \"{hash}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_broker::Config;

    #[test]
    fn a_pipe_gives_one_line_without_its_end() {
        for (input, password) in [
            (&b"secret"[..], &b"secret"[..]),
            (b"secret\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b" with spaces \n", b" with spaces "),
            (b"", b""),
            (b"\xff\n", b"\xff"),
        ] {
            assert_eq!(**one_line(input).expect("one line"), *password);
        }
        assert!(one_line(&b"two\nlines"[..]).is_err());
        assert!(one_line(&b"two\n\n"[..]).is_err());
    }

    #[test]
    fn the_line_is_one_that_the_configuration_takes() {
        let hash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$3HwBd1eILDq8Pyo8aFI3BA";
        for user in ["alice", "a.b", "", "o\"o\\o", "tab\t", "äöü"] {
            let text = format!("[users]\n{}", line(user, hash));
            let config = Config::from_toml(&text, "test").expect(&text);
            assert_eq!(config.users.map(|users| users.len()), Some(1));
        }
    }
}
