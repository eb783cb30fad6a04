//! What the disk promises to those who test on it.

use std::collections::BTreeSet;
use std::io;

use mqtt_broker::store::File;

use super::*;
use crate::rng::seeds;

fn text(disk: &SimDisk, name: &str) -> Option<String> {
    let bytes = disk.contents().remove(name)?;
    Some(String::from_utf8(bytes).unwrap())
}

fn make(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.create(name).unwrap();
    assert_eq!(file.write_at(bytes, 0).unwrap(), bytes.len());
    file
}

/// All that a crash at this moment may leave of a file, as far as seeds find it.
fn after_crashes(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let mut found = BTreeSet::new();
    for seed in 0..500 {
        let mut contents = disk.crash(&mut Rng::new(seed)).contents();
        found.insert(contents.remove(name));
    }
    found
}

#[test]
fn what_is_synced_survives_and_what_is_not_may() {
    let disk = SimDisk::new(1);
    let file = make(&disk, "a", b"kept");
    file.sync().unwrap();
    assert_eq!(
        after_crashes(&disk, "a"),
        [None, Some(b"kept".to_vec())].into(),
        "the name is not synced"
    );
    disk.sync_names().unwrap();
    assert_eq!(after_crashes(&disk, "a"), [Some(b"kept".to_vec())].into());
    file.write_at(b"more", 4).unwrap();
    let left = after_crashes(&disk, "a");
    for lost in [&b"kept"[..], b"keptmore", b"kept\0\0\0\0"] {
        assert!(left.contains(&Some(lost.to_vec())), "{left:?}");
    }
    let kept = |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(|it| it.starts_with(b"kept"));
    assert!(left.iter().all(kept), "{left:?}");
}

/// Sectors are kept or lost one by one, in any order; a disk that writes in order is one of the possibilities.
#[test]
fn every_mix_of_sectors_may_be_left() {
    let disk = SimDisk::new(1);
    let file = make(&disk, "a", &[b'0'; 3 * SECTOR]);
    file.sync().unwrap();
    disk.sync_names().unwrap();
    for sector in 0..3 {
        file.write_at(&[b'1'; SECTOR], sector * SECTOR as u64)
            .unwrap();
    }
    let mut mixes = BTreeSet::new();
    let mut torn = 0;
    for bytes in after_crashes(&disk, "a").into_iter().flatten() {
        let sectors: Vec<&[u8]> = bytes.chunks(SECTOR).collect();
        assert_eq!(sectors.len(), 3);
        if sectors
            .iter()
            .all(|it| it.iter().all(|byte| *byte == it[0]))
        {
            mixes.insert([sectors[0][0], sectors[1][0], sectors[2][0]]);
        } else {
            torn += 1;
        }
    }
    assert_eq!(mixes.len(), 8, "{mixes:?}");
    assert!(torn > 0);
}

#[test]
fn of_a_sector_that_was_written_often_any_version_may_be_left() {
    let disk = SimDisk::new(1);
    let file = make(&disk, "a", b"0");
    file.sync().unwrap();
    disk.sync_names().unwrap();
    for version in [b"1", b"2", b"3"] {
        file.write_at(version, 0).unwrap();
    }
    let left: Vec<_> = after_crashes(&disk, "a").into_iter().flatten().collect();
    assert_eq!(left, [b"0", b"1", b"2", b"3"]);
}

#[test]
fn names_are_kept_or_lost_one_by_one() {
    let disk = SimDisk::new(1);
    make(&disk, "old", b"old").sync().unwrap();
    disk.sync_names().unwrap();
    make(&disk, "new.tmp", b"new").sync().unwrap();
    disk.rename("new.tmp", "new").unwrap();
    disk.remove("old").unwrap();
    let mut left = BTreeSet::new();
    for seed in 0..500 {
        let contents = disk.crash(&mut Rng::new(seed)).contents();
        for (name, bytes) in &contents {
            let expected: &[u8] = if name == "old" { b"old" } else { b"new" };
            assert_eq!(bytes, expected);
        }
        left.insert(contents.into_keys().collect::<Vec<_>>().join(" "));
    }
    let all = ["", "new", "new old", "new.tmp", "new.tmp old", "old"];
    assert!(left.iter().eq(all), "{left:?}");
    disk.sync_names().unwrap();
    let contents = disk.crash(&mut Rng::new(0)).contents();
    assert!(contents.into_keys().eq(["new"]));
}

