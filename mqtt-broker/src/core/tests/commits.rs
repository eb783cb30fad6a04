//! A store whose commits come late.
