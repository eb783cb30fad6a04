//! A second connection with the same client id.
