//! The codec alone: the job without a state machine, so that nothing is kept, sent again, or checked against what went before.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_codec::{
    AnyVersion, Connect, Decoded, Decoder, Delivery, EncodeError, Filters, FromServer, OnlyV5,
    OnlyV311, PacketId, Properties, PubAck, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};

/// With MQTT 3.1.1.
pub fn v311<B: Board, C: Read + Write + ReadReady>(_: &B, connection: C) -> u8 {
    u8::from(run(connection, OnlyV311).is_none())
}

/// With MQTT 5.0.
pub fn v5<B: Board, C: Read + Write + ReadReady>(_: &B, connection: C) -> u8 {
    u8::from(run(connection, OnlyV5).is_none())
}

/// The job; `None` where something failed, or was not what was asked for.
fn run<C: Read + Write + ReadReady>(mut connection: C, version: impl AnyVersion) -> Option<()> {
    let packet_id = PacketId::new(1)?;
    let connect = Connect {
        version: version.version(),
        clean_start: true,
        keep_alive: 60,
        client_id: "sensor",
        will: None,
        user_name: None,
        password: None,
        properties: Properties::EMPTY,
        bridge: false,
    };
    let filters = [SubscribeFilter {
        filter: "job",
        options: SubscriptionOptions::new(QoS::AtLeastOnce),
    }];
    let subscribe = Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters: Filters::List(&filters),
    };
    let publish = Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtLeastOnce(packet_id),
        topic: "job",
        properties: Properties::EMPTY,
        payload: b"21.5",
    };
    send(&mut connection, |buffer| {
        connect.encode_only(version, buffer)
    })?;
    let (mut buffer, mut filled) = ([0; 256], 0_usize);
    let (mut acknowledged, mut received) = (false, false);
    while !(acknowledged && received) {
        let bytes = buffer.get(..filled)?;
        let used = match Decoder::new(version).from_server(bytes).ok()? {
            Decoded::NeedMore(_) => {
                match connection.read(buffer.get_mut(filled..)?) {
                    Ok(count @ 1..) => filled += count,
                    _ => return None,
                }
                continue;
            }
            Decoded::Complete { packet, len } => {
                match packet {
                    FromServer::ConnAck(answer) if !answer.reason.is_error() => {
                        send(&mut connection, |buffer| subscribe.encode(version, buffer))?;
                    }
                    FromServer::SubAck(answer)
                        if answer.codes.iter().all(|code| !code.is_error()) =>
                    {
                        send(&mut connection, |buffer| publish.encode(version, buffer))?;
                    }
                    FromServer::PubAck(ack) => acknowledged = ack.packet_id == packet_id,
                    FromServer::Publish(message) => {
                        received = message.payload == b"21.5";
                        if let Some(id) = message.delivery.packet_id() {
                            send(&mut connection, |buffer| {
                                PubAck::new(id).encode(version, buffer)
                            })?;
                        }
                    }
                    _ => return None,
                }
                len
            }
        };
        // What is known to be in order links no panic.
        let end = filled.min(buffer.len());
        let used = used.min(end);
        buffer.copy_within(used..end, 0);
        filled = end - used;
    }
    Some(())
}

fn send<C: Write>(
    connection: &mut C,
    encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Option<()> {
    let mut buffer = [0; 32];
    let len = encode(&mut buffer).ok()?;
    let mut bytes = buffer.get(..len)?;
    while !bytes.is_empty() {
        let count = connection.write(bytes).ok()?;
        bytes = bytes.get(count.max(1)..).unwrap_or_default();
    }
    connection.flush().ok()
}
