//! A client of MQTT 3.1.1 with QoS 0 and 1.
#![no_std]
#![no_main]

use mqtt_codec::Version;
use mqtt_session::profile::V3QoS1;

mqtt_size::start!(main);
mqtt_size::facts!(V3QoS1);

fn main() -> ! {
    mqtt_size::session::run::<V3QoS1>(Version::V311)
}
