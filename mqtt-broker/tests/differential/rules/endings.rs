//! Known differences in how connections, sessions and messages end: take-over, wills, expiry.

use super::{differing, ends_if_unanswered, goes_on, only, take, take_message, take_out};
use crate::judge::{Case, Explained};
use crate::trace::{Message, SOON_S, Step, short};
use crate::view::{Copy, Event, Got};

pub(crate) fn will_at_takeover(case: &mut Case<'_>) -> Explained {
    // Who was away misses it later, and whoever subscribes if it was to be retained.
    let missed = |got: &Got| {
        let mut wills = case.past.wills_at_takeover.iter();
        wills.any(|will| {
            let retained = will.retain && got.retain;
            will.topic == got.topic && (retained || short(&will.payload) == got.payload)
        })
    };
    let mut later = Explained::No;
    for client in 0..case.ours.len() {
        for (side, got) in differing(case, client) {
            if missed(&got) {
                take_out(case, client, side, &got);
                later = Explained::Ends;
            }
        }
    }
    later.max(will_at_this_takeover(case))
}

fn will_at_this_takeover(case: &mut Case<'_>) -> Explained {
    let Step::Connect(client, _) = case.step else {
        return Explained::No;
    };
    let known = &case.past.clients[*client];
    let will = known.hello.as_ref().and_then(|hello| hello.will.as_ref());
    // With a delay there is none, as long as the session goes on.
    let Some((will, None | Some(0))) = will.filter(|_| known.connected) else {
        return Explained::No;
    };
    let mut explained = Explained::No;
    for receiver in 0..case.ours.len() {
        for got in only(&case.ours[receiver], &case.theirs[receiver]) {
            if got.topic == will.topic && got.payload == short(&will.payload) {
                take_message(&mut case.ours[receiver], &got);
                explained = explained.max(ends_if_unanswered(case, receiver, true));
                if will.retain {
                    explained = Explained::Ends;
                }
            }
        }
    }
    explained
}

pub(crate) fn begun_does_not_expire(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        // The half of a handshake is sent again too.
        let soon = case.past.short_lived();
        let theirs = case.theirs[client].clone();
        let half = |event: &Event| {
            matches!(event, Event::Release(Some(message)) if soon.contains(message))
                && !theirs.contains(event)
        };
        while case.past.waited && take(&mut case.ours[client], half).is_some() {
            explained = Explained::Ends;
        }
        for got in only(&case.ours[client], &case.theirs[client]) {
            let soon = |(_, message): &&(usize, Message)| message.expiry == Some(SOON_S);
            let soon = case.past.messages(&got).find(soon).is_some();
            if case.past.waited && soon && got.delivery == Copy::Again {
                take_message(&mut case.ours[client], &got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn last_words_to_the_old_connection(case: &mut Case<'_>) -> Explained {
    let Step::Connect(client, _) = case.step else {
        return Explained::No;
    };
    let found = take(&mut case.theirs[*client], |event| {
        matches!(event, Event::OldGot(_))
    })
    .is_some();
    goes_on(found)
}

pub(crate) fn delayed_will_of_an_ended_session(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    let now = case.past.early_wills(case.step);
    // Where it was to be retained, Mosquitto still has an older message.
    let early = |got: &Got| {
        let mut wills = now.iter().chain(&case.past.early);
        wills.any(|(topic, payload)| *topic == got.topic && (got.retain || *payload == got.payload))
    };
    for client in 0..case.ours.len() {
        for (side, got) in differing(case, client) {
            if early(&got) {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}
