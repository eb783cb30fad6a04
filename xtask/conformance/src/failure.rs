//! How a case ends when it does not pass, and the checks that end it.

use core::fmt::Debug;
use core::panic::Location;

/// What the broker did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the specification asks for.
    pub expected: String,
    /// What the broker did.
    pub got: String,
    /// File and line of the check in the source of the case.
    pub at: String,
    /// The last packets of the case before that, oldest first, as `client > sent` and `client < received`.
    pub trace: Vec<String>,
}

/// Why a case ended before its last line.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The broker broke a rule.
    Failed(Box<Failure>),
    /// The broker announces that it lacks what the case is about, and may.
    NotApplicable(String),
}

/// How a step of a case went.
pub(crate) type Step<T = ()> = Result<T, Stop>;

/// The failure of a check of the caller.
#[track_caller]
pub(crate) fn failed<T>(expected: impl Into<String>, got: impl Into<String>) -> Step<T> {
    let at = Location::caller();
    Err(Stop::Failed(Box::new(Failure {
        expected: expected.into(),
        got: got.into(),
        at: format!("{}:{}", at.file(), at.line()),
        trace: Vec::new(),
    })))
}

/// Goes on if `holds`, with a failure that names both sides otherwise.
#[track_caller]
pub(crate) fn check(holds: bool, expected: &str, got: &dyn Debug) -> Step {
    if holds {
        Ok(())
    } else {
        failed(expected, format!("{got:?}"))
    }
}

/// Goes on if `got` is `expected`; `what` names the thing compared.
#[track_caller]
pub(crate) fn same<T: Debug + PartialEq<U>, U: Debug>(what: &str, got: T, expected: U) -> Step {
    if got == expected {
        Ok(())
    } else {
        failed(format!("{what}: {expected:?}"), format!("{what}: {got:?}"))
    }
}
