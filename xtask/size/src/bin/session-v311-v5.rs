//! A client of MQTT 3.1.1 and 5.0 with every QoS: the version is chosen when it runs.
#![no_std]
#![no_main]

use mqtt_codec::Version;
use mqtt_session::profile::V3V5;

mqtt_size::start!(main);
mqtt_size::facts!(V3V5);

fn main() -> ! {
    let v5 = mqtt_size::wire::take() != [0; 4];
    mqtt_size::session::run::<V3V5>(if v5 { Version::V5 } else { Version::V311 })
}
