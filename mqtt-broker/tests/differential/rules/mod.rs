//! How each known difference is recognised and taken out of both views.

pub(crate) mod endings;
pub(crate) mod groups;
pub(crate) mod handshakes;
pub(crate) mod limits;
pub(crate) mod subscriptions;

use crate::judge::{Case, Explained};
use crate::trace::{Manner, Step};
use crate::view::{Event, Got, Seen};

/// `GoesOn` if any was found.
pub(super) fn goes_on(found: bool) -> Explained {
    if found {
        Explained::GoesOn
    } else {
        Explained::No
    }
}

/// Takes the first event like this one out.
pub(super) fn take(seen: &mut Seen, like: impl Fn(&Event) -> bool) -> Option<Event> {
    let at = seen.iter().position(like)?;
    Some(seen.remove(at))
}

/// Takes a message out, with the PUBREL that came of it.
pub(super) fn take_message(seen: &mut Seen, got: &Got) -> bool {
    let found = take(seen, |event| event.got() == Some(got)).is_some();
    if found && got.qos == 2 {
        let key = format!("{} {}", got.topic, got.payload);
        take(seen, |event| *event == Event::Release(Some(key.clone())));
    }
    found
}

/// Messages of one that the other did not send, in order.
pub(super) fn only(one: &Seen, other: &Seen) -> Vec<Got> {
    let mut other = other.clone();
    let mut only = Vec::new();
    for got in one.iter().filter_map(Event::got) {
        if take(&mut other, |event| event.got() == Some(got)).is_none() {
            only.push(got.clone());
        }
    }
    only
}

/// What differs at a client, and which of the two views it is in.
pub(super) fn differing(case: &Case<'_>, client: usize) -> Vec<(Side, Got)> {
    let (ours, theirs) = (&case.ours[client], &case.theirs[client]);
    let ours_only = only(ours, theirs).into_iter().map(|got| (Side::Ours, got));
    let theirs_only = only(theirs, ours)
        .into_iter()
        .map(|got| (Side::Theirs, got));
    ours_only.chain(theirs_only).collect()
}

/// One of the two views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
}

/// Takes a message out of one of the views, with the PUBREL that came of it.
pub(super) fn take_out(case: &mut Case<'_>, client: usize, side: Side, got: &Got) {
    let view = match side {
        Side::Ours => &mut case.ours,
        Side::Theirs => &mut case.theirs,
    };
    take_message(&mut view[client], got);
}

/// A difference in what was sent lasts as long as it is not acknowledged.
pub(super) fn ends_if_unanswered(case: &Case<'_>, client: usize, found: bool) -> Explained {
    let known = &case.past.clients[client];
    let manner = match case.step {
        Step::Connect(of, hello) if *of == client => Some(hello.manner),
        Step::Answer(of, manner) if *of == client => Some(*manner),
        _ => known.manner,
    };
    let limited = known
        .hello
        .as_ref()
        .is_some_and(|hello| hello.receive_maximum.is_some());
    match found {
        false => Explained::No,
        true if manner == Some(Manner::AtOnce) && !limited => Explained::GoesOn,
        true => Explained::Ends,
    }
}
