//! Known differences in shared subscriptions.

use super::{differing, ends_if_unanswered, only, take_message, take_out};
use crate::judge::{Case, Explained};
use crate::past::{Known, matches, shared_filter};
use crate::trace::{After, Hello, Step, short};
use crate::view::{Event, Got};

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

/// A group with a member that is absent, slow, or takes no message so large: Mosquitto may have given a message to it, ours gives it to
/// whoever is there, or comes first.
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
    // What is given to a client whose connection ends is lost, or waits for it: its own message or will.
    let goes = |client: usize| match case.step {
        Step::Publish(of, _, After::Lose) | Step::Cut(of) | Step::Disconnect(of, ..) => {
            *of == client
        }
        _ => false,
    };
    let absent = |group: &String, got: &Got| {
        let mut messages = case.past.messages(got);
        let large = messages.any(|(_, message)| message.payload != short(&message.payload));
        let mut clients = clients.iter().enumerate();
        clients.any(|(number, known)| {
            let away = !known.connected || comes(number) || goes(number);
            let limited = |hello: &Hello| hello.maximum_packet_size.is_some();
            let refuses = large && known.hello.as_ref().is_some_and(limited);
            known.subscriptions.contains_key(group) && (away || refuses || known.is_slow())
        })
    };
    for client in 0..case.ours.len() {
        for (side, got) in &differing(case, client) {
            let groups = groups(client, &got.topic);
            if groups.iter().any(|group| absent(group, got)) {
                take_out(case, client, *side, got);
                explained = Explained::Ends;
            }
        }
    }
    explained
}
