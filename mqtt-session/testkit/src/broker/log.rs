//! The broker's store as the simulation turns it.

use mqtt_broker::core::{Core, Room, Store, Unreadable};
use mqtt_broker::store::{Durability, Log, Options, Report};
use mqtt_session::Instant;

use super::durable::{Engine, How, Kind};
use crate::disk::SimDisk;

/// The broker's store.
pub(super) const KIND: Kind = Kind {
    open,
    durability: &[
        Durability::Fsync,
        Durability::Fsync,
        Durability::Fsync,
        Durability::Os,
        Durability::None,
    ],
    segments: &[4 * 1024, 8 * 1024, 32 * 1024],
    fails: true,
    lasts: true,
};

/// The same, on a disk that does what it should, with little in a file.
pub(super) const SMALL: Kind = Kind {
    durability: &[Durability::Fsync],
    segments: &[4 * 1024],
    fails: false,
    lasts: false,
    ..KIND
};

#[derive(Debug)]
pub(super) struct Turned {
    log: Log,
    report: Report,
    /// How far the clock of the day is ahead.
    ahead: u64,
}

/// Opens it.
fn open(disk: &SimDisk, how: &How, now: Instant) -> Result<Box<dyn Engine>, String> {
    let mut options = Options::default();
    options.durability = how.durability;
    options.segment_bytes = how.segment;
    options.repair = how.repair;
    let ahead = how.ahead;
    let opened = Log::open(disk.files(), &options, ahead + now.as_millis());
    let (log, report) = opened.map_err(|error| error.to_string())?;
    Ok(Box::new(Turned { log, report, ahead }))
}

impl Engine for Turned {
    fn store(&mut self, _worker: u16) -> Box<dyn Store> {
        Box::new(self.log.handle())
    }

    fn latest(&self) -> u64 {
        self.log.latest().0
    }

    fn start(&mut self, cores: &mut [Core], now: Instant) -> Vec<Unreadable> {
        // Of a damaged store the last groups may be lost, and with them how late it is.
        let same = self.log.now() == now || self.report.sessions == 0 || self.report.repaired;
        assert!(same, "{:?} and not {now:?}", self.log.now());
        self.log.restore(cores)
    }

    fn now(&self) -> Option<Instant> {
        (self.latest() > 0).then(|| self.log.now())
    }

    fn set_clock(&mut self, ahead: u64) {
        self.ahead = ahead;
    }

    fn words(&self) -> Vec<String> {
        [&self.report.notes[..], &self.report.lost].concat()
    }

    fn turn(&mut self, now: Instant) {
        self.log.turn(now, self.ahead + now.as_millis());
    }

    fn aside(&mut self) -> bool {
        self.log.aside()
    }

    fn committed(&self) -> u64 {
        self.log.committed().0
    }

    fn room(&self) -> Room {
        self.log.room()
    }

