//! Publishes numbered messages, as many at a time as its window holds, and sends again what was not acknowledged.

use mqtt_codec::QoS;

use super::Judge;
use crate::client::{Client, Event};
use crate::stamp::Stamp;

/// A publisher of one QoS and one topic.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) stream: usize,
    pub(crate) qos: QoS,
    /// Messages that it keeps on their way.
    pub(crate) window: usize,
}

/// What subscribers of everything ask for.
pub(crate) const EVERYTHING: &str = "load/#";

impl Publisher {
    fn publish(&self, client: &mut Client, judge: &mut Judge) {
        let number = judge.deliveries.send(self.stream);
        let topic = format!("load/{}", self.stream);
        client.publish(Stamp::load(self.stream, number), topic, self.qos, false);
    }

    pub(crate) fn load(&self, client: &mut Client, judge: &mut Judge) {
        while client.is_connected() && client.unfinished() < self.window {
            self.publish(client, judge);
        }
    }

    /// Publishes while others are not back yet.
    pub(crate) fn meanwhile(&self, client: &mut Client, judge: &mut Judge, messages: u64) {
        for _ in 0..messages {
            self.publish(client, judge);
        }
    }

    pub(crate) fn event(&self, event: &Event, judge: &mut Judge) {
        match event {
            Event::Accepted(stamp) => judge.deliveries.accept(self.stream, stamp.number),
            Event::Anew(stamp) => judge.deliveries.anew(self.stream, stamp.number),
            _ => {}
        }
    }
}
