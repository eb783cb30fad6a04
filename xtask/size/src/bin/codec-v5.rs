//! The codec alone, as a client of MQTT 5.0 uses it: three packets written, every packet of a server read.
#![no_std]
#![no_main]

use mqtt_codec::OnlyV5;

mqtt_size::start!(main);

fn main() -> ! {
    mqtt_size::codec::run(OnlyV5)
}
