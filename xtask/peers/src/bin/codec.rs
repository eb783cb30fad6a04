//! `cargo xtask bench codec`.
fn main() {}
