//! Validates, matches and indexes MQTT topics.
#![no_std]
