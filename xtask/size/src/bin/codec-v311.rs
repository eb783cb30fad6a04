//! The codec alone, as a client of MQTT 3.1.1 uses it: three packets written, every packet of a server read.
#![no_std]
#![no_main]

use mqtt_codec::OnlyV311;

mqtt_size::start!(main);

fn main() -> ! {
    mqtt_size::codec::run(OnlyV311)
}
