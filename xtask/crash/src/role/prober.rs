//! Publishes a message for every filter that may be subscribed, while the subscribers are away.

use mqtt_codec::QoS;

use super::churner::Filters;
use crate::client::Client;
use crate::stamp::{Purpose, Stamp};

/// Asks, by messages, which subscriptions there are.
#[derive(Debug, Default)]
pub(crate) struct Prober;

impl Prober {
    /// Sends one message to every filter; the last one of each subscriber tells it that there are no more.
    pub(crate) fn probe(&self, client: &mut Client, restart: u32, filters: Filters) {
        for (place, topic) in filters.topics() {
            let stamp = Stamp {
                purpose: Purpose::Probe,
                stream: place,
                number: restart,
            };
            client.publish(stamp, topic, QoS::ExactlyOnce, false);
        }
    }
}
