//! Pages to read: the loop, resuming, persistence.

pub mod persistence;
pub mod resume;
pub mod run_loop;
