//! What is written is read again; what is read is never a surprise, however it arrives.

mod packets;

use mqtt_codec::*;
use packets::{Sent, any_packet, any_publish, lend, version};
use proptest::collection::vec;
use proptest::prelude::*;

fn complete<T: core::fmt::Debug>(result: Result<Decoded<T>, DecodeError>, all: usize) -> T {
    match result {
        Ok(Decoded::Complete { packet, len }) if len == all => packet,
        other => panic!("not complete after {all} bytes: {other:?}"),
    }
}

/// Reads with every entry point and looks at every field, which must not panic.
fn read_in_every_way(decoder: &Decoder, bytes: &[u8]) {
    let mut again = vec![0; bytes.len() + 64];
    let mut results = vec![decoder.any(bytes)];
    results.push(
        decoder
            .from_client(bytes)
            .map(|decoded| decoded.map(Packet::from)),
    );
    results.push(
        decoder
            .from_server(bytes)
            .map(|decoded| decoded.map(Packet::from)),
    );
    for result in results {
        match result {
            Ok(Decoded::Complete { packet, len }) => {
                assert!(len <= bytes.len());
                let _ = (
                    format!("{packet:?}"),
                    packet.encode(decoder.version, &mut again),
                );
            }
            Ok(Decoded::NeedMore(needed)) => assert!(needed > bytes.len()),
            Err(error) => assert!((error.at as usize) < bytes.len().max(1) + 5, "{error}"),
        }
    }
    for result in [
        decoder.publish_head(bytes),
        decoder.publish_head_from_client(bytes),
    ] {
        match result {
            Ok(Decoded::Complete { packet, len }) => {
                assert!(
                    len <= bytes.len() && format!("{packet:?}").len() > packet.publish.topic.len()
                );
            }
            Ok(Decoded::NeedMore(needed)) => assert!(needed > bytes.len()),
            Err(_) => {}
        }
    }
}

