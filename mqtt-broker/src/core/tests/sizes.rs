//! What connections and sessions cost in memory.

use std::process::Command;
use std::sync::Arc;

use mqtt_codec::{
    Connect, Filters, Packet, PacketId, Properties, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions, Version,
};
use mqtt_session::Instant;

use super::client::encode;
use super::net::{connect_bytes, resume};
use crate::core::connection::{Conn, Machine};
use crate::core::queue::Queued;
use crate::core::sessions::Session;
use crate::core::{AllowAll, ConnId, Core, Memory, Peer, Received, Settings, Shared};

/// What is held for each connection, each session, each message of a queue. Larger is not wrong, but should be a decision.
#[test]
fn the_structures_stay_small() {
    assert!(size_of::<Machine>() <= 104, "{}", size_of::<Machine>());
    assert!(size_of::<Conn>() <= 160, "{}", size_of::<Conn>());
    assert!(size_of::<Session>() <= 112, "{}", size_of::<Session>());
    assert!(size_of::<Queued>() <= 56, "{}", size_of::<Queued>());
}

const COUNT: usize = 10_000;
const CHILD: &str = "MQTT_CORE_SIZES";

/// Resident memory of this process, in bytes.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

struct Idle {
    core: Core,
    now: Instant,
}

impl Idle {
    fn packet(&mut self, conn: ConnId, bytes: &[u8]) {
        let received = self.core.receive(conn, bytes, self.now);
        let (Received::More { consumed, .. } | Received::Paused { consumed }) = received else {
            panic!("{received:?}");
        };
        assert_eq!(consumed, bytes.len());
        self.core.commit();
        while let Some(conn) = self.core.next_touched() {
            let _ = self.core.poll(conn, self.now);
            let len = self.core.output(conn).map_or(0, |output| output.len());
            self.core.written(conn, len);
        }
    }

    fn open(&mut self, number: usize, subscribed: bool) -> ConnId {
        let conn = self.core.open(Peer::default(), self.now).unwrap();
        self.packet(
            conn,
            &connect_bytes(&resume(&format!("device-{number:06}"))),
        );
        if subscribed {
            let filter = format!("devices/{number}/command");
            let packet = Packet::Subscribe(Subscribe {
                packet_id: PacketId::new(1).unwrap(),
                properties: Properties::EMPTY,
                filters: Filters::List(&[SubscribeFilter {
                    filter: &filter,
                    options: SubscriptionOptions::new(QoS::AtLeastOnce),
                }]),
            });
            self.packet(conn, &encode(&packet, Version::V5));
        }
        conn
    }
}

/// Runs in a process of its own, where nobody else allocates.
#[expect(
    clippy::print_stdout,
    reason = "the process that started this one reads it"
)]
fn measure() {
    for subscribed in [false, true] {
        let settings = Settings {
            sys_interval_ms: 0,
            ..Settings::default()
        };
        let shared = Shared::new(settings, 1, 1);
        let now = Instant::from_millis(1);
        let store = Box::<Memory>::default();
        let core = Core::new(shared, 0, store, Arc::new(AllowAll), 1, now);
        let mut idle = Idle { core, now };
        for number in 0..100 {
            idle.open(number, subscribed);
        }
        let before = resident().unwrap();
        let conns: Vec<ConnId> = (0..COUNT)
            .map(|number| idle.open(1_000 + number, subscribed))
            .collect();
        let connected = resident().unwrap();
        idle.now = idle.now.plus_millis(10_001);
        while idle.core.deadline().is_some_and(|due| due <= idle.now) {
            idle.core.tick(idle.now);
        }
        for conn in conns {
            idle.core.closed(conn, idle.now);
        }
        let offline = resident().unwrap();
        let of = |bytes: usize| bytes.saturating_sub(before) / COUNT;
        println!(
            "subscribed={subscribed} connected={} offline={}",
            of(connected),
            of(offline)
        );
        core::mem::forget(idle);
    }
}

/// An idle connection with its session costs at most 380 bytes of resident memory in the core: of the 450 that the whole process
/// may take, the rest is the driver's. A subscription comes on top.
#[test]
fn an_idle_connection_is_cheap() {
    if std::env::var_os(CHILD).is_some() {
        return measure();
    }
    if resident().is_none() {
        eprintln!("SKIPPED: there is no /proc/self/statm here");
        return;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "core::tests::sizes::an_idle_connection_is_cheap",
            "--nocapture",
        ])
        .args(["--test-threads", "1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("connected="))
        .collect();
    eprintln!("bytes resident in the core: {lines:#?}");
    let connected = |line: &str| -> usize {
        let (_, rest) = line.split_once("connected=").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert_eq!(lines.len(), 2, "{text}");
    assert!(connected(lines[0]) <= 380, "{lines:?}");
    assert!(connected(lines[1]) <= 540, "{lines:?}");
}

/// A connection that has been busy gives its tables back when it falls silent, with keep-alive and without.
#[test]
fn a_silent_connection_gives_its_tables_back() {
    for keep_alive in [0, 30] {
        let mut net = super::net::Net::new(1);
        let client = net.connect_with(&Connect {
            keep_alive,
            ..Connect::new(Version::V5, "c")
        });
        net.subscribe(client, "t", QoS::ExactlyOnce);
        for _ in 0..500 {
            net.publish(client, "t", "x", QoS::ExactlyOnce);
        }
        let (worker, conn) = net.place(client);
        let full = format!(
            "{:?}",
            net.cores[worker].conns.get(conn.slot, conn.generation)
        );
        assert!(full.contains("acks: "), "{full}");
        for _ in 0..4 {
            net.advance(44_000);
            if keep_alive != 0 {
                net.ping(client);
            }
        }
        net.advance(44_000);
        let core = &net.cores[worker];
        let idle = format!("{:?}", core.conns.get(conn.slot, conn.generation).unwrap());
        assert!(!idle.contains("acks: "), "{idle}");
        assert!(core.sessions.get(0, 0).unwrap().queue.is_none());
        net.publish(client, "t", "again", QoS::ExactlyOnce);
        assert_eq!(net.texts(client).last().unwrap(), "again");
        assert_eq!(net.gauges()[3], 0);
    }
}
