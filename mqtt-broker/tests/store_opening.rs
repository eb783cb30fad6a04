//! What a start makes of what it finds: names that nobody made durable, files of other people, sectors that cannot be read, cut tails.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mqtt_broker::core::{Message, Record, SessionKey, Store, Subscriber};
use mqtt_broker::store::{Durability, Handle, Log, Options, Report, StoreError};
use mqtt_codec::QoS;
use mqtt_session::{Commit, Instant};
use mqtt_testkit::disk::{Call, SimDisk, Watch};
use mqtt_testkit::rng::{Rng, seeds};

const WALL: u64 = 1_700_000_000_000;

const WHO: Subscriber = Subscriber::session(
    0,
    SessionKey {
        slot: 1,
        generation: 0,
    },
);

fn options(durability: Durability) -> Options {
    let mut options = Options::default();
    options.durability = durability;
    options.segment_bytes = 4 * 1024;
    options
}

fn repairing() -> Options {
    let mut options = options(Durability::Fsync);
    options.repair = true;
    options
}

/// Why it does not open.
fn refused(disk: &SimDisk, options: &Options) -> StoreError {
    match open(disk, options) {
        Ok((_, report)) => panic!("it opens: {report:?}"),
        Err(error) => error,
    }
}

fn open(disk: &SimDisk, options: &Options) -> Result<(Log, Report), StoreError> {
    Log::open(disk.files(), options, WALL)
}

/// A store with one session.
struct Opened {
    log: Log,
    handle: Handle,
    now: u64,
}

impl Opened {
    fn new(disk: &SimDisk, options: &Options) -> Self {
        let (log, _) = open(disk, options).expect("it opens");
        let mut handle = log.handle();
        handle.record(&Record::Session {
            session: WHO,
            client_id: "away",
            user_name: None,
            expiry: u32::MAX,
            bridge: false,
        });
        let mut opened = Self {
            log,
            handle,
            now: 0,
        };
        opened.commit();
        opened
    }

    /// Goes on with a store that is there.
    fn again(disk: &SimDisk, options: &Options) -> Self {
        let (log, _) = open(disk, options).expect("it opens");
        let handle = log.handle();
        Self {
            log,
            handle,
            now: 0,
        }
    }

    fn commit(&mut self) {
        self.handle.commit();
        self.turn();
    }

    fn turn(&mut self) {
        self.now += 1;
        self.log
            .turn(Instant::from_millis(self.now), WALL + self.now);
    }

    fn aside(&mut self) {
        while self.log.aside() {
            self.turn();
        }
    }

    /// A message that waits, in a group of its own; gives back the number under which it is kept.
    fn queue(&mut self, number: u64, len: usize) -> Commit {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(len.max(8), number as u8);
        let message = Message::new("t/1", &[], &payload, QoS::AtLeastOnce, false);
        self.handle.record(&Record::Queued {
            receiver: WHO,
            message: &Arc::new(message),
            qos: QoS::AtLeastOnce,
            retain: false,
            ids: &[],
            group: None,
        });
        let body = self.handle.body();
        self.commit();
        body
    }
}

/// Which of these messages can be fetched.
fn readable(log: &Log, bodies: &[Commit]) -> Vec<usize> {
    let mut handle = log.handle();
    let there = bodies
        .iter()
        .enumerate()
        .filter(|(_, body)| handle.fetch(**body).is_ok());
    there.map(|(at, _)| at).collect()
}

/// A broker dies when it has named its next segment and not yet made the name durable. The next one writes there, and the power goes: the
/// segment is still there, with what was acknowledged.
#[test]
fn names_that_a_killed_broker_has_left_are_made_durable() {
    seeds("names", 64, |seed| {
        let options = options(Durability::Fsync);
        let disk = SimDisk::new(seed);
        let mut first = Opened::new(&disk, &options);
        disk.watch(Watch::Everything);
        first.aside();
        let moments = disk.moments();
        let unsynced = moments.iter().rev().find(|it| it.call == Call::SyncNames);
        let disk = unsynced.expect("it names the next segment").disk.kill();
        assert!(disk.contents().contains_key("0000000002.log"));
        let mut second = Opened::again(&disk, &options);
        for number in 0..20 {
            second.queue(number, 300);
        }
        let acknowledged = second.handle.latest();
        assert!(second.log.committed() >= acknowledged);
        let left = disk.crash(&mut Rng::new(seed));
        let (log, _) = open(&left, &options).unwrap();
        assert!(log.latest() >= acknowledged);
    });
}

