//! Known differences in what a client's limits mean: Receive Maximum, Maximum Packet Size.

use super::{Side, differing, take, take_out};
use crate::judge::{Case, Explained};
use crate::trace::{Manner, Step, short};
use crate::view::{Copy, Event, Got};

pub(crate) fn too_large_is_as_good_as_sent(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let hello = match case.step {
            Step::Connect(of, hello) if *of == client => Some(hello),
            _ => case.past.clients[client].hello.as_ref(),
        };
        let limited = hello.is_some_and(|hello| hello.maximum_packet_size.is_some());
        if !limited || !case.past.large {
            continue;
        }
        // One that was sent, and is too large for the new connection.
        let theirs = case.theirs[client].clone();
        let of_ours = |event: &Event| matches!(event, Event::Release(_)) && !theirs.contains(event);
        while take(&mut case.ours[client], of_ours).is_some() {
            explained = Explained::Ends;
        }
        // What Mosquitto is late with, it may send later; but only a window makes it late.
        let manner = hello.is_some_and(|hello| hello.manner != Manner::AtOnce);
        let window = hello.is_some_and(|hello| hello.receive_maximum.is_some());
        let waits = window || manner || case.past.clients[client].is_slow();
        for (side, got) in differing(case, client) {
            let mut messages = case.past.messages(&got);
            let large = messages.any(|(_, message)| message.payload != short(&message.payload));
            if got.qos > 0 && (waits || large) {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn window_of_a_resumed_session(case: &mut Case<'_>) -> Explained {
    let Step::Connect(client, hello) = case.step else {
        return Explained::No;
    };
    if hello.receive_maximum.is_none() {
        return Explained::No;
    }
    let mut explained = Explained::No;
    for (side, got) in differing(case, *client) {
        if side == Side::Theirs && got.qos > 0 && got.delivery == Copy::Again {
            take_out(case, *client, side, &got);
            explained = Explained::Ends;
        }
    }
    explained
}

pub(crate) fn at_most_once_before_the_window_opens(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let hello = case.past.clients[client].hello.as_ref();
        let limited = hello.is_some_and(|hello| hello.receive_maximum.is_some());
        for (side, got) in differing(case, client) {
            if limited && side == Side::Theirs && got.qos == 0 && got.retain {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn refusal_opens_the_window(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let known = &case.past.clients[client];
        let hello = known.hello.as_ref();
        let limited = hello.is_some_and(|hello| hello.receive_maximum.is_some());
        let refuses = known.manner == Some(Manner::Refuse);
        for (side, got) in differing(case, client) {
            if limited && refuses && side == Side::Ours && got.qos > 0 {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn first_retained_in_a_window(case: &mut Case<'_>) -> Explained {
    let Step::Subscribe(client, ..) = case.step else {
        return Explained::No;
    };
    let hello = case.past.clients[*client].hello.as_ref();
    let limited = hello.is_some_and(|hello| hello.receive_maximum.is_some());
    let all = differing(case, *client);
    let retained = |got: &Got| got.retain && got.qos > 0 && got.delivery == Copy::First;
    let count = |side| all.iter().filter(|(of, _)| *of == side).count();
    // As many of one as of the other: the window is as large.
    if !limited
        || !all.iter().all(|(_, got)| retained(got))
        || count(Side::Ours) != count(Side::Theirs)
    {
        return Explained::No;
    }
    let mut explained = Explained::No;
    for (side, got) in all {
        take_out(case, *client, side, &got);
        explained = Explained::Ends;
    }
    explained
}
