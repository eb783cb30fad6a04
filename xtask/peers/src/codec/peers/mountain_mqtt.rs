//! `mountain-mqtt`: 5.0, borrowing from a slice; properties and filters go into vectors of a fixed capacity. Eight of each
//! are enough for the cases, and the least that its packets can be made of.

use mountain_mqtt::codec::mqtt_reader::MqttBufReader;
use mountain_mqtt::codec::mqtt_writer::MqttBufWriter;
use mountain_mqtt::codec::read::Read;
use mountain_mqtt::codec::write::Write;
use mountain_mqtt::packets::packet_generic::PacketGeneric;
use mqtt_codec::Version::V5;

use crate::codec::adapter::{Adapter, Reader, SliceCodec};

pub(super) const ADAPTERS: [Adapter; 1] = [Adapter::slices::<Mountain>("mountain-mqtt", V5)];

struct Mountain;

impl Reader for Mountain {
    type Packet<'a> = PacketGeneric<'a, 8, 8, 8>;

    #[inline]
    fn read(frame: &[u8]) -> Option<Self::Packet<'_>> {
        PacketGeneric::read(&mut MqttBufReader::new(frame)).ok()
    }
}

impl SliceCodec for Mountain {
    #[inline]
    fn write(packet: &Self::Packet<'_>, buffer: &mut [u8]) -> Option<usize> {
        let mut writer = MqttBufWriter::new(buffer);
        match packet {
            PacketGeneric::Connect(it) => it.write(&mut writer),
            PacketGeneric::Publish(it) => it.write(&mut writer),
            PacketGeneric::Puback(it) => it.write(&mut writer),
            PacketGeneric::Pubrel(it) => it.write(&mut writer),
            PacketGeneric::Subscribe(it) => it.write(&mut writer),
            PacketGeneric::Pingreq(it) => it.write(&mut writer),
            _ => return None,
        }
        .ok()?;
        Some(writer.position())
    }
}
