//! Pages to read: the loop, resuming, persistence.
