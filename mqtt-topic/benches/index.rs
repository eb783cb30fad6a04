//! Times of the indexes, with what fits into the cache and with what does not: `cargo bench -p mqtt-topic`.

fn main() {
    let mut ops = Vec::new();
    for (subscriptions, label) in [(10_000, "10,000"), (1_000_000, "1,000,000")] {
        for op in mqtt_cases::topic::ops(subscriptions) {
            let name = format!("{}, {label} in the index", op.name);
            ops.push(op.named(name));
        }
    }
    mqtt_cases::timed::main("topic", ops);
}
