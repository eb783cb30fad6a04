//! The `$SYS` topics that Mosquitto's users know.

use mqtt_codec::QoS;
use mqtt_session::Instant;

use super::Core;
use super::message::Incoming;
use super::store::Room;

/// What is remembered from one update of `$SYS` to the next.
#[derive(Debug)]
pub(super) struct Sys {
    started: Instant,
    last: Instant,
    /// The most clients that were ever connected at a time.
    maximum: u64,
    /// For each load: the sum at the last update, and its averages over 1, 5 and 15 minutes.
    loads: Vec<(u64, [f64; 3])>,
}

impl Sys {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            started: now,
            last: now,
            maximum: 0,
            loads: Vec::new(),
        }
    }
}

impl Core {
    /// Publishes everything below `$SYS/broker`, retained.
    pub(super) fn publish_sys(&mut self, now: Instant) {
        let shared = std::sync::Arc::clone(&self.shared);
        let counters = shared.counters();
        let connected = counters.clients_connected.get();
        let sessions = counters.sessions.get();
        self.sys.maximum = self.sys.maximum.max(connected);
        let disconnected = sessions.saturating_sub(connected);
        let store = match self.room() {
            Room::Enough => 0,
            Room::Full => 1,
            Room::Failed => 2,
        };
        let values: [(&str, u64); 33] = [
            ("clients/total", sessions),
            ("clients/connected", connected),
            ("clients/active", connected),
            ("clients/disconnected", disconnected),
            ("clients/inactive", disconnected),
            ("clients/maximum", self.sys.maximum),
            ("clients/expired", counters.sessions_expired.get()),
            ("messages/received", counters.packets_received.get()),
            ("messages/sent", counters.packets_sent.get()),
            (
                "messages/stored",
                counters.retained.get() + counters.queued.get(),
            ),
            ("publish/messages/received", counters.publish_received.get()),
            ("publish/messages/sent", counters.publish_sent.get()),
            ("publish/messages/dropped", counters.dropped.get()),
            ("publish/bytes/received", counters.payload_received.get()),
            ("publish/bytes/sent", counters.payload_sent.get()),
            ("bytes/received", counters.bytes_received.get()),
            ("bytes/sent", counters.bytes_sent.get()),
            ("retained messages/count", counters.retained.get()),
            ("subscriptions/count", counters.subscriptions.get()),
            (
                "shared_subscriptions/count",
                counters.shared_subscriptions.get(),
            ),
            (
                "store/messages/count",
                counters.retained.get() + counters.queued.get(),
            ),
            ("messages/expired", counters.expired.get()),
            ("messages/unreadable", counters.unreadable.get()),
            ("messages/dropped/oldest", counters.dropped_oldest.get()),
            ("store/state", store),
            ("store/refused", counters.refused_full.get()),
            ("store/unstored", counters.unstored.get()),
            ("messages/queued/bytes", counters.queued_bytes.with(0)),
            ("clients/refused", counters.refused_connections.get()),
            ("clients/violations", counters.violations.get()),
            ("passwords/checked", counters.passwords_checked.get()),
            ("passwords/wrong", counters.passwords_wrong.get()),
            ("passwords/unchecked", counters.passwords_unchecked.get()),
        ];
        self.sys_topic(
            "version",
            concat!("mqtt-broker version ", env!("CARGO_PKG_VERSION")),
            now,
        );
        let uptime = format!("{} seconds", now.seconds_since(self.sys.started));
        self.sys_topic("uptime", &uptime, now);
        for (topic, value) in values {
            self.sys_topic(topic, &value.to_string(), now);
        }
        let loads = [
            ("load/messages/received", counters.packets_received.get()),
            ("load/publish/received", counters.publish_received.get()),
            ("load/publish/sent", counters.publish_sent.get()),
            ("load/publish/dropped", counters.dropped.get()),
            ("load/bytes/received", counters.bytes_received.get()),
            ("load/bytes/sent", counters.bytes_sent.get()),
        ];
        self.publish_loads(&loads, now);
    }

    /// Exponentially weighted averages a minute, over 1, 5 and 15 minutes.
    fn publish_loads(&mut self, loads: &[(&str, u64)], now: Instant) {
        let elapsed = now.millis_since(self.sys.last) as f64 / 60_000.0;
        self.sys.last = now;
        self.sys.loads.resize(loads.len(), (0, [0.0; 3]));
        for (at, (topic, sum)) in loads.iter().enumerate() {
            let Some((last, averages)) = self.sys.loads.get_mut(at) else {
                continue;
            };
            let rate = if elapsed > 0.0 {
                sum.saturating_sub(*last) as f64 / elapsed
            } else {
                0.0
            };
            *last = *sum;
            for (average, minutes) in averages.iter_mut().zip([1.0, 5.0, 15.0]) {
                let weight = (-elapsed / minutes).exp();
                *average = rate.mul_add(1.0 - weight, *average * weight);
            }
            let averages = *averages;
            for (average, minutes) in averages.iter().zip(["1min", "5min", "15min"]) {
                self.sys_topic(&format!("{topic}/{minutes}"), &format!("{average:.2}"), now);
            }
        }
    }

    fn sys_topic(&mut self, topic: &str, value: &str, now: Instant) {
        let topic = format!("$SYS/broker/{topic}");
        let mut incoming = Incoming::new(&topic, &[], value.as_bytes(), QoS::AtMostOnce, true);
        self.route(&mut incoming, now);
    }
}