/// A directory that is used for something else: nothing in it is touched.
#[test]
fn files_of_other_people_stay() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    fs::write(path.join("letter.tmp"), "dear").unwrap();
    fs::create_dir(path.join("x.tmp")).unwrap();
    let (log, report) = Log::open_directory(path, &Options::default(), WALL).unwrap();
    drop(log);
    assert!(
        report.notes.iter().any(|note| note.contains("letter.tmp")),
        "{:?}",
        report.notes
    );
    let (log, report) = Log::open_directory(path, &Options::default(), WALL).unwrap();
    drop(log);
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(fs::read(path.join("letter.tmp")).unwrap(), b"dear");
    assert!(path.join("x.tmp").is_dir());
}

/// A file that is called like a segment and is none of ours is not removed, and no store is made beside it.
#[test]
fn a_file_that_only_has_the_name_of_a_segment_stays() {
    for repair in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("0000000001.log"), "hello").unwrap();
        let mut options = Options::default();
        options.repair = repair;
        let refused = Log::open_directory(path, &options, WALL);
        let error = refused.map(|_| ()).expect_err("it is no store").to_string();
        assert!(error.contains("0000000001.log"), "{error}");
        assert_eq!(fs::read(path.join("0000000001.log")).unwrap(), b"hello");
        assert_eq!(names(path), ["0000000001.log", "lock"]);
    }
}

