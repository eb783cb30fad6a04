//! How each known difference is recognised and taken out of both views.

use mqtt_codec::QoS;

use crate::judge::{Case, Explained};
use crate::past::{Known, Subscription, matches, shared_filter};
use crate::trace::{After, Manner, Message, SOON_S, Step};
use crate::view::{Answer, Copy, Event, Got, Seen, level};

/// `GoesOn` if any was found.
fn goes_on(found: bool) -> Explained {
    if found {
        Explained::GoesOn
    } else {
        Explained::No
    }
}

/// Takes the first event like this one out.
fn take(seen: &mut Seen, like: impl Fn(&Event) -> bool) -> Option<Event> {
    let at = seen.iter().position(like)?;
    Some(seen.remove(at))
}

/// Takes a message out, with the PUBREL that came of it.
fn take_message(seen: &mut Seen, got: &Got) -> bool {
    let found = take(seen, |event| event.got() == Some(got)).is_some();
    if found && got.qos == 2 {
        let key = format!("{} {}", got.topic, got.payload);
        take(seen, |event| *event == Event::Release(Some(key.clone())));
    }
    found
}

/// Messages of one that the other did not send, in order.
fn only(one: &Seen, other: &Seen) -> Vec<Got> {
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
fn differing(case: &Case<'_>, client: usize) -> Vec<(Side, Got)> {
    let (ours, theirs) = (&case.ours[client], &case.theirs[client]);
    let ours_only = only(ours, theirs).into_iter().map(|got| (Side::Ours, got));
    let theirs_only = only(theirs, ours)
        .into_iter()
        .map(|got| (Side::Theirs, got));
    ours_only.chain(theirs_only).collect()
}

/// One of the two views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

/// Takes a message out of one of the views, with the PUBREL that came of it.
fn take_out(case: &mut Case<'_>, client: usize, side: Side, got: &Got) {
    let view = match side {
        Side::Ours => &mut case.ours,
        Side::Theirs => &mut case.theirs,
    };
    take_message(&mut view[client], got);
}

pub(crate) fn no_matching_subscribers(case: &mut Case<'_>) -> Explained {
    const NOBODY: u8 = 0x10;
    let mut found = false;
    let Case { ours, theirs, .. } = case;
    for (ours, theirs) in ours.iter_mut().zip(theirs) {
        for (ours, theirs) in ours.iter_mut().zip(theirs) {
            let (Event::Answer(a, one, ours), Event::Answer(b, other, theirs)) = (ours, theirs)
            else {
                continue;
            };
            let is_answer = matches!(a, Answer::PubAck | Answer::PubRec);
            if is_answer && a == b && one == other && ours != theirs {
                for codes in [ours, theirs] {
                    if *codes == [NOBODY] {
                        *codes = vec![0];
                        found = true;
                    }
                }
            }
        }
    }
    goes_on(found)
}

pub(crate) fn takeover_is_told(case: &mut Case<'_>) -> Explained {
    const TAKEN_OVER: u8 = 0x8e;
    let Step::Connect(client, _) = case.step else {
        return Explained::No;
    };
    let told = |event: &Event| *event == Event::OldDisconnect(TAKEN_OVER);
    if case.theirs[*client].iter().any(told) {
        return Explained::No;
    }
    goes_on(take(&mut case.ours[*client], told).is_some())
}

pub(crate) fn when_qos_2_is_passed_on(case: &mut Case<'_>) -> Explained {
    let mut found = false;
    // Mosquitto makes up for it.
    for client in 0..case.theirs.len() {
        for got in only(&case.theirs[client], &case.ours[client]) {
            let of = |(to, sent): &(usize, Got)| *to == client && *sent == got;
            if let Some(at) = case.owed.iter().position(of) {
                case.owed.remove(at);
                take_message(&mut case.theirs[client], &got);
                found = true;
            }
        }
    }
    if let Step::Publish(_, message, After::Hold | After::Lose) = case.step
        && message.qos == QoS::ExactlyOnce
    {
        for client in 0..case.ours.len() {
            for got in only(&case.ours[client], &case.theirs[client]) {
                if got.topic == message.topic && message.payload.starts_with(&got.payload) {
                    take_message(&mut case.ours[client], &got);
                    case.owed.push((client, got));
                    found = true;
                }
            }
        }
    }
    goes_on(found)
}

pub(crate) fn shared_gets_no_retained(case: &mut Case<'_>) -> Explained {
    let Step::Subscribe(client, filters, _) = case.step else {
        return Explained::No;
    };
    let shared: Vec<&str> = filters
        .iter()
        .filter_map(|(filter, _)| shared_filter(filter))
        .collect();
    let mut found = false;
    for got in only(&case.theirs[*client], &case.ours[*client]) {
        let by_share = shared.iter().any(|filter| matches(filter, &got.topic));
        if got.retain && got.delivery == Copy::First && by_share {
            take_message(&mut case.theirs[*client], &got);
            found = true;
        }
    }
    ends_if_unanswered(case, *client, found)
}

/// A difference in what was sent lasts as long as it is not acknowledged.
fn ends_if_unanswered(case: &Case<'_>, client: usize, found: bool) -> Explained {
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

pub(crate) fn options_are_replaced(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let known = &case.past.clients[client];
        let changed = |subscription: &&Subscription| {
            subscription.options.no_local != subscription.first.no_local
        };
        // Each such subscription makes one copy more or less.
        let mut local = known.subscriptions.values().filter(changed).count();
        let all = differing(case, client);
        for (side, got) in &all {
            let changed = |f: fn(&mqtt_codec::SubscriptionOptions) -> bool| {
                known
                    .matching(&got.topic)
                    .chain(known.shared(&got.topic))
                    .any(|(_, subscription)| f(&subscription.options) != f(&subscription.first))
            };
            let flipped = Got {
                retain: !got.retain,
                ..got.clone()
            };
            let publisher = case
                .past
                .messages
                .get(&got.payload)
                .map(|(client, _)| *client);
            let other = match side {
                Side::Ours => Side::Theirs,
                Side::Theirs => Side::Ours,
            };
            if changed(|options| options.retain_as_published)
                && all.contains(&(other, flipped.clone()))
            {
                if *side == Side::Ours {
                    take_out(case, client, Side::Ours, got);
                    take_out(case, client, Side::Theirs, &flipped);
                }
                explained = Explained::Ends;
            } else if publisher == Some(client) && local > 0 && changed(|options| options.no_local)
            {
                local -= 1;
                take_out(case, client, *side, got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

/// What a subscription gives of a message.
fn copy_by(subscription: &Subscription, message: &Message, pattern: &Got) -> Got {
    Got {
        qos: level(message.qos.min(subscription.options.qos)),
        retain: message.retain && subscription.options.retain_as_published,
        ids: subscription.id.into_iter().collect(),
        ..pattern.clone()
    }
}

/// The copies that a client is to get of a message if each of its subscriptions gives one.
fn copies(known: &Known, own: bool, message: &Message, pattern: &Got) -> Vec<Got> {
    known
        .matching(&message.topic)
        .filter(|(_, subscription)| !(own && subscription.options.no_local))
        .map(|(_, subscription)| copy_by(subscription, message, pattern))
        .collect()
}

/// The one copy that stands for all.
fn merged(copies: &[Got]) -> Option<Got> {
    let mut ids: Vec<u32> = copies.iter().flat_map(|copy| copy.ids.clone()).collect();
    ids.sort_unstable();
    Some(Got {
        qos: copies.iter().map(|copy| copy.qos).max()?,
        retain: copies.iter().any(|copy| copy.retain),
        ids,
        ..copies.first()?.clone()
    })
}

/// For each message that a client got in both runs by two or more subscriptions: the copies they give, and what `explain` says.
fn overlapping(
    case: &mut Case<'_>,
    explain: impl Fn(&mut Seen, &mut Seen, &[Got], &Known, bool) -> bool,
) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let known = case.past.clients[client].clone();
        let mut found = false;
        for (_, got) in differing(case, client) {
            let message = match case.step {
                Step::Publish(of, message, _) if got.payload.is_empty() => {
                    Some((*of, message.clone()))
                }
                _ => case.past.messages.get(&got.payload).cloned(),
            };
            let Some((publisher, message)) = message else {
                continue;
            };
            let copies = copies(&known, publisher == client, &message, &got);
            if copies.len() >= 2 {
                // What came while it was away.
                let queued = matches!(case.step, Step::Connect(of, _) if *of == client);
                let Case { ours, theirs, .. } = case;
                let (ours, theirs) = (&mut ours[client], &mut theirs[client]);
                found |= explain(ours, theirs, &copies, &known, queued);
            }
        }
        explained = explained.max(ends_if_unanswered(case, client, found));
    }
    explained
}

pub(crate) fn overlapping_copies(case: &mut Case<'_>) -> Explained {
    overlapping(case, |ours, theirs, copies, known, queued| {
        let mut copies_left = theirs.clone();
        let mut due = copies.iter().filter(|copy| !queued || copy.qos > 0);
        let all = due.all(|copy| take_message(&mut copies_left, copy));
        if !known.is_v5() {
            return false;
        }
        let merged = merged(copies);
        if !all && known.is_slow() {
            // Some copies were sent before, or are to be sent later.
            let same = |got: &Got, copy: &Got| {
                Got {
                    delivery: got.delivery,
                    ..copy.clone()
                } == *got
            };
            for (seen, copies) in [(ours, merged.as_slice()), (theirs, copies)] {
                let sent: Vec<Got> = seen.iter().filter_map(Event::got).cloned().collect();
                for got in sent
                    .iter()
                    .filter(|got| copies.iter().any(|copy| same(got, copy)))
                {
                    take_message(seen, got);
                }
            }
            return true;
        }
        let merged = merged.filter(|_| all);
        let found = merged.is_some_and(|merged| take_message(ours, &merged));
        if found {
            *theirs = copies_left;
            // Its own messages that it sends again are not queued.
            for copy in copies.iter().filter(|copy| queued && copy.qos == 0) {
                take_message(theirs, copy);
            }
        }
        found
    })
}

pub(crate) fn highest_qos_of_overlapping(case: &mut Case<'_>) -> Explained {
    overlapping(case, |ours, theirs, copies, known, _| {
        let Some(merged) = merged(copies).filter(|_| !known.is_v5()) else {
            return false;
        };
        let lower = copies
            .iter()
            .filter(|copy| **copy != merged)
            .find(|copy| theirs.iter().any(|event| event.got() == Some(copy)));
        lower.is_some_and(|lower| take_message(ours, &merged) && take_message(theirs, lower))
    })
}

/// While a QoS 2 message is between its PUBLISH and its PUBREL, one broker has passed it on and the other has not: a subscription, a
/// connection or a retained message that comes between makes a difference.
pub(crate) fn between_publish_and_pubrel(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    let pending = |topic: &str| {
        case.past
            .pending
            .iter()
            .any(|message| message.topic == topic)
    };
    for client in 0..case.ours.len() {
        for (side, got) in differing(case, client) {
            if pending(&got.topic) {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
        let (ours, theirs) = (&mut case.ours[client], &mut case.theirs[client]);
        let releases = |seen: &Seen, other: &Seen| -> Vec<Event> {
            let is_pending = |event: &&Event| match event {
                Event::Release(Some(message)) => message.split(' ').next().is_some_and(pending),
                _ => false,
            };
            let differ = |event: &&Event| {
                let count = |seen: &Seen| seen.iter().filter(|other| other == event).count();
                count(seen) > count(other)
            };
            seen.iter()
                .filter(is_pending)
                .filter(differ)
                .cloned()
                .collect()
        };
        let (of_ours, of_theirs) = (releases(ours, theirs), releases(theirs, ours));
        for (seen, releases) in [(ours, of_ours), (theirs, of_theirs)] {
            for release in releases {
                take(seen, |event| *event == release);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn choice_of_the_member(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for one in 0..case.ours.len() {
        for got in only(&case.ours[one], &case.theirs[one]) {
            for other in (0..case.ours.len()).filter(|&other| other != one) {
                let clients = &case.past.clients;
                let of_both = clients[one]
                    .shared(&got.topic)
                    .any(|(filter, _)| clients[other].subscriptions.contains_key(filter));
                let theirs = only(&case.theirs[other], &case.ours[other]);
                let same = |there: &&Got| there.topic == got.topic && there.payload == got.payload;
                let Some(there) = theirs.iter().find(same).filter(|_| of_both) else {
                    continue;
                };
                take_message(&mut case.ours[one], &got);
                take_message(&mut case.theirs[other], there);
                for client in [one, other] {
                    explained = explained.max(ends_if_unanswered(case, client, true));
                }
                break;
            }
        }
    }
    explained
}

/// Before 5.0, Mosquitto never sends a client the same message twice, and tries the next group or member; `$share` is not a word of those
/// versions.
pub(crate) fn copies_of_groups_before_5(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    let clients = &case.past.clients;
    for client in 0..clients.len() {
        for (side, got) in &differing(case, client) {
            let several_ways = |known: &Known| {
                let shared = known.shared(&got.topic).count();
                !known.is_v5() && shared > 0 && shared + known.matching(&got.topic).count() > 1
            };
            let known = &clients[client];
            let same = |event: &&Event| {
                let there = event.got();
                there.is_some_and(|it| it.topic == got.topic && it.payload == got.payload)
            };
            let most = known.shared(&got.topic).count()
                + usize::from(known.matching(&got.topic).next().is_some());
            if known.shared(&got.topic).next().is_some()
                && clients.iter().any(several_ways)
                && case.ours[client].iter().filter(same).count() <= most
            {
                take_out(case, client, *side, got);
                explained = explained.max(ends_if_unanswered(case, client, true));
            }
        }
    }
    explained
}

/// A group with an absent member: Mosquitto may have given a message to it, ours gives it to whoever is there, or comes first.
pub(crate) fn absent_members(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    let clients = &case.past.clients;
    let comes = |client: usize| matches!(case.step, Step::Connect(of, _) if *of == client);
    // Who subscribes now may be the first that comes.
    let joins = match case.step {
        Step::Subscribe(client, filters, _) => Some((*client, filters.as_slice())),
        _ => None,
    };
    let groups = |client: usize, topic: &str| -> Vec<String> {
        let mut groups: Vec<String> = clients[client]
            .shared(topic)
            .map(|(group, _)| group.clone())
            .collect();
        let joined = joins
            .iter()
            .filter(|(of, _)| *of == client)
            .flat_map(|(_, filters)| *filters);
        let joined =
            joined.filter(|(filter, _)| shared_filter(filter).is_some_and(|f| matches(f, topic)));
        groups.extend(joined.map(|(filter, _)| filter.clone()));
        groups
    };
    let absent = |group: &String| {
        let mut clients = clients.iter().enumerate();
        clients.any(|(number, known)| {
            known.subscriptions.contains_key(group) && (!known.connected || comes(number))
        })
    };
    for client in 0..case.ours.len() {
        for (side, got) in &differing(case, client) {
            if groups(client, &got.topic).iter().any(absent) {
                take_out(case, client, *side, got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}

pub(crate) fn will_at_takeover(case: &mut Case<'_>) -> Explained {
    let Step::Connect(client, _) = case.step else {
        return Explained::No;
    };
    let known = &case.past.clients[*client];
    let will = known.hello.as_ref().and_then(|hello| hello.will.as_ref());
    let Some((will, _)) = will.filter(|_| known.connected) else {
        return Explained::No;
    };
    let mut explained = Explained::No;
    for receiver in 0..case.ours.len() {
        for got in only(&case.ours[receiver], &case.theirs[receiver]) {
            if got.topic == will.topic && got.payload == crate::trace::short(&will.payload) {
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
        for got in only(&case.ours[client], &case.theirs[client]) {
            let soon = |(_, message): &(usize, Message)| message.expiry == Some(SOON_S);
            let soon = case.past.messages.get(&got.payload).is_some_and(soon);
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
