//! User names and passwords: who is known, and the check that a worker never waits for.
//!
//! ```text
//!   CONNECT ──▶ nothing given?        ──▶ refused, or let in where `allow_anonymous` says so
//!               name and password     ──▶ remembered as right?  ──▶ right
//!                                         room in the queue?    ──▶ thread: Argon2 ──▶ right or wrong
//!                                         none, or too late     ──▶ busy
//!   right ──▶ the hooks, on the worker
//! ```
//!
//! Argon2 takes milliseconds and megabytes on purpose, so its runs are few at a time, on threads of their own, from a queue that
//! has an end. What was right once is remembered as a keyed hash, so that devices which come back all at once do not queue at all.

mod pool;
mod remembered;
mod users;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::thread;

use mqtt_codec::{ReasonCode, Version};
use zeroize::Zeroize;

pub use self::users::{UserError, Users, hash_password};

use self::pool::{Job, Pool};
use self::remembered::Accounts;
use crate::core::{ConnectRequest, Decision, QuestionId, Shared};
use crate::worker::{Clock, Inbox, Item};

/// How passwords are checked: section `[passwords]` of the configuration file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PasswordSettings {
    /// Threads that check passwords; 0, the default, is one for every two cores. Each needs the memory of one hash, usually 19 MiB.
    pub threads: u16,
    /// Passwords that may wait for a thread, at least 1; more are told "server busy" and counted; default 1,000.
    pub queue: u32,
    /// The longest wait for a thread; who waited longer is told "server busy"; default 10 s.
    pub wait: Duration,
    /// How long a password that was right is let in without another run of Argon2; zero: never; default a week.
    pub remember: Duration,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            threads: 0,
            queue: 1_000,
            wait: Duration::from_secs(10),
            remember: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What the check of a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Right,
    Wrong,
    /// It was not checked: too many wait, or it waited too long.
    Busy,
}

impl Finding {
    /// What the client is told, if it is refused.
    pub(crate) const fn refusal(self, version: Version) -> Option<ReasonCode> {
        match self {
            Self::Right => None,
            Self::Wrong => Some(ReasonCode::BAD_USER_NAME_OR_PASSWORD),
            Self::Busy if version.is_v5() => Some(ReasonCode::SERVER_BUSY),
            // The nearest code that has a number there.
            Self::Busy => Some(ReasonCode::SERVER_UNAVAILABLE),
        }
    }
}

/// The gate in front of the hooks of a broker that has users.
#[derive(Debug)]
pub(crate) struct Passwords {
    accounts: Arc<Accounts>,
    pool: Pool,
    allow_anonymous: bool,
    clock: Clock,
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system refuses a thread or a random key.
    pub(crate) fn start(
        users: Users,
        settings: &PasswordSettings,
        allow_anonymous: bool,
        shared: Arc<Shared>,
        clock: Clock,
    ) -> io::Result<Self> {
        let accounts = Arc::new(Accounts::new(users, settings.remember)?);
        let threads = match settings.threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2,
            number => usize::from(number),
        };
        let pool = Pool::start(
            Arc::clone(&accounts),
            threads.max(1),
            settings,
            shared,
            clock,
        )?;
        Ok(Self {
            accounts,
            pool,
            allow_anonymous,
            clock,
        })
    }

    /// Whether a password has to be checked before anybody else is asked. The steps of an exchange of AUTH packets come after that.
    pub(crate) const fn has_to_check(request: &ConnectRequest) -> bool {
        request.authentication_step == 0
            && request.user_name.is_some()
            && request.password.is_some()
    }

    /// What can be said at once; `None`: the hooks may be asked.
    pub(crate) fn at_once(&self, request: &ConnectRequest) -> Option<Decision> {
        if Self::has_to_check(request) {
            return Some(Decision::Ask);
        }
        if request.authentication_step > 0 {
            return None;
        }
        match (&request.user_name, &request.password) {
            (None, _) if self.allow_anonymous => None,
            (None, None) => Some(Decision::Refuse(ReasonCode::NOT_AUTHORIZED)),
            _ => Some(Decision::Refuse(ReasonCode::BAD_USER_NAME_OR_PASSWORD)),
        }
    }

    /// Has a password checked; the finding comes through the inbox in any case.
    pub(crate) fn check(&self, inbox: &Arc<Inbox>, question: QuestionId, request: ConnectRequest) {
        let request = Box::new(request);
        let now = self.clock.now();
        if self.accounts.remembers(&request, now) {
            inbox.send(Item::Checked(question, request, Finding::Right));
            return;
        }
        self.pool.take(Job {
            inbox: Arc::clone(inbox),
            question,
            request,
            since: now,
        });
    }
}

/// Overwrites the password: nobody needs it any more.
pub(crate) fn wipe(request: &mut ConnectRequest) {
    if let Some(mut password) = request.password.take() {
        password.zeroize();
    }
}