/// A rename over another file leaves one of the two, never none.
#[test]
fn a_rename_replaces() {
    let disk = SimDisk::new(1);
    make(&disk, "a", b"1").sync().unwrap();
    make(&disk, "b", b"2").sync().unwrap();
    disk.sync_names().unwrap();
    disk.rename("b", "a").unwrap();
    assert_eq!(
        after_crashes(&disk, "a"),
        [Some(b"1".to_vec()), Some(b"2".to_vec())].into()
    );
}

#[test]
fn the_death_of_the_process_alone_loses_nothing_and_syncs_nothing() {
    let disk = SimDisk::new(1);
    make(&disk, "a", b"written");
    let after = disk.kill();
    assert_eq!(text(&after, "a").as_deref(), Some("written"));
    assert!(after_crashes(&after, "a").contains(&None));
    // The dead process has no part in it.
    make(&disk, "a", b"else");
    assert_eq!(text(&after, "a").as_deref(), Some("written"));
}

#[test]
fn a_run_can_be_cut_in_the_middle_of_every_call() {
    let disk = SimDisk::new(3);
    disk.watch(Watch::Everything);
    let file = make(&disk, "a", b"12345678");
    file.sync().unwrap();
    disk.sync_names().unwrap();
    let moments = disk.moments();
    let calls: Vec<Call> = moments.iter().map(|moment| moment.call).collect();
    assert_eq!(
        calls,
        [Call::Create, Call::Write, Call::Sync, Call::SyncNames]
    );
    assert_eq!(text(&moments[0].disk, "a"), None);
    let partly = text(&moments[1].disk, "a").unwrap();
    assert!(
        "12345678".starts_with(&partly) && partly.len() < 8,
        "{partly}"
    );
    assert!(
        after_crashes(&moments[2].disk, "a").len() > 2,
        "not yet synced"
    );
    disk.watch(Watch::Syncs);
    file.write_at(b"9", 8).unwrap();
    file.sync().unwrap();
    let moments = disk.moments();
    assert_eq!((moments.len(), moments[0].number), (1, disk.calls()));
    assert_eq!(text(&moments[0].disk, "a").as_deref(), Some("123456789"));
}

/// After a sync that failed the next one says that all is well, which it is not.
#[test]
fn a_failed_sync_loses_what_it_should_have_synced() {
    let mut lost = 0;
    seeds("failed sync", 100, |seed| {
        let disk = SimDisk::new(seed);
        disk.sync_names().unwrap();
        let file = make(&disk, "a", b"old");
        file.sync().unwrap();
        disk.sync_names().unwrap();
        file.write_at(b"new", 0).unwrap();
        disk.fail(Call::Sync, 0, 1, io::ErrorKind::Other);
        file.sync().unwrap_err();
        file.sync().unwrap();
        let after: Vec<_> = after_crashes(&disk, "a").into_iter().collect();
        assert_eq!(after.len(), 1, "it is decided: {after:?}");
        lost += u32::from(after[0].as_deref() != Some(b"new"));
    });
    assert!((10..90).contains(&lost), "{lost}");
}

#[test]
fn calls_fail_as_planned() {
    let disk = SimDisk::new(1);
    disk.fail(Call::Write, 1, 2, io::ErrorKind::Other);
    let file = make(&disk, "a", b"1");
    file.write_at(b"22", 1).unwrap_err();
    file.write_at(b"22", 1).unwrap_err();
    file.write_at(b"22", 1).unwrap();
    assert_eq!(text(&disk, "a").as_deref(), Some("122"));
    disk.fail(Call::Read, 0, u64::MAX, io::ErrorKind::Other);
    let mut buffer = [0; 9];
    file.read_at(&mut buffer, 0).unwrap_err();
    disk.mend();
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
    disk.spoil("a", 0);
    file.read_at(&mut buffer, 1).unwrap_err();
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again() {
    let disk = SimDisk::new(1);
    disk.limit(Some(1_000));
    let file = make(&disk, "a", &[1; 600]);
    assert_eq!(file.write_at(&[2; 600], 600).unwrap(), 400);
    let error = file.write_at(&[2; 600], 1_000).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[3; 600], 100).unwrap(), 600, "in place");
    let error = disk.create("b").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    disk.remove("a").unwrap();
    disk.create("b").unwrap_err();
    drop(file);
    make(&disk, "b", &[4; 1_000]);
    assert_eq!(disk.used(), 1_000);
}

