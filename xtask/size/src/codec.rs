//! What every use of the codec by a client comes to: CONNECT, SUBSCRIBE and PUBLISH written, answers read.

use core::hint::black_box;

use mqtt_codec::{
    AnyVersion, Connect, Decoded, Decoder, Delivery, EncodeError, Filters, FromServer, PacketId,
    Properties, Publish, QoS, Subscribe, SubscribeFilter, SubscriptionOptions,
};

use crate::wire;

/// Writes the three packets, then reads for ever and gives payloads and packet ids back to the wire.
#[inline(always)]
pub fn run(version: impl AnyVersion) -> ! {
    let mut buffer = [0; 256];
    let Some(packet_id) = PacketId::new(1) else {
        crate::stop()
    };
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
    send(&mut buffer, |buffer| connect.encode_only(version, buffer));
    let filters = [SubscribeFilter {
        filter: "set",
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
        topic: "reading",
        properties: Properties::EMPTY,
        payload: b"21.5",
    };
    send(&mut buffer, |buffer| subscribe.encode(version, buffer));
    send(&mut buffer, |buffer| publish.encode(version, buffer));
    loop {
        let len = wire::read(&mut buffer);
        if let Ok(Decoded::Complete { packet, .. }) =
            Decoder::new(version).from_server(buffer.get(..len).unwrap_or_default())
        {
            take(&packet);
        }
    }
}

#[inline(always)]
fn send(buffer: &mut [u8], encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>) {
    if let Ok(len) = encode(buffer) {
        wire::write(buffer.get(..len).unwrap_or_default());
    }
}

/// Every packet of a server is looked at, so that decoding it cannot be left out.
#[inline(always)]
fn take(packet: &FromServer<'_>) {
    match packet {
        FromServer::Publish(publish) => wire::write(publish.payload),
        FromServer::SubAck(answer) => answer.codes.iter().for_each(|code| wire::write(&[code.0])),
        other => {
            black_box(other);
        }
    }
}