/// Every beginning of a packet asks for more, or is refused like the whole.
fn every_prefix_agrees(decoder: &Decoder, bytes: &[u8]) {
    let whole = decoder.any(bytes);
    for cut in 0..bytes.len() {
        match decoder.any(&bytes[..cut]) {
            Ok(Decoded::NeedMore(needed)) => assert!(needed > cut, "{needed} after {cut}"),
            early => assert_eq!(early, whole, "after {cut} bytes"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// encode, then decode, is the identity for all packets and versions, and `encoded_len` is exact.
    #[test]
    fn what_is_written_is_read_again(sent in any_packet()) {
        let bytes = sent.encode();
        let decoder = Decoder::new(sent.version());
        let read = complete(decoder.any(&bytes), bytes.len());
        sent.lend(
            |packet| assert_eq!(read, packet),
            |connect| {
                let Packet::Connect(view) = read else { panic!("a CONNECT: {read:?}") };
                assert_eq!(view.to_connect(), connect);
                assert_eq!((view.will(), view.user_name(), view.password()), (connect.will, connect.user_name, connect.password));
            },
        );
        // A packet that was read is written in the same bytes.
        let mut again = vec![0; bytes.len()];
        prop_assert_eq!(read.encoded_len(sent.version()), bytes.len());
        prop_assert_eq!(read.encode(sent.version(), &mut again), Ok(bytes.len()));
        prop_assert_eq!(again, bytes);
    }

    /// What follows a packet does not change it, and beginnings of it ask for more, exactly.
    #[test]
    fn packets_are_told_apart_in_a_stream(sent in any_packet(), behind in vec(any::<u8>(), 0..20)) {
        let bytes = sent.encode();
        let decoder = Decoder::new(sent.version());
        every_prefix_agrees(&decoder, &bytes);
        if bytes.len() > 5 {
            prop_assert_eq!(decoder.any(&bytes[..5]), Ok(Decoded::NeedMore(bytes.len())));
        }
        let stream = [&bytes[..], &behind].concat();
        prop_assert_eq!(decoder.any(&stream), decoder.any(&bytes));
    }

    /// Cutting a stream into pieces does not change what is read from it.
    #[test]
    fn chunking_does_not_change_the_result(
        sent in vec(any_packet(), 1..6),
        pieces in vec(1..40_usize, 1..8),
    ) {
        let stream: Vec<u8> = sent.iter().flat_map(Sent::encode).collect();
        // All in one version: what that version refuses is refused in pieces too.
        let decoder = Decoder::new(sent[0].version());
        let run = |pieces: &mut dyn Iterator<Item = usize>| {
            let (mut log, mut start, mut end) = (Vec::new(), 0, 0);
            loop {
                match decoder.any(&stream[start..end]) {
                    Ok(Decoded::Complete { packet, len }) => {
                        log.push(format!("{packet:?}"));
                        start += len;
                    }
                    Ok(Decoded::NeedMore(_)) if end < stream.len() => {
                        end = (end + pieces.next().unwrap()).min(stream.len());
                    }
                    Ok(Decoded::NeedMore(needed)) => {
                        log.push(format!("{needed} more"));
                        return log;
                    }
                    Err(error) => {
                        log.push(format!("{error}"));
                        return log;
                    }
                }
            }
        };
        let whole = run(&mut core::iter::repeat(stream.len()));
        prop_assert_eq!(run(&mut pieces.iter().copied().cycle()), whole);
    }

    /// Arbitrary bytes are refused or read, and never panic.
    #[test]
    fn arbitrary_bytes_never_panic(version in version(), bytes in vec(any::<u8>(), 0..200)) {
        let decoder = Decoder::new(version);
        read_in_every_way(&decoder, &bytes);
        every_prefix_agrees(&decoder, &bytes);
    }

    /// Almost valid packets reach further into the decoder; they never panic either.
    #[test]
    fn mutated_packets_never_panic(
        sent in any_packet(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        read_as in version(),
    ) {
        let mut bytes = sent.encode();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        for decoder in [Decoder::new(sent.version()), Decoder::new(read_as)] {
            read_in_every_way(&decoder, &bytes);
            read_in_every_way(&decoder, &bytes[..cut.index(bytes.len())]);
            every_prefix_agrees(&decoder, &bytes);
        }
    }

    /// The head of a PUBLISH is there with its last byte and not before; the payload follows in any
    /// number of parts, and nothing else than in one.
    #[test]
    fn a_partial_publish_is_the_whole_one_without_its_end(sent in any_publish()) {
        let bytes = sent.encode();
        let decoder = Decoder::new(sent.version());
        let Packet::Publish(whole) = complete(decoder.any(&bytes), bytes.len()) else { panic!("a PUBLISH") };
        let head = bytes.len() - whole.payload.len();
        for cut in 0..=bytes.len() {
            match decoder.publish_head(&bytes[..cut]) {
                Ok(Decoded::NeedMore(needed)) => prop_assert!(cut < head && (cut + 1..=head).contains(&needed)),
                result => {
                    let partial = complete(result, cut);
                    prop_assert!(cut >= head);
                    prop_assert_eq!(partial.missing as usize, bytes.len() - cut);
                    let payload = &whole.payload[..cut - head];
                    prop_assert_eq!(partial.publish, Publish { payload, ..whole });
                }
            }
        }
        let stream = [&bytes[..], b"more"].concat();
        prop_assert_eq!(complete(decoder.publish_head(&stream), bytes.len()).publish, whole);
    }

    /// A head and a payload are the packet.
    #[test]
    fn a_head_and_its_payload_are_a_publish(
        sent in any_publish(),
        alias in proptest::option::of(1..=u16::MAX),
        message_expiry in proptest::option::of(any::<u32>()),
        ids in vec(1..=268_435_455_u32, 0..3),
    ) {
        let Sent::Publish { version, dup, retain, delivery, topic, properties, payload } = &sent else {
            panic!("a PUBLISH");
        };
        let list = lend(properties);
        let mut stored = vec![0; Properties::List(&list).forwarded_len()];
        Properties::List(&list).write_forwarded(&mut stored).unwrap();
        let subscription_ids: Vec<_> = ids.iter().map(|id| SubscriptionId::new(*id).unwrap()).collect();
        let head = PublishHead {
            dup: *dup,
            retain: *retain,
            delivery: *delivery,
            topic,
            topic_alias: alias.and_then(TopicAlias::new),
            message_expiry,
            subscription_ids: &subscription_ids,
            properties: Properties::stored(&stored),
            payload_len: payload.len() as u32,
        };
        let mut bytes = vec![0; head.encoded_len(*version)];
        prop_assert_eq!(head.encode(*version, &mut bytes), Ok(bytes.len()));
        bytes.extend(payload);
        prop_assert_eq!(head.frame_len(*version), bytes.len());
        let decoder = Decoder::new(*version);
        let read = complete(decoder.from_server(&bytes), bytes.len());
        let FromServer::Publish(read) = read else { panic!("a PUBLISH: {read:?}") };
        prop_assert_eq!((read.dup, read.retain, read.delivery), (*dup, *retain, *delivery));
        prop_assert_eq!((read.topic, read.payload), (&topic[..], &payload[..]));
        if version.is_v5() {
            prop_assert_eq!(read.properties.topic_alias(), head.topic_alias);
            prop_assert_eq!(read.properties.message_expiry_interval(), message_expiry);
            prop_assert!(read.properties.subscription_identifiers().eq(subscription_ids));
            prop_assert!(read.properties.user_properties().eq(Properties::List(&list).user_properties()));
            let mut forwarded = vec![0; stored.len()];
            prop_assert_eq!(read.properties.write_forwarded(&mut forwarded), Ok(stored.len()));
            prop_assert_eq!(forwarded, stored);
        } else {
            prop_assert!(read.properties.is_empty());
        }
    }

    /// Stored properties that were never checked end early and never panic.
    #[test]
    fn unchecked_properties_never_panic(bytes in vec(any::<u8>(), 0..60)) {
        let properties = Properties::stored(&bytes);
        let seen = properties.iter().count();
        prop_assert!(seen <= bytes.len());
        let _ = (properties.topic_alias(), properties.reason_string(), properties.user_properties().count());
        let mut forwarded = [0; 60];
        prop_assert!(properties.write_forwarded(&mut forwarded).is_ok_and(|len| len <= bytes.len()));
        if let Ok(checked) = Properties::checked_publish(&bytes) {
            prop_assert_eq!(checked, properties);
        }
    }
}
