//! Sets and clears retained values, several at a time.

use core::ops::Range;

use mqtt_codec::QoS;

use super::{Context, Judge};
use crate::client::{Client, Event};
use crate::stamp::{Purpose, Stamp};

/// Changes retained topics that nobody else changes.
#[derive(Debug)]
pub(crate) struct Retainer {
    pub(crate) topics: Range<usize>,
    pub(crate) qos: QoS,
}

/// Changes that it keeps on their way.
const WINDOW: usize = 6;
/// One change in so many removes the value.
const CLEARS: u64 = 3;

/// The name of a retained topic.
pub(crate) fn topic_of(topic: usize) -> String {
    format!("retained/{topic}")
}

impl Retainer {
    pub(crate) fn load(&self, client: &mut Client, cx: &mut Context<'_>) {
        while client.is_connected() && client.unfinished() < WINDOW {
            let topic = self.topics.start + cx.rng.below(self.topics.len() as u64) as usize;
            let clears = cx.rng.one_in(CLEARS);
            self.change(client, cx.judge, topic, clears);
        }
    }

    fn change(&self, client: &mut Client, judge: &mut Judge, topic: usize, clears: bool) {
        let Some(history) = judge.retained.get_mut(topic) else {
            return;
        };
        let number = history.next_number();
        history.ask((!clears).then_some(number));
        let stamp = Stamp {
            purpose: Purpose::Retained,
            stream: topic,
            number,
        };
        let payload = if clears { Vec::new() } else { stamp.payload() };
        client.publish_bytes(stamp, topic_of(topic), payload, self.qos, true);
    }

    pub(crate) fn event(&self, event: &Event, judge: &mut Judge) {
        let stamp = match event {
            // Before PUBREL a broker may keep it to itself; ours does not.
            Event::Accepted(stamp) if self.qos == QoS::AtLeastOnce || judge.acts_at_pubrec => stamp,
            Event::Completed(stamp) => stamp,
            _ => return,
        };
        if let Some(history) = judge.retained.get_mut(stamp.stream) {
            history.confirm(stamp.number);
        }
    }
}
