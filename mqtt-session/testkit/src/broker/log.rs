//! The broker's store as the simulation turns it.

use mqtt_broker::core::{Core, Store, Unreadable};
use mqtt_broker::store::{Durability, Log, Options, Report};
use mqtt_session::Instant;

use super::durable::{Engine, How, Kind};
use crate::disk::SimDisk;

/// The time of day when the simulation's clock stands at zero.
const WALL: u64 = 1_700_000_000_000;

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
};

/// The same, on a disk that does what it should, with little in a file.
pub(super) const SMALL: Kind = Kind {
    durability: &[Durability::Fsync],
    segments: &[4 * 1024],
    fails: false,
    ..KIND
};

#[derive(Debug)]
pub(super) struct Turned {
    log: Log,
    report: Report,
}

const fn wall(now: Instant) -> u64 {
    WALL + now.as_millis()
}

/// Opens it.
fn open(disk: &SimDisk, how: &How, now: Instant) -> Result<Box<dyn Engine>, String> {
    let mut options = Options::default();
    options.durability = how.durability;
    options.segment_bytes = how.segment;
    options.repair = how.repair;
    let opened = Log::open(disk.files(), &options, wall(now));
    let (log, report) = opened.map_err(|error| error.to_string())?;
    Ok(Box::new(Turned { log, report }))
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

    fn words(&self) -> Vec<String> {
        [&self.report.notes[..], &self.report.lost].concat()
    }

    fn turn(&mut self, now: Instant) {
        self.log.turn(now, wall(now));
    }

    fn aside(&mut self) -> bool {
        self.log.aside()
    }

    fn committed(&self) -> u64 {
        self.log.committed().0
    }

    fn failed(&self) -> bool {
        self.log.failed().is_some()
    }

    fn closed(&self) -> bool {
        self.log.is_closed()
    }
}
