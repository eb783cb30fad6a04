//! A third, small opinion: what the specification asks for when a message meets connected subscribers.

use crate::past::{Known, Past, Subscription};
use crate::trace::{After, Message, Step, short};
use crate::view::{Copy, Event, Got, View, level};

/// What a subscription gives of a message.
fn copy_by(known: &Known, subscription: &Subscription, message: &Message, pattern: &Got) -> Got {
    Got {
        qos: level(message.qos.min(subscription.options.qos)),
        retain: message.retain && subscription.options.retain_as_published,
        // A session of 5.0 may be resumed by an older version, which has none.
        ids: subscription
            .id
            .filter(|_| known.is_v5())
            .into_iter()
            .collect(),
        ..pattern.clone()
    }
}

/// The copies that a client is to get of a message if each of its subscriptions gives one.
pub(crate) fn copies(known: &Known, own: bool, message: &Message, pattern: &Got) -> Vec<Got> {
    known
        .matching(&message.topic)
        .filter(|(_, subscription)| !(own && subscription.options.no_local))
        .map(|(_, subscription)| copy_by(known, subscription, message, pattern))
        .collect()
}

/// The one copy that stands for all.
pub(crate) fn merged(copies: &[Got]) -> Option<Got> {
    let mut ids: Vec<u32> = copies.iter().flat_map(|copy| copy.ids.clone()).collect();
    ids.sort_unstable();
    Some(Got {
        qos: copies.iter().map(|copy| copy.qos).max()?,
        retain: copies.iter().any(|copy| copy.retain),
        ids,
        ..copies.first()?.clone()
    })
}

/// What is wrong with what our clients saw of a PUBLISH, whatever Mosquitto does. Looks at clients for which there is no choice: connected,
/// without limits, that acknowledge at once and are in no group.
pub(crate) fn objection(step: &Step, past: &Past, ours: &View) -> Option<String> {
    let Step::Publish(publisher, message, After::Complete) = step else {
        return None;
    };
    if !past.clients[*publisher].connected {
        return None;
    }
    for (client, (known, seen)) in past.clients.iter().zip(ours).enumerate() {
        let limited = known
            .hello
            .as_ref()
            .is_none_or(|hello| hello.maximum_packet_size.is_some());
        let grouped = known.shared(&message.topic).next().is_some();
        if !known.connected || known.doubtful || known.is_slow() || limited || grouped {
            continue;
        }
        let payload = short(&message.payload);
        let mine = |got: &&Got| got.topic == message.topic && got.payload == payload;
        let got: Vec<&Got> = seen.iter().filter_map(Event::got).filter(mine).collect();
        let pattern = Got {
            topic: message.topic.clone(),
            payload: payload.to_owned(),
            qos: 0,
            retain: false,
            delivery: Copy::First,
            ids: Vec::new(),
            expiry: message.expiry.filter(|_| known.is_v5()),
            properties: got
                .first()
                .map_or_else(String::new, |got| got.properties.clone()),
        };
        let expected = merged(&copies(known, client == *publisher, message, &pattern));
        if got != expected.iter().collect::<Vec<_>>() {
            let expected = expected.map_or_else(|| "nothing".to_owned(), |got| got.to_string());
            return Some(format!("client {client} should get {expected}"));
        }
    }
    None
}
