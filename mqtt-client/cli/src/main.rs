//! The command-line tool mqtt: publish and subscribe.

fn main() {}