#[test]
fn writes_may_be_short() {
    let disk = SimDisk::new(1);
    disk.write_short(2);
    let file = disk.create("a").unwrap();
    let mut taken: Vec<usize> = (0..50)
        .map(|_| file.write_at(&[1; 10], 0).unwrap())
        .collect();
    taken.sort_unstable();
    assert!(
        taken[0] >= 1 && taken[10] < 10 && taken[40] == 10,
        "{taken:?}"
    );
}

/// A file that was removed is read by whoever has it open.
#[test]
fn an_open_file_outlives_its_name() {
    let disk = SimDisk::new(1);
    let file = make(&disk, "a", b"here");
    disk.remove("a").unwrap();
    disk.sync_names().unwrap();
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(&buffer, b"here");
    assert!(disk.contents().is_empty() && disk.list().unwrap().is_empty());
}

/// A full run twice: what is random hangs on seeds alone.
#[test]
fn a_seed_repeats_everything() {
    let run = |seed: u64| {
        let disk = SimDisk::new(seed);
        disk.write_short(3);
        disk.fail(Call::Sync, 5, 1, io::ErrorKind::Other);
        let mut rng = Rng::new(seed);
        for n in 0..200 {
            let name = ["a", "b", "c"][rng.below(3)];
            let file = disk.open(name).or_else(|_| disk.create(name)).unwrap();
            let bytes = vec![n; rng.below(2_000)];
            let _ = file.write_at(&bytes, rng.below(3_000) as u64);
            if rng.one_in(5) {
                let _ = file.sync();
            }
            if rng.one_in(20) {
                disk.sync_names().unwrap();
            }
        }
        (
            disk.list().unwrap(),
            disk.crash(&mut rng).contents(),
            disk.counters(),
        )
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}

/// Against files in memory that know no sectors.
#[test]
fn what_is_read_is_what_was_written() {
    seeds("reads", 50, |seed| {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(seed);
        let file = disk.create("a").unwrap();
        let mut naive: Vec<u8> = vec![];
        for n in 0..100_u8 {
            let (offset, len) = (rng.below(3_000), rng.below(1_500));
            if rng.one_in(3) {
                let mut buffer = vec![7; len];
                let n = file.read_at(&mut buffer, offset as u64).unwrap();
                let expected = naive.get(offset..).unwrap_or_default();
                assert_eq!(buffer[..n], expected[..expected.len().min(len)]);
            } else if rng.one_in(20) {
                disk.create("a").unwrap();
                naive.clear();
            } else {
                file.write_at(&vec![n; len], offset as u64).unwrap();
                if len > 0 {
                    naive.resize(naive.len().max(offset + len), 0);
                    naive[offset..offset + len].fill(n);
                }
            }
            if rng.one_in(10) {
                file.sync().unwrap();
            }
        }
        assert_eq!(disk.contents()["a"], naive);
        let whole = SimDisk::with(&disk.contents(), 1);
        assert_eq!(whole.crash(&mut rng).contents()["a"], naive);
    });
}

#[test]
fn damages_are_all_there() {
    let contents: Contents = [
        ("a".to_owned(), [vec![1; 5_000], vec![0; 3_000]].concat()),
        ("b".to_owned(), vec![2; 10]),
    ]
    .into();
    assert_eq!(bit_flips(&contents).count(), 8_010 * 8);
    let older: Contents = [
        ("a".to_owned(), vec![1; 4_000]),
        ("b".to_owned(), vec![2; 10]),
        ("c".to_owned(), vec![3; 10]),
    ]
    .into();
    let mut seen = BTreeSet::new();
    for damaged in damages(&contents, &older) {
        assert_ne!(damaged.contents, contents, "{}", damaged.what);
        assert!(seen.insert(damaged.what));
    }
    for what in [
        "a is missing",
        "a is empty",
        "a is half as long",
        "a has zeroes behind it",
        "a has 4096 zeroes at 0",
        "a has 4096 zeroes at 4096",
        "a has 512 zeroes at 1024",
        "a is cut at 100",
        "a is cut at 4999",
        "a is an older copy",
        "c has come back",
        "a and b are swapped",
        "b is missing",
        "b has 512 zeroes at 0",
    ] {
        assert!(seen.contains(what), "{what}: {seen:?}");
    }
    assert!(!seen.contains("b is an older copy"), "it is the same");

    let disk = SimDisk::with(&contents, 1);
    disk.flip("a", 4_999, 1);
    assert_eq!(disk.contents()["a"][4_999], 3);
    assert_eq!(disk.crash(&mut Rng::new(1)).contents()["a"][4_999], 3);
}