/// What is unfinished goes only when it is known that the store can be read.
#[test]
fn a_store_that_is_refused_keeps_what_is_unfinished() {
    let options = options(Durability::Fsync);
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    for number in 0..4 {
        store.queue(number, 300);
    }
    drop(store);
    let disk = disk.kill();
    disk.files().create("0000000009.log.tmp").unwrap();
    disk.flip("0000000001.log", 60, 1);
    let before = disk.contents();
    refused(&disk, &options);
    assert_eq!(disk.contents(), before);
    disk.flip("0000000001.log", 60, 1);
    open(&disk, &options).unwrap();
    assert!(!disk.contents().contains_key("0000000009.log.tmp"));
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("it is there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Where the payload of this message stands, a little behind its number.
fn middle(disk: &SimDisk, number: u64) -> (String, u64) {
    let mut needle = number.to_le_bytes().to_vec();
    needle.resize(40, number as u8);
    let found = disk.contents().into_iter().find_map(|(name, bytes)| {
        let at = bytes.windows(needle.len()).position(|it| it == needle)?;
        name.ends_with(".log").then_some((name, at as u64))
    });
    let (name, at) = found.expect("it is on the disk");
    (name, at + 600)
}

/// A store with twenty messages that take more than two sectors each, left by a process that was killed, and the numbers of the messages.
fn twenty(segment: u64) -> (SimDisk, Vec<Commit>) {
    let mut options = options(Durability::Fsync);
    options.segment_bytes = segment;
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    let bodies = (1..21)
        .map(|number| {
            let body = store.queue(number, 1_200);
            store.aside();
            body
        })
        .collect();
    drop(store);
    (disk.kill(), bodies)
}

/// Refused with a place; repaired, and it needs no further repair. Gives back which messages are left, and what is said to be lost.
fn refused_and_repaired(
    disk: &SimDisk,
    bodies: &[Commit],
    file: &str,
    from: u64,
    to: u64,
) -> (Vec<usize>, Vec<String>) {
    let before = disk.contents();
    match refused(disk, &options(Durability::Fsync)) {
        StoreError::Damaged {
            file: told, offset, ..
        } => {
            assert_eq!(told, file);
            assert!(
                (from..to).contains(&offset),
                "{offset}: not in {from}..{to}"
            );
        }
        other => panic!("{other}"),
    }
    assert_eq!(disk.contents(), before, "it was changed");
    let (log, report) = open(disk, &repairing()).expect("it is repaired");
    let left = readable(&log, bodies);
    assert!(report.repaired);
    drop(log);
    let mut store = Opened::again(&disk.kill(), &options(Durability::Fsync));
    assert_eq!(
        readable(&store.log, bodies),
        left,
        "repaired once and for all"
    );
    for number in 100..140 {
        store.queue(number, 1_200);
        store.aside();
    }
    assert_eq!(store.log.failed(), None);
    assert_eq!(readable(&store.log, bodies), left);
    (left, report.lost)
}

fn all_but(number: usize) -> Vec<usize> {
    (0..20).filter(|it| *it != number).collect()
}

/// A disk answers damage with an error at least as often as with wrong bits.
#[test]
fn a_sector_that_cannot_be_read_in_a_group_is_damage_with_a_place() {
    let (disk, bodies) = twenty(64 * 1024);
    let (file, at) = middle(&disk, 10);
    disk.spoil(&file, at);
    let (left, _) = refused_and_repaired(&disk, &bodies, &file, at - 1_000, at + 512);
    assert_eq!(left, all_but(9));
    assert!(disk.contents().contains_key(&format!("{file}.damaged")));
}

#[test]
fn a_sector_that_cannot_be_read_before_the_snapshot_is_damage_with_a_place() {
    let (disk, bodies) = twenty(4 * 1024);
    let (file, at) = middle(&disk, 2);
    disk.spoil(&file, at);
    let (left, lost) = refused_and_repaired(&disk, &bodies, &file, at - 1_000, at + 512);
    assert_eq!(left, all_but(1));
    assert!(disk.contents().contains_key(&format!("{file}.damaged")));
    assert!(lost.iter().any(|it| it.contains("\"away\"")), "{lost:?}");
}

#[test]
fn a_header_of_a_segment_that_cannot_be_read_is_damage() {
    for (message, kept) in [(2, 18), (20, 18)] {
        let (disk, bodies) = twenty(4 * 1024);
        let (file, _) = middle(&disk, message);
        disk.spoil(&file, 0);
        let (left, _) = refused_and_repaired(&disk, &bodies, &file, 0, 512);
        assert!(left.len() >= kept, "{left:?}");
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_damage() {
    let (disk, bodies) = twenty(4 * 1024);
    let name = disk.contents().into_keys().find(|it| it.ends_with(".snap"));
    let name = name.expect("there is one");
    disk.spoil(&name, 0);
    refused_and_repaired(&disk, &bodies, &name, 0, 512);
    assert!(disk.contents().contains_key(&format!("{name}.damaged")));
}

#[test]
fn an_identity_that_cannot_be_read_is_damage() {
    let (disk, bodies) = twenty(4 * 1024);
    disk.spoil("store", 0);
    let (left, _) = refused_and_repaired(&disk, &bodies, "store", 0, 512);
    assert_eq!(left.len(), 20);
}

/// Where a hard disk leaves it: in the sector in which the log ends, and with it maybe the end of what was durable.
#[test]
fn a_sector_that_cannot_be_read_at_the_end_of_the_log_is_damage() {
    let (disk, bodies) = twenty(64 * 1024);
    let (file, at) = middle(&disk, 20);
    disk.spoil(&file, at + 640);
    let (left, _) = refused_and_repaired(&disk, &bodies, &file, at - 1_000, at + 1_152);
    assert_eq!(left, all_but(19));
}

/// Behind the end of the log nothing was stored.
#[test]
fn a_sector_that_cannot_be_read_behind_the_end_of_the_log_is_written_over() {
    let (disk, bodies) = twenty(64 * 1024);
    let (file, at) = middle(&disk, 20);
    disk.spoil(&file, at + 4_096);
    let mut store = Opened::again(&disk, &options(Durability::Fsync));
    assert_eq!(readable(&store.log, &bodies).len(), 20);
    for number in 100..120 {
        store.queue(number, 1_200);
    }
    drop(store);
    let (log, _) = open(&disk.kill(), &options(Durability::Fsync)).unwrap();
    assert_eq!(readable(&log, &bodies).len(), 20);
}

/// One old message that cannot be read any more is no reason to acknowledge nothing.
#[test]
fn a_message_that_cannot_be_copied_forward_stays_where_it_is() {
    let options = options(Durability::Fsync);
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    let mut bodies = vec![];
    for number in 1..400 {
        let body = store.queue(number, 1_200);
        let copy = store.handle.latest();
        if number % 10 == 1 {
            bodies.push(body);
        } else {
            store.handle.record(&Record::Done {
                receiver: WHO,
                copy,
            });
        }
        if number == 3 {
            let (file, at) = middle(&disk, 1);
            disk.spoil(&file, at);
        }
        store.aside();
    }
    assert_eq!(store.log.failed(), None);
    let left = readable(&store.log, &bodies);
    assert_eq!(left, (1..bodies.len()).collect::<Vec<_>>());
    // The segments of the others are free again.
    assert!(disk.contents().len() < 70, "{}", disk.contents().len());
}

/// A large message in a segment of its own length is copied forward as well, and its segment goes.
#[test]
fn a_large_message_is_copied_forward() {
    let options = options(Durability::Fsync);
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    let mut copies = vec![];
    let mut body = Commit::default();
    for number in 0..5 {
        let message = Message::new("t", &[], &[number; 6_000], QoS::AtLeastOnce, false);
        copies.push(store.handle.record(&Record::Queued {
            receiver: WHO,
            message: &Arc::new(message),
            qos: QoS::AtLeastOnce,
            retain: false,
            ids: &[],
            group: None,
        }));
        body = store.handle.body();
    }
    copies.pop();
    store.commit();
    store.aside();
    for copy in copies {
        store.handle.record(&Record::Done {
            receiver: WHO,
            copy,
        });
    }
    let large: Vec<_> = disk.contents().into_iter().collect();
    let large = large.iter().find(|(_, bytes)| bytes.len() > 30_000);
    let (name, _) = large.expect("they stand together");
    for number in 1..60 {
        store.queue(number, 300);
        let copy = store.handle.latest();
        store.handle.record(&Record::Done {
            receiver: WHO,
            copy,
        });
        store.aside();
    }
    assert_eq!(store.log.failed(), None);
    assert_eq!(readable(&store.log, &[body]), [0]);
    let names: Vec<_> = disk.contents().into_keys().collect();
    assert!(!names.contains(name), "{name} in {names:?}");
    let before = disk.counters().bytes_read;
    for number in 60..70 {
        store.queue(number, 8);
    }
    assert_eq!(disk.counters().bytes_read, before);
}

/// A start after a crash writes again what nothing proves to be durable: with one sync for each file, however many groups that are.
#[test]
fn a_start_syncs_a_file_once() {
    let mut options = options(Durability::Os);
    options.segment_bytes = 64 * 1024;
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    for number in 0..500 {
        store.queue(number, 40);
    }
    drop(store);
    let disk = disk.kill();
    let before = disk.counters().syncs;
    let (_, report) = open(&disk, &options).unwrap();
    assert!(report.groups > 400);
    assert!(
        disk.counters().syncs - before < 5,
        "{}",
        disk.counters().syncs - before
    );
}

/// What was told to be stored is not called what nobody was told of.
#[test]
fn with_os_it_is_said_how_much_is_lost() {
    let mut options = options(Durability::Os);
    options.segment_bytes = 64 * 1024;
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    let bodies: Vec<_> = (1..21).map(|number| store.queue(number, 1_200)).collect();
    drop(store);
    let disk = disk.kill();
    let (file, at) = middle(&disk, 10);
    disk.flip(&file, at, 1);
    let (log, report) = open(&disk, &options).unwrap();
    assert_eq!(readable(&log, &bodies).len(), 9);
    let notes = report.notes.join("\n");
    assert!(notes.contains("groups 11 to 21"), "{notes}");
    assert!(!notes.contains("nobody was told"), "{notes}");
}

/// A later sync says that what is damaged was durable, wherever it stands.
#[test]
fn damage_is_seen_by_a_sync_of_much_later() {
    let options = options(Durability::Os);
    let disk = SimDisk::new(1);
    let mut store = Opened::new(&disk, &options);
    store.aside();
    // The snapshot that is due in the second segment syncs the log; it gets no name.
    let bodies: Vec<_> = (1..5).map(|number| store.queue(number, 1_200)).collect();
    for number in 5..8 {
        store.queue(number, 8);
    }
    drop(store);
    let disk = disk.kill();
    assert!(!disk.contents().into_keys().any(|it| it.ends_with(".snap")));
    let (file, at) = middle(&disk, 2);
    disk.flip(&file, at, 1);
    let error = refused(&disk, &options);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let mut options = options.clone();
    options.repair = true;
    let (log, _) = open(&disk, &options).unwrap();
    assert_eq!(readable(&log, &bodies), [0, 2, 3]);
}

/// A repair keeps everything that it gives up, also what an earlier one has kept.
#[test]
fn a_repair_keeps_what_it_sets_aside() {
    let (disk, _) = twenty(64 * 1024);
    let (file, at) = middle(&disk, 10);
    disk.flip(&file, at, 1);
    let first = disk.contents()[&file].clone();
    open(&disk, &repairing()).unwrap();
    let mut store = Opened::again(&disk, &options(Durability::Fsync));
    for number in 100..104 {
        store.queue(number, 1_200);
    }
    drop(store);
    let (again, at) = middle(&disk, 101);
    assert_eq!(again, file);
    disk.flip(&file, at, 1);
    let second = disk.contents()[&file].clone();
    open(&disk, &repairing()).unwrap();
    let contents = disk.contents();
    let kept: Vec<_> = contents
        .iter()
        .filter(|(name, _)| name.contains(".damaged"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert!(
        kept.contains(&&first) && kept.contains(&&second),
        "{}",
        kept.len()
    );
}

#[test]
fn a_repair_sets_every_damaged_file_aside() {
    let (disk, _) = twenty(4 * 1024);
    let mut files = vec![];
    for message in [2, 8, 20] {
        let (file, at) = middle(&disk, message);
        disk.flip(&file, at, 1);
        files.push(file);
    }
    open(&disk, &repairing()).unwrap();
    for file in files {
        assert!(
            disk.contents().contains_key(&format!("{file}.damaged")),
            "{file}"
        );
    }
}

/// A repair that says that it is done is done, whatever cannot be written meanwhile.
#[test]
fn a_repair_that_cannot_be_written_is_an_error() {
    let mut refused = 0;
    for after in 0..8 {
        for call in [Call::Create, Call::Rename, Call::SyncNames] {
            let (disk, _) = twenty(4 * 1024);
            let (file, at) = middle(&disk, 2);
            disk.flip(&file, at, 1);
            disk.fail(call, after, 1_000, std::io::ErrorKind::StorageFull);
            let repaired = open(&disk, &repairing());
            disk.mend();
            match repaired {
                Ok((log, _)) => {
                    drop(log);
                    open(&disk.kill(), &options(Durability::Fsync)).unwrap();
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 2);
}

#[test]
fn a_repair_helps_when_all_but_the_identity_is_gone() {
    let (disk, _) = twenty(4 * 1024);
    for name in disk.contents().into_keys().filter(|name| name != "store") {
        disk.files().remove(&name).unwrap();
    }
    let error = refused(&disk, &options(Durability::Fsync));
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    let (_, report) = open(&disk, &repairing()).unwrap();
    assert!(!report.lost.is_empty());
    open(&disk.kill(), &options(Durability::Fsync)).unwrap();
}

/// Places in a segment have 32 bits.
#[test]
fn a_segment_has_a_sensible_length() {
    for bytes in [0, 41, 4_095, (1 << 30) + 1, 8 << 30] {
        let mut options = Options::default();
        options.segment_bytes = bytes;
        let disk = SimDisk::new(1);
        let error = refused(&disk, &options).to_string();
        assert!(error.contains(&bytes.to_string()), "{error}");
        assert!(disk.contents().is_empty());
    }
}
