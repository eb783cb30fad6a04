//! Known differences in what subscriptions give: overlapping ones, repeated ones, retained messages.

use std::collections::BTreeMap;

use super::{Side, differing, ends_if_unanswered, only, take_message, take_out};
use crate::judge::{Case, Explained};
use crate::opinion::{copies, merged};
use crate::past::{Known, Subscription, matches, shared_filter};
use crate::trace::Step;
use crate::view::{Copy, Event, Got, Seen};

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

pub(crate) fn options_are_replaced(case: &mut Case<'_>) -> Explained {
    let mut explained = Explained::No;
    for client in 0..case.ours.len() {
        let known = &case.past.clients[client];
        let changed = |subscription: &&Subscription| {
            subscription.options.no_local != subscription.first.no_local
        };
        // Each such subscription makes one copy more or less, and one more when the message was published again.
        let local = known.subscriptions.values().filter(changed).count();
        let mut local_of = BTreeMap::from([Copy::First, Copy::Again].map(|copy| (copy, local)));
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
            let own = case
                .past
                .messages(got)
                .any(|(publisher, _)| *publisher == client);
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
            } else if changed(|options| options.retain_as_published)
                && known.matching(&got.topic).count() > 1
            {
                take_out(case, client, *side, got);
                explained = Explained::Ends;
            } else if own
                && changed(|options| options.no_local)
                && let local = local_of.entry(got.delivery).or_default()
                && (*local > 0 || known.matching(&got.topic).count() > 1)
            {
                *local = local.saturating_sub(1);
                take_out(case, client, *side, got);
                explained = Explained::Ends;
            }
        }
    }
    explained
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
            let candidates: Vec<_> = case.past.messages(&got).cloned().collect();
            for (publisher, message) in candidates {
                let copies = copies(&known, publisher == client, &message, &got);
                if copies.len() < 2 {
                    continue;
                }
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
        // A copy of QoS 0 that was lost is not sent again.
        let lost = merged.delivery == Copy::Again && copies.iter().any(|copy| copy.qos == 0);
        match lower {
            Some(lower) => take_message(ours, &merged) && take_message(theirs, lower),
            None => lost && take_message(ours, &merged),
        }
    })
}
