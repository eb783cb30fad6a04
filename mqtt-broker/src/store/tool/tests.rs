//! Import and export of directories: nothing is half there, and looking changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::portable::{Item, Time, Writer};
use super::super::{Log, Options, StoreError};
use super::*;
use crate::store::mosquitto_db::Unclean;
use crate::store::portable::{MessageRef, Queued, Receiver};

/// Every file of a directory but its lock.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn lines(path: &Path) -> Vec<String> {
    let mut writer = Writer::new(Vec::new(), Time::from_millis(0)).unwrap();
    let exported = export(path, &mut |item| writer.item(item)).unwrap();
    assert!(exported.lost.is_empty(), "{:?}", exported.lost);
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    text.lines().map(Into::into).collect()
}

fn import_text(path: &Path, text: &str) -> Result<Imported, ImportError> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("export.jsonl");
    fs::write(&file, text).unwrap();
    import(path, &file, Unclean::Refuse, &mut |_, _| {})
}

/// An export of a session for which so many messages wait; every tenth of them waits for another one too.
fn example(messages: u32) -> String {
    let mut text = [
        r#"{"format":"mqtt-store","version":1,"written":"2026-11-30T15:03:21Z"}"#,
        r#"{"retained":{"message":{"topic":"state","qos":1,"retain":true,"payload":"on"}}}"#,
        r#"{"session":{"client_id":"away","expiry":3600,"used":true,"ends":"2020-01-01T00:00:00.123Z"}}"#,
        r#"{"will":{"client_id":"away","message":{"topic":"w","qos":0,"payload":"gone"},"message_expiry":60,"delay":30,"due":"2020-01-01T00:00:01.000Z"}}"#,
        r#"{"subscription":{"client_id":"away","filter":"$share/g/x","qos":2}}"#,
        r##"{"subscription":{"client_id":"away","filter":"#","qos":1,"id":5}}"##,
        r#"{"session":{"client_id":"other","expiry":"never","connected":true}}"#,
    ]
    .join("\n");
    for receiver in ["away", "other"] {
        for number in 0..messages {
            let shared = number % 10 == 0;
            if receiver == "other" && !shared {
                continue;
            }
            let message = match (receiver, shared) {
                ("other", _) => format!("{}", number + 1),
                (_, true) => {
                    let id = number + 1;
                    text.push_str(&format!(
                        "\n{{\"message\":{{\"id\":{id},\"topic\":\"t\",\"qos\":1,\"payload\":\"{number}\"}}}}"
                    ));
                    format!("{id}")
                }
                (_, false) => format!(
                    r#"{{"topic":"t","qos":2,"expires":"2027-01-01T00:00:00.{:03}Z","payload":"{number}"}}"#,
                    number % 1000
                ),
            };
            text.push_str(&format!(
                "\n{{\"queued\":{{\"client_id\":\"{receiver}\",\"qos\":1,\"message\":{message}}}}}"
            ));
        }
    }
    text.push_str("\n{\"queued\":{\"group\":\"$share/g/x\",\"qos\":2,\"message\":{\"topic\":\"x\",\"qos\":2,\"payload\":\"any\"}}}");
    text.push_str("\n{\"handshake\":{\"client_id\":\"away\",\"packet_id\":7,\"state\":\"releasing\"}}\n{\"end\":{}}\n");
    text
}

/// What is exported makes a store that exports the same: times that are over included, and one copy of a message that several wait for.
#[test]
fn an_export_makes_the_same_store() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("a"), place.path().join("b"));
    let imported = import_text(&first, &example(25)).unwrap();
    let recorded = imported.recorded;
    assert_eq!(
        (recorded.sessions, recorded.queued, recorded.subscriptions),
        (2, 25 + 3 + 1, 2)
    );
    let before = files(&first);
    let exported = lines(&first);
    assert!(
        exported[2].contains(r#""ends":"2020-01-01T00:00:00.123Z""#),
        "{}",
        exported[2]
    );
    import_text(&second, &exported.join("\n")).unwrap();
    assert_eq!(lines(&second), exported);
    assert_eq!(files(&first), before, "reading changed it");
    let stats = stats(&second).unwrap();
    assert_eq!((stats.queued, stats.messages), (29, 25 + 1 + 1 + 1));
    assert_eq!((stats.sessions, stats.connected, stats.groups), (2, 1, 1));
    assert_eq!((stats.retained, stats.wills, stats.handshakes), (1, 1, 1));
    assert_eq!(stats.longest_queues[0].receiver, "away");
}

