//! The applications as programs, on this computer and on a board in QEMU, against Mosquitto and the broker of this project.

#[path = "apps/stage.rs"]
mod stage;

use std::collections::BTreeSet;

use firmware_harness::Heard;
use firmware_harness::Machine::{Lm3s6965evb, Uno};
use stage::{BROKERS, PATIENCE, Stage, Where, Which, skipped};

/// The second in which a reading was taken.
fn second(heard: &Heard) -> u32 {
    let second = heard
        .payload
        .split_once(' ')
        .filter(|(_, degrees)| degrees.parse::<f32>().is_ok_and(f32::is_finite))
        .and_then(|(second, _)| second.parse().ok());
    second.unwrap_or_else(|| panic!("no reading: {heard:?}"))
}

/// Calls this for every place and broker, all at once: most of the time they wait for seconds to pass.
fn everywhere(places: &[Where], run: impl Fn(Where, Which) + Sync) {
    std::thread::scope(|scope| {
        for place in places {
            for broker in BROKERS {
                let run = &run;
                scope.spawn(move || run(*place, broker));
            }
        }
    });
}

/// Readings as often as commanded, and bad commands answered; then the power fails.
fn a_thermometer_reports_obeys_and_is_missed(mut stage: Stage) {
    let status = stage.expect("status", PATIENCE);
    assert_eq!(status.payload, "online", "{stage}");
    stage.command(b"1");
    // One that was taken before the command may still be on its way.
    let mut last = second(&stage.expect("temperature", PATIENCE));
    let mut steps = Vec::new();
    while steps.len() < 4 {
        let next = second(&stage.expect("temperature", PATIENCE));
        steps.push(next - last);
        last = next;
    }
    let quick = steps.iter().filter(|step| (1..=2).contains(*step)).count();
    assert!(quick >= 3, "{stage}: {steps:?} seconds between readings");

    let long = [b'1'; 700];
    for bad in [&b"soon"[..], b"", b"0", b"3601", b"-1", b"\xff\xfe", &long] {
        stage.command(bad);
        let answer = stage.expect("error", PATIENCE);
        assert_eq!(answer.payload, "set: seconds from 1 to 3600", "{stage}");
    }
    // It goes on as before.
    let first = second(&stage.expect("temperature", PATIENCE));
    let mut last = first;
    for _ in 0..3 {
        last = second(&stage.expect("temperature", PATIENCE));
    }
    // Each is due a second after the one before; on a busy computer one may be late, and the next in the same second.
    assert!(
        (2..=6).contains(&(last - first)),
        "{stage}: {first}, {last}"
    );

    stage.pull_the_plug();
    let status = stage.expect("status", PATIENCE);
    assert_eq!(status.payload, "offline", "{stage}");
    let kept = stage.kept("status");
    assert_eq!((&*kept.payload, kept.retain), ("offline", true), "{stage}");
}

#[test]
fn a_sensor_reports_obeys_and_is_missed() {
    if skipped("a_sensor_reports_obeys_and_is_missed") {
        return;
    }
    let places = [Where::Here, Where::Line(Lm3s6965evb), Where::Line(Uno)];
    everywhere(&places, |place, broker| {
        let stage = Stage::new(broker, place, "sensor", "plant1/sensor4", &[]);
        a_thermometer_reports_obeys_and_is_missed(stage);
    });
}

#[test]
fn a_tracker_reports_obeys_and_is_missed() {
    if skipped("a_tracker_reports_obeys_and_is_missed") {
        return;
    }
    let places = [Where::Modem(Lm3s6965evb), Where::Modem(Uno)];
    everywhere(&places, |place, broker| {
        let stage = Stage::new(broker, place, "tracker", "lorry7", &["--pin", "1234"]);
        a_thermometer_reports_obeys_and_is_missed(stage);
    });
}

/// The connection breaks in the middle of a reading: that one arrives, and so do those that are taken meanwhile.
#[test]
fn readings_of_a_tracker_outlive_its_connection() {
    if skipped("readings_of_a_tracker_outlive_its_connection") {
        return;
    }
    /// What is commanded, in seconds: longer than a dial takes, so that none is left out for that.
    const INTERVAL: u32 = 3;
    everywhere(&[Where::Modem(Lm3s6965evb)], |place, broker| {
        // A reading and its acknowledgement are 34 or 35 bytes, and 30 or 31 of them are the reading.
        let cut = if broker == Which::Ours { "301" } else { "318" };
        let faults = ["--pin", "1234", "--latency", "5", "--cut", cut];
        let mut stage = Stage::new(broker, place, "tracker", "lorry7", &faults);
        let status = stage.expect("status", PATIENCE);
        assert_eq!(status.payload, "online", "{stage}");
        stage.command(b"3");
        let (mut seconds, mut statuses) = (BTreeSet::new(), Vec::new());
        let mut end = u32::MAX;
        while seconds.last().is_none_or(|last| *last < end) {
            let heard = stage.next(PATIENCE);
            if heard.topic.ends_with("/temperature") {
                seconds.insert(second(&heard));
            } else if heard.topic.ends_with("/status") {
                statuses.push(heard.payload);
                let last = seconds.last().copied().unwrap_or_default();
                end = last + 4 * INTERVAL;
            }
        }
        assert_eq!(statuses, ["offline", "online"], "{stage}");
        let seconds: Vec<u32> = seconds.into_iter().collect();
        let steps = seconds.windows(2).map(|pair| pair[1] - pair[0]);
        // The first may have been taken before the command.
        let lost = steps.skip(1).any(|step| step >= 2 * INTERVAL);
        assert!(!lost, "{stage}: readings of the seconds {seconds:?}");
    });
}

/// Readings come in packs, each reading once a second and in order, over connections that end with a goodbye.
#[test]
fn packs_of_a_solar_sensor_arrive() {
    if skipped("packs_of_a_solar_sensor_arrive") {
        return;
    }
    let places = [Where::Here, Where::Line(Lm3s6965evb), Where::Line(Uno)];
    everywhere(&places, |place, broker| {
        let mut stage = Stage::new(broker, place, "solar", "field3", &[]);
        let mut last = None;
        for _ in 0..2 {
            let pack = stage.expect("temperature", PATIENCE);
            let readings = pack.payload.lines();
            assert_eq!(readings.clone().count(), 6, "{stage}: {pack:?}");
            for reading in readings {
                let reading = Heard {
                    payload: reading.to_owned(),
                    ..pack.clone()
                };
                let next = second(&reading);
                assert!(last.is_none_or(|last| last < next), "{stage}: {pack:?}");
                last = Some(next);
            }
        }
    });
}
