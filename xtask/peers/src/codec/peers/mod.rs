//! The peers, one file each.

mod mountain_mqtt;
mod mqtt5_protocol;
mod mqtt_proto;
mod mqtt_protocol_core;
mod mqtt_tiny;
mod mqttbytes;
mod mqttrs;
mod rmqtt_codec;
mod rumqttc;

use super::adapter::Adapter;

/// Every peer, once for each version that it speaks.
#[must_use]
pub fn all() -> Vec<Adapter> {
    let mut all = Vec::new();
    all.extend(rumqttc::ADAPTERS);
    all.extend(mqttbytes::ADAPTERS);
    all.extend(mqttrs::ADAPTERS);
    all.extend(mqtt_protocol_core::ADAPTERS);
    all.extend(mqtt5_protocol::ADAPTERS);
    all.extend(rmqtt_codec::ADAPTERS);
    all.extend(mqtt_proto::ADAPTERS);
    all.extend(mountain_mqtt::ADAPTERS);
    all.extend(mqtt_tiny::ADAPTERS);
    all
}