    fn closed(&self) -> bool {
        self.log.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::sync::Arc;

    use mqtt_broker::core::{Message, Record, SessionKey, Subscriber};
    use mqtt_codec::QoS;

    use super::super::durable::DAY_ZERO;
    use super::*;
    use crate::disk::Call;
    use crate::rng::{Rng, seeds};

    const WHO: Subscriber = Subscriber::session(
        0,
        SessionKey {
            slot: 1,
            generation: 0,
        },
    );

    /// A full disk stops new messages and nothing else; when there is room again all goes on, and nothing that was acknowledged is gone.
    #[test]
    fn a_full_disk_passes() {
        seeds("full disk", 20, |seed| {
            let mut rng = Rng::new(seed);
            let disk = SimDisk::new(seed);
            let how = small(Durability::Fsync);
            let clock = Cell::new(Instant::from_millis(1_000));
            let now = clock.get();
            let mut engine = open(&disk, &how, now).unwrap();
            let mut store = engine.store(0);
            begin(&mut *store);
            let work = |engine: &mut dyn Engine| {
                for _ in 0..8 {
                    let now = clock.get().plus_millis(200);
                    clock.set(now);
                    engine.turn(now);
                    while engine.aside() {
                        engine.turn(now);
                    }
                }
            };
            let mut recorded = vec![];
            let mut queue = |store: &mut dyn Store, len: usize| {
                recorded.push(queue(store, len));
                recorded.clone()
            };
            work(&mut *engine);
            disk.limit(Some(disk.used() + 1_024 * rng.below(40) as u64));
            for _ in 0..200 {
                if store.room() != Room::Enough {
                    break;
                }
                queue(&mut *store, 300 + rng.below(600));
                work(&mut *engine);
            }
            assert_eq!(store.room(), Room::Full);
            assert!(!engine.failed(), "it passes");
            // What was under way when it became full; some of it too large for any segment that there is.
            queue(&mut *store, 100);
            let large = rng.below(2) * 5_000;
            let recorded = queue(&mut *store, 100 + large);
            work(&mut *engine);
            let (before, now) = (disk.calls(), clock.get());
            for _ in 0..100 {
                engine.turn(now);
                engine.aside();
            }
            let calls = disk.calls() - before;
            assert!(calls < 20, "{calls} calls for another segment, in no time");
            // Up to where it is committed not every number has got a record.
            let acknowledged = recorded.into_iter().filter(|it| *it <= engine.committed());
            let acknowledged = acknowledged.max().unwrap_or(0);
            let left = open(&disk.crash(&mut rng), &how, clock.get()).unwrap();
            assert!(left.latest() >= acknowledged, "{acknowledged}");
            disk.limit(None);
            work(&mut *engine);
            assert_eq!(store.room(), Room::Enough);
            assert!(store.committed() >= store.latest());
            queue(&mut *store, 100);
            work(&mut *engine);
            let latest = store.latest().0;
            let left = open(&disk.crash(&mut rng), &how, clock.get()).unwrap();
            assert_eq!(left.latest(), latest);
        });
    }

    fn small(durability: Durability) -> How {
        How {
            durability,
            segment: 4 * 1024,
            repair: false,
            ahead: DAY_ZERO,
        }
    }

    fn begin(store: &mut dyn Store) {
        store.record(&Record::Session {
            session: WHO,
            client_id: "c0",
            user_name: None,
            expiry: u32::MAX,
            bridge: false,
        });
        store.commit();
    }

    /// A message that waits; gives back the number of its record.
    fn queue(store: &mut dyn Store, len: usize) -> u64 {
        let payload = vec![7; len];
        let message = Message::new("t", &[], &payload, QoS::AtLeastOnce, false);
        let number = store.record(&Record::Queued {
            receiver: WHO,
            message: &Arc::new(message),
            qos: QoS::AtLeastOnce,
            retain: false,
            ids: &[],
            group: None,
        });
        store.commit();
        number.0
    }

    fn fill(store: &mut dyn Store, messages: usize) {
        for _ in 0..messages {
            queue(store, 300);
        }
    }

    /// What a start has left out because it was torn stays out: the disk may still have an older version of its sectors, in which it is
    /// whole, and the power may go before anything else is written there.
    #[test]
    fn what_was_torn_does_not_become_whole_again() {
        let now = Instant::from_millis(1_000);
        let how = small(Durability::Os);
        let disk = SimDisk::new(1);
        let mut engine = open(&disk, &how, now).unwrap();
        let mut store = engine.store(0);
        begin(&mut *store);
        engine.turn(now);
        assert_eq!(open(&disk.kill(), &how, now).unwrap().latest(), 1);
        let left = disk.kill();
        // In the middle of the group.
        let file = left.files().open("0000000001.log").unwrap();
        file.write_at(&[0xaa; 4], 96).unwrap();
        assert_eq!(open(&left, &how, now).unwrap().latest(), 0);
        let mut rng = Rng::new(1);
        for _ in 0..100 {
            let again = open(&left.crash(&mut rng), &how, now).unwrap();
            assert_eq!(again.latest(), 0);
        }
    }

    /// All file descriptors may be in use for a while: that costs nobody an acknowledgement in the end.
    #[test]
    fn a_segment_that_cannot_be_made_is_tried_again() {
        let disk = SimDisk::new(1);
        let how = small(Durability::Fsync);
        let mut now = Instant::from_millis(1_000);
        let mut engine = open(&disk, &how, now).unwrap();
        let mut store = engine.store(0);
        begin(&mut *store);
        disk.fail(Call::Create, 0, 4, std::io::ErrorKind::Other);
        for _ in 0..60 {
            fill(&mut *store, 1);
            for _ in 0..4 {
                now = now.plus_millis(200);
                engine.turn(now);
                while engine.aside() {
                    engine.turn(now);
                }
            }
        }
        assert!(!engine.failed());
        assert_eq!(store.room(), Room::Enough);
        assert!(store.committed() >= store.latest());
    }

    /// After a failed sync nothing counts as durable any more, whatever goes well afterwards.
    #[test]
    fn a_failure_stays_one() {
        for durability in [Durability::Fsync, Durability::Os, Durability::None] {
            // At each sync once: of groups, before snapshots, of segments; one that is being made has promised nothing, and is made again.
            let mut failures = 0;
            for after in 0..12 {
                let disk = SimDisk::new(after);
                let mut now = Instant::from_millis(1_000);
                let mut engine = open(&disk, &small(durability), now).unwrap();
                let mut store = engine.store(0);
                begin(&mut *store);
                disk.fail(Call::Sync, after, 1, std::io::ErrorKind::Other);
                let mut failed = None;
                for _ in 0..60 {
                    fill(&mut *store, 1);
                    now = now.plus_millis(200);
                    engine.turn(now);
                    while engine.aside() {
                        engine.turn(now);
                    }
                    if engine.failed() {
                        assert_eq!(store.room(), Room::Failed, "{durability:?} {after}");
                        let known = *failed.get_or_insert_with(|| store.committed());
                        assert_eq!(store.committed(), known, "{durability:?} {after}");
                    }
                }
                failures += u32::from(failed.is_some());
            }
            assert!(failures > 2, "{durability:?}: {failures}");
        }
    }

    /// A broker that is stopped while a segment is being made waits for it.
    #[test]
    fn a_stop_waits_for_a_segment() {
        for durability in [Durability::Fsync, Durability::None] {
            let disk = SimDisk::new(1);
            let mut now = Instant::from_millis(1_000);
            let how = small(durability);
            let mut engine = open(&disk, &how, now).unwrap();
            let mut store = engine.store(0);
            begin(&mut *store);
            fill(&mut *store, 40);
            let latest = store.latest().0;
            drop(store);
            for _ in 0..50 {
                now = now.plus_millis(1);
                engine.turn(now);
            }
            assert!(!engine.closed(), "segments are missing");
            for _ in 0..50 {
                engine.turn(now);
                while engine.aside() {
                    engine.turn(now);
                }
            }
            assert!(engine.closed());
            let left = open(&disk.kill(), &how, now).unwrap();
            assert_eq!(left.latest(), latest, "{durability:?}");
        }
    }
}
