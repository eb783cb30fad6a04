//! An async MQTT client.
