//! Known differences in handshakes: reasons, and when a QoS 2 message is passed on.

use mqtt_codec::QoS;

use super::{differing, goes_on, only, take, take_message, take_out};
use crate::judge::{Case, Explained};
use crate::trace::{After, Step, short};
use crate::view::{Answer, Event, Got, Seen};

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
                if got.topic == message.topic && got.payload == short(&message.payload) {
                    take_message(&mut case.ours[client], &got);
                    case.owed.push((client, got));
                    found = true;
                }
            }
        }
    }
    goes_on(found)
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
            // A window that the message fills, or not yet.
            let slow = !case.past.pending.is_empty() && case.past.clients[client].is_slow();
            if pending(&got.topic) || slow {
                take_out(case, client, side, &got);
                explained = Explained::Ends;
            }
        }
        let (ours, theirs) = (&mut case.ours[client], &mut case.theirs[client]);
        if ours != theirs {
            for seen in [&mut *ours, &mut *theirs] {
                let of_pending = |event: &Event| event.got().is_some_and(|got| pending(&got.topic));
                let mut sorted: Vec<Event> =
                    seen.iter().filter(|e| of_pending(e)).cloned().collect();
                sorted.sort();
                let places = seen.iter_mut().filter(|e| of_pending(e));
                places.zip(sorted).for_each(|(place, event)| *place = event);
            }
            if ours == theirs {
                explained = explained.max(Explained::GoesOn);
            }
        }
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
