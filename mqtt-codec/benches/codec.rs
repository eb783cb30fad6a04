//! Times of reading and writing packets: `cargo bench -p mqtt-codec`.

fn main() {
    mqtt_cases::timed::main("codec", mqtt_cases::codec_ops());
}
