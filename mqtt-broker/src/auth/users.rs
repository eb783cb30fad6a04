//! Who is known: names with the Argon2 hashes of their passwords, checked when they are read.

use core::fmt;
use std::collections::BTreeMap;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params};

/// The most bytes that MQTT can carry as a user name or a password.
const LONGEST: usize = 65_535;
/// The most that one check may cost: KiB of memory times passes, some seconds of one core.
const COSTLIEST: u64 = 4 * 1024 * 1024;

/// User names with the hashes of their passwords: section `[users]` of the configuration file.
///
/// ```
/// use mqtt_broker::{Users, hash_password};
///
/// let mut users = Users::new();
/// users.insert("alice", &hash_password(b"correct horse")?)?;
/// assert!(users.insert("bob", "a password where a hash should be").is_err());
/// # Ok::<(), mqtt_broker::UserError>(())
/// ```
#[derive(Clone, Default)]
pub struct Users {
    hashes: BTreeMap<Box<str>, PasswordHash>,
}

/// Names and hashes are nobody's business in a log.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("number", &self.len())
            .finish_non_exhaustive()
    }
}

impl Users {
    /// Nobody: every client that gives a user name is refused.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hashes: BTreeMap::new(),
        }
    }

    /// Adds a user, or replaces the password of one. `hash` is a PHC string of Argon2, as [`hash_password`] makes it.
    ///
    /// # Errors
    /// If no client could send the name, or the string is no hash, is not of Argon2, or costs too much to check.
    pub fn insert(&mut self, name: &str, hash: &str) -> Result<(), UserError> {
        if name.len() > LONGEST || name.contains('\0') {
            return Err(UserError::Name);
        }
        self.hashes.insert(name.into(), parse(hash)?);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// All of them, by name.
    pub(super) fn into_hashes(self) -> impl Iterator<Item = (Box<str>, PasswordHash)> {
        self.hashes.into_iter()
    }
}

/// Why somebody cannot be a user. The messages never show what was given in place of a hash: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// A name that MQTT cannot carry.
    #[error("no client can send this user name: it has at most 65,535 bytes and no U+0000")]
    Name,
    /// A password that MQTT cannot carry, or none at all.
    #[error("a password has 1 to 65,535 bytes")]
    Password,
    /// Not a PHC string, or an incomplete one.
    #[error(
        "this is no password hash: `mqtt-broker hash-password` makes one, which begins with $argon2id$"
    )]
    NotAHash,
    /// A hash of another kind.
    #[error(
        "this is a hash of `{0}`, and only those of argon2id, argon2i and argon2d can be checked: `mqtt-broker hash-password` makes one"
    )]
    Algorithm(String),
    /// A hash whose parameters Argon2 does not have.
    #[error(
        "this hash has parameters that Argon2 does not take: `mqtt-broker hash-password` makes a new one"
    )]
    Parameters,
    /// A hash that takes too long to check.
    #[error(
        "checking this hash costs {memory_kib} KiB in {passes} passes, and the product may be {COSTLIEST} at most: make a new one with `mqtt-broker hash-password`"
    )]
    Cost {
        /// Its memory.
        memory_kib: u32,
        /// How often it goes through it.
        passes: u32,
    },
    /// The operating system gave no random bytes for a salt.
    #[error("the system gives no random numbers")]
    Random,
}

fn parse(text: &str) -> Result<PasswordHash, UserError> {
    let hash = PasswordHash::new(text).map_err(|_| UserError::NotAHash)?;
    if Algorithm::new(hash.algorithm.as_str()).is_err() {
        return Err(UserError::Algorithm(hash.algorithm.as_str().to_owned()));
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(UserError::NotAHash);
    }
    let known = hash
        .version
        .is_none_or(|version| argon2::Version::try_from(version).is_ok());
    let parameters = Params::try_from(&hash).ok().filter(|_| known);
    let parameters = parameters.ok_or(UserError::Parameters)?;
    let (memory_kib, passes) = (parameters.m_cost(), parameters.t_cost());
    if u64::from(memory_kib) * u64::from(passes) > COSTLIEST {
        return Err(UserError::Cost { memory_kib, passes });
    }
    Ok(hash)
}

/// The hash of a password with a new random salt, as a PHC string: Argon2id with 19 MiB, 2 passes and 1 lane.
///
/// Takes some ten milliseconds of one core, on purpose.
///
/// # Errors
/// If the password is empty or longer than MQTT can carry, or the system gives no random numbers.
pub fn hash_password(password: &[u8]) -> Result<String, UserError> {
    if password.is_empty() || password.len() > LONGEST {
        return Err(UserError::Password);
    }
    let hash = Argon2::default().hash_password(password);
    hash.map(|hash| hash.to_string())
        .map_err(|_| UserError::Random)
}

/// Whether this is the password of `hash`: slow.
pub(super) fn verify(password: &[u8], hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password, hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$3HwBd1eILDq8Pyo8aFI3BA";

    #[test]
    fn a_hash_is_of_its_password_and_no_other() {
        let hash = hash_password(b"correct horse").expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let parsed = parse(&hash).expect("its own hash");
        assert!(verify(b"correct horse", &parsed));
        assert!(!verify(b"correct hors", &parsed));
        assert_ne!(hash, hash_password(b"correct horse").expect("another salt"));
        assert_eq!(hash_password(b""), Err(UserError::Password));
        assert_eq!(hash_password(&[0; 65_536]), Err(UserError::Password));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_shown() {
        for text in [
            "",
            "secret",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=8,t=1,p=1",
            "$argon2id$secret",
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error, UserError::NotAHash, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
        let other = CHEAP.replace("argon2id", "scrypt");
        assert_eq!(parse(&other), Err(UserError::Algorithm("scrypt".into())));
        for wrong in [
            "m=4,t=1,p=1",
            "m=8,t=0,p=1",
            "m=8,t=1,p=1,x=1",
            "m=8,t=1,p=2",
        ] {
            let text = CHEAP.replace("m=8,t=1,p=1", wrong);
            assert_eq!(parse(&text), Err(UserError::Parameters), "{wrong}");
        }
        let text = CHEAP.replace("v=19", "v=20");
        assert_eq!(parse(&text), Err(UserError::Parameters));
    }

    #[test]
    fn a_hash_that_costs_too_much_is_refused() {
        for (parameters, good) in [("m=1048576,t=4", true), ("m=1048576,t=5", false)] {
            let text = CHEAP.replace("m=8,t=1", parameters);
            assert_eq!(parse(&text).is_ok(), good, "{parameters}");
        }
    }

    #[test]
    fn names_are_those_that_a_client_can_send() {
        let mut users = Users::new();
        assert_eq!(users.insert("a\0b", CHEAP), Err(UserError::Name));
        assert_eq!(
            users.insert(&"a".repeat(65_536), CHEAP),
            Err(UserError::Name)
        );
        assert_eq!(users.insert("äöü €", CHEAP), Ok(()));
        assert_eq!((users.len(), users.is_empty()), (1, false));
        assert_eq!(format!("{users:?}"), "Users { number: 1, .. }");
    }
}
