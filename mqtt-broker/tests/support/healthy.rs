//! A well-behaved pair of clients to run beside badly behaved ones.

use core::time::Duration;
use std::time::Instant;

use mqtt_codec::{QoS, Version};

use super::{Broker, Client};

/// More than this may the broker's memory never grow while it is fed with nonsense.
const GROWTH: u64 = 64 << 20;

/// A well-behaved pair of clients, which exchange numbered messages all the while.
pub(crate) struct Healthy {
    subscriber: Client,
    publisher: Client,
    exchanged: u32,
    slowest: Duration,
    memory_at_start: u64,
}

impl Healthy {
    pub(crate) fn start(broker: &Broker) -> Self {
        let subscriber = Client::subscribed(
            broker,
            Version::V5,
            "healthy-subscriber",
            "healthy",
            QoS::ExactlyOnce,
        );
        let publisher = Client::connect(broker, Version::V311, "healthy-publisher");
        Self {
            subscriber,
            publisher,
            exchanged: 0,
            slowest: Duration::ZERO,
            memory_at_start: broker.resident_bytes(),
        }
    }

    /// Exchanges one message: it must arrive, and before long.
    #[track_caller]
    pub(crate) fn exchange(&mut self, broker: &mut Broker) {
        broker.assert_running();
        let since = Instant::now();
        self.publisher
            .publish("healthy", &self.exchanged.to_string(), QoS::AtLeastOnce);
        assert_eq!(
            self.subscriber.take_text(),
            format!("healthy|1|0|{}", self.exchanged)
        );
        self.exchanged += 1;
        self.slowest = self.slowest.max(since.elapsed());
        let grown = broker.resident_bytes().saturating_sub(self.memory_at_start);
        assert!(grown < GROWTH, "the broker has grown by {grown} bytes");
    }

    /// Shows that the pair was not disturbed.
    #[track_caller]
    pub(crate) fn finish(mut self, broker: &mut Broker) {
        self.exchange(broker);
        self.subscriber.expect_silence();
        assert!(
            self.slowest < Duration::from_secs(2),
            "a healthy message took {:?}",
            self.slowest
        );
        let grown = broker.resident_bytes().saturating_sub(self.memory_at_start) / 1024;
        eprintln!(
            "{} healthy messages, the slowest in {:?}; memory grown by {grown} kB",
            self.exchanged, self.slowest
        );
    }
}
