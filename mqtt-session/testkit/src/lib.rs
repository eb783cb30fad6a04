//! Virtual time, seeded links and reference models for testing MQTT state machines.
