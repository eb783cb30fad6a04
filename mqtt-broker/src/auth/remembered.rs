//! The users of a running broker, and which of their passwords were right a while ago.

use core::hint::black_box;
use core::time::Duration;
use std::io;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{KeyInit, Mac};
use mqtt_session::Instant;
use zeroize::Zeroizing;

use super::users::{self, Users};
use crate::core::ConnectRequest;

type Keyed = Blake2bMac<U32>;

/// The users, each with room for one remembered password: what is kept is bounded by their number.
pub(super) struct Accounts {
    /// In the order of their names.
    list: Box<[Account]>,
    /// Of this run of the broker only: what is remembered is worth nothing without it.
    key: Zeroizing<[u8; 32]>,
    remember: Duration,
}

struct Account {
    name: Box<str>,
    hash: PasswordHash,
    remembered: Mutex<Option<Remembered>>,
}

/// The keyed hash of a password that was right.
#[derive(Clone, Copy)]
struct Remembered {
    tag: [u8; 32],
    until: Instant,
}

impl core::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Accounts")
            .field("number", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// # Errors
    /// If the system gives no random numbers.
    pub(super) fn new(users: Users, remember: Duration) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        let account = |(name, hash)| Account {
            name,
            hash,
            remembered: Mutex::new(None),
        };
        Ok(Self {
            list: users.into_hashes().map(account).collect(),
            key,
            remember,
        })
    }

    /// Whether this name came with this password a while ago, and it was right. Fast enough for a worker.
    pub(super) fn remembers(&self, request: &ConnectRequest, now: Instant) -> bool {
        let (name, password) = given(request);
        let account = self.find(name);
        let remembered = account.and_then(|account| {
            let remembered = account.remembered.lock();
            *remembered.unwrap_or_else(PoisonError::into_inner)
        });
        let Some(remembered) = remembered.filter(|remembered| now < remembered.until) else {
            return false;
        };
        // In constant time.
        self.keyed(name, password)
            .is_some_and(|keyed| keyed.verify_slice(&remembered.tag).is_ok())
    }

    /// Whether the password is that of the user: slow. An unknown name costs as much as a wrong password.
    pub(super) fn check(&self, request: &ConnectRequest, now: Instant) -> bool {
        let (name, password) = given(request);
        let Some(account) = self.find(name) else {
            if let Some(decoy) = self.decoy(name) {
                black_box(users::verify(password, &decoy.hash));
            }
            return false;
        };
        let right = users::verify(password, &account.hash);
        if right
            && !self.remember.is_zero()
            && let Some(keyed) = self.keyed(name, password)
        {
            let millis = u64::try_from(self.remember.as_millis()).unwrap_or(u64::MAX);
            let remembered = Remembered {
                tag: keyed.finalize().into_bytes().into(),
                until: Instant::from_millis(now.as_millis().saturating_add(millis)),
            };
            let place = account.remembered.lock();
            *place.unwrap_or_else(PoisonError::into_inner) = Some(remembered);
        }
        right
    }

    fn find(&self, name: &str) -> Option<&Account> {
        let place = self
            .list
            .binary_search_by(|account| (*account.name).cmp(name));
        self.list.get(place.ok()?)
    }

    /// The user whose hash stands in for that of an unknown name: always the same one for a name, and nobody outside knows which, so
    /// that the time of the answer tells nothing even where hashes differ in cost.
    fn decoy(&self, name: &str) -> Option<&Account> {
        let tag = self.keyed(name, b"")?.finalize().into_bytes();
        let number = tag
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let place = number.checked_rem(self.list.len() as u64)?;
        self.list.get(usize::try_from(place).ok()?)
    }

    fn keyed(&self, name: &str, password: &[u8]) -> Option<Keyed> {
        // A key of 32 bytes is always taken.
        let keyed = Keyed::new_from_slice(&*self.key).ok()?;
        // The length keeps name and password apart.
        let length = (name.len() as u64).to_le_bytes();
        Some(
            keyed
                .chain_update(length)
                .chain_update(name)
                .chain_update(password),
        )
    }
}

fn given(request: &ConnectRequest) -> (&str, &[u8]) {
    (
        request.user_name.as_deref().unwrap_or_default(),
        request.password.as_deref().unwrap_or_default(),
    )
}
