//! A client of MQTT 3.1.1 with every QoS.
#![no_std]
#![no_main]

use mqtt_codec::Version;
use mqtt_session::profile::V3;

mqtt_size::start!(main);
mqtt_size::facts!(V3);

fn main() -> ! {
    mqtt_size::session::run::<V3>(Version::V311)
}
