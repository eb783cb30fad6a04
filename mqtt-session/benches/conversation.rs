//! Times of whole exchanges, bytes in and answer out: `cargo bench -p mqtt-session`.

fn main() {
    mqtt_cases::timed::main("session", mqtt_cases::session_ops());
}