/// Without the lines of a session it is the same store without that session: what others share with it comes.
#[test]
fn a_session_can_be_left_out() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("a"), place.path().join("b"));
    import_text(&first, &example(25)).unwrap();
    let mut exported = lines(&first);
    exported.retain(|line| !line.contains(r#""client_id":"away""#));
    let end = exported.pop().unwrap();
    assert!(end.starts_with(r#"{"end":"#), "{end}");
    exported.push(r#"{"end":{}}"#.to_owned());
    let imported = import_text(&second, &exported.join("\n")).unwrap();
    // That waited for any member of a group, and the session was the only one.
    assert_eq!(imported.without_group, 1);
    let stats = stats(&second).unwrap();
    assert_eq!(
        (stats.sessions, stats.queued, stats.messages),
        (1, 3, 3 + 1)
    );
    assert_eq!((stats.groups, stats.wills, stats.handshakes), (0, 0, 0));
}

/// More than a batch, a group and a segment; messages with numbers are fetched back when they would take too much memory.
#[test]
fn a_large_import_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("large");
    let mut text = example(0);
    text.truncate(text.find("\n{\"queued\"").unwrap());
    let payload = "x".repeat(10_000);
    for number in 1..=4_000 {
        text.push_str(&format!(
            "\n{{\"message\":{{\"id\":{number},\"topic\":\"t\",\"qos\":1,\"payload\":\"{number} {payload}\"}}}}\n{{\"queued\":{{\"client_id\":\"away\",\"qos\":1,\"message\":{number}}}}}"
        ));
    }
    for number in 1..=4_000 {
        text.push_str(&format!(
            "\n{{\"queued\":{{\"client_id\":\"other\",\"qos\":1,\"message\":{number}}}}}"
        ));
    }
    text.push_str("\n{\"end\":{}}\n");
    import_text(&path, &text).unwrap();
    let stats = stats(&path).unwrap();
    assert_eq!((stats.queued, stats.messages), (8_000, 4_000 + 2));
    assert!(stats.segments > 4, "{stats:?}");
    let mut expected = BTreeMap::new();
    let exported = export(&path, &mut |item| {
        if let Item::Queued(Queued {
            receiver: Receiver::Client(id),
            message,
            ..
        }) = item
        {
            let place: &mut u64 = expected.entry(id).or_default();
            *place += 1;
            let number = match message {
                MessageRef::Whole(message) => {
                    let text = String::from_utf8(message.payload).unwrap();
                    text.split(' ').next().unwrap().parse().unwrap()
                }
                MessageRef::Again(_) => *place,
            };
            assert_eq!(number, *place, "in order");
        }
        Ok(())
    });
    assert!(exported.unwrap().lost.is_empty());
    assert_eq!(expected.into_values().collect::<Vec<_>>(), [4_000, 4_000]);
}

/// Whatever stops an import, there is no store then; a directory that was there stays, empty.
#[test]
fn a_failed_import_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("new");
    let whole = example(3_000);
    let cut = &whole[..whole.len() - 20];
    assert!(matches!(
        import_text(&path, cut),
        Err(ImportError::Portable { .. })
    ));
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    assert!(import_text(&path, cut).is_err());
    let left: Vec<String> = files(&path).into_keys().collect();
    assert_eq!(left, ["lock"]);
    import_text(&path, &whole).unwrap();
    let refused = import_text(&path, &whole);
    assert!(matches!(
        refused,
        Err(ImportError::Store(StoreError::NotEmpty { .. }))
    ));
}

/// A process that was killed during an import leaves something that nobody takes for a store.
#[test]
fn an_interrupted_import_is_no_store() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    import_text(path, &example(10)).unwrap();
    fs::rename(path.join("store"), path.join("store.import")).unwrap();
    let before = files(path);
    let opened = Log::open_directory(path, &Options::default(), 0);
    let error = opened.expect_err("it is not whole").to_string();
    assert!(
        error.contains("an import into this directory was interrupted"),
        "{error}"
    );
    for repair in [false, true] {
        let options = Options {
            repair,
            ..Options::default()
        };
        assert!(Log::open_directory(path, &options, 0).is_err());
    }
    assert!(matches!(check(path), Err(StoreError::Unfinished)));
    assert!(matches!(stats(path), Err(StoreError::Unfinished)));
    let again = import_text(path, &example(10));
    assert!(matches!(
        again,
        Err(ImportError::Store(StoreError::Unfinished))
    ));
    assert_eq!(files(path), before, "looking changed it");
}

/// Damage is found and told, with what a repair would cost; nothing is changed.
#[test]
fn a_check_finds_damage_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    import_text(path, &example(2_500)).unwrap();
    let whole = check(path).unwrap();
    assert!(whole.damage.is_none() && whole.lost.is_empty());
    assert_eq!((whole.sessions, whole.messages), (2, 2_500 + 3));
    let log = path.join("0000000001.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let before = files(path);
    let checked = check(path).unwrap();
    let damage = checked.damage.expect("a bit is flipped");
    assert!(matches!(damage, StoreError::Damaged { .. }), "{damage}");
    assert!(!checked.lost.is_empty());
    assert!(export(path, &mut |_| Ok(())).is_err());
    assert_eq!(files(path), before, "looking changed it");
}

#[test]
fn where_no_store_is_nothing_is_made() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    for path in [&missing, place.path()] {
        assert!(matches!(check(path), Err(StoreError::NoStore { .. })));
        assert!(matches!(stats(path), Err(StoreError::NoStore { .. })));
        let exported = export(path, &mut |_| Ok(()));
        assert!(matches!(exported, Err(StoreError::NoStore { .. })));
    }
    assert!(!missing.exists());
    assert_eq!(files(place.path()).len(), 0);
}
