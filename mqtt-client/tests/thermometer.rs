//! The example `thermometer` beside Mosquitto: it measures, obeys, and says when it goes.

use std::path::PathBuf;
use std::process::Command;

mod support;
use support::process::{Mosquitto, Process};

/// Where cargo has put the example: it builds examples before it runs tests.
fn example() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test is a file");
    path.pop();
    path.pop();
    path.join("examples/thermometer")
}

#[test]
fn the_thermometer_measures_and_obeys() {
    let Some(broker) = Mosquitto::start("the_thermometer_measures_and_obeys", "") else {
        return;
    };
    let watcher = broker.subscriber(&["-t", "lab/#", "-q", "1"]);
    let address = format!("127.0.0.1:{}", broker.port);
    let thermometer = Process::start(Command::new(example()).args([&*address, "lab"]));
    thermometer.says("lab measures");
    watcher.says("MSG lab/state|1|0|here");
    watcher.says("MSG lab/temperature|1|0|20.0");
    // The first interval is a minute: a second reading shows that the command was obeyed.
    broker.publish(&["-t", "lab/set/interval", "-m", "1"]);
    watcher.says("MSG lab/temperature|1|0|20.1");
    broker.publish(&["-t", "lab/set/interval", "-m", "often"]);
    thermometer.complains("not a number of seconds");
    broker.publish(&["-t", "lab/set/interval", "-m", "0"]);
    watcher.says("MSG lab/state|1|0|off");
    thermometer.finish().ok();
}
