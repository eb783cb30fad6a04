//! 3.8 SUBSCRIBE and 3.10 UNSUBSCRIBE that are none.

use mqtt_codec::ReasonCode;

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::Step;
use crate::raw::{packet, properties, string};

chapter!(
    malformed_subscribe,
    "3.8, 3.10 (UN)SUBSCRIBE, malformed",
    [
        subscribe_flags,
        unsubscribe_flags,
        packet_id_0,
        packet_id_missing,
        no_filter,
        filter_cut,
        options_missing,
        reserved_option_bits,
        qos_3,
        retain_handling_3,
        filter_not_utf8,
        filter_with_nul,
        subscription_identifier_0,
        subscription_identifier_twice,
        subscription_identifier_too_long,
        property_of_another_packet,
        properties_longer_than_the_packet,
    ]
);

const SUBSCRIBE: u8 = 0x82;
const UNSUBSCRIBE: u8 = 0xa2;

#[track_caller]
fn broken(ctx: &Ctx, first: u8, body: &[&[u8]]) -> Step {
    let reasons = [MALFORMED, &[ReasonCode::TOPIC_FILTER_INVALID]].concat();
    ctx.broken(&packet(first, body), &reasons)?;
    Ok(())
}

/// What follows the packet identifier of a packet with one filter.
fn one_filter(ctx: &Ctx, options: &[u8]) -> Vec<u8> {
    [
        properties(ctx.version, &[]),
        string(ctx.topic("t")),
        options.to_vec(),
    ]
    .concat()
}

/// The reserved flags of SUBSCRIBE are 0010. [MQTT-3.8.1-1] [3.1.1:MQTT-3.8.1-1]
fn subscribe_flags(ctx: &Ctx) -> Step {
    for flags in (0..16).filter(|flags| *flags != 2) {
        broken(ctx, 0x80 | flags, &[&[0, 1], &one_filter(ctx, &[0])])?;
    }
    Ok(())
}

/// The reserved flags of UNSUBSCRIBE are 0010. [MQTT-3.10.1-1] [3.1.1:MQTT-3.10.1-1]
fn unsubscribe_flags(ctx: &Ctx) -> Step {
    for flags in (0..16).filter(|flags| *flags != 2) {
        broken(ctx, 0xa0 | flags, &[&[0, 1], &one_filter(ctx, &[])])?;
    }
    Ok(())
}

/// The packet identifier of SUBSCRIBE and UNSUBSCRIBE is not 0. [MQTT-4.13.1-1] [3.1.1:MQTT-2.3.1-1]
fn packet_id_0(ctx: &Ctx) -> Step {
    broken(ctx, SUBSCRIBE, &[&[0, 0], &one_filter(ctx, &[0])])?;
    broken(ctx, UNSUBSCRIBE, &[&[0, 0], &one_filter(ctx, &[])])
}

/// SUBSCRIBE and UNSUBSCRIBE have a packet identifier. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packet_id_missing(ctx: &Ctx) -> Step {
    for first in [SUBSCRIBE, UNSUBSCRIBE] {
        broken(ctx, first, &[])?;
        broken(ctx, first, &[&[1]])?;
    }
    Ok(())
}

/// SUBSCRIBE and UNSUBSCRIBE have a filter at least. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn no_filter(ctx: &Ctx) -> Step {
    for first in [SUBSCRIBE, UNSUBSCRIBE] {
        broken(ctx, first, &[&[0, 1], &properties(ctx.version, &[])])?;
    }
    Ok(())
}

/// A filter that is longer than the packet is malformed. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn filter_cut(ctx: &Ctx) -> Step {
    for first in [SUBSCRIBE, UNSUBSCRIBE] {
        let none = properties(ctx.version, &[]);
        broken(ctx, first, &[&[0, 1], &none, &[0, 9, b't']])?;
    }
    Ok(())
}

/// A filter of SUBSCRIBE is followed by its options. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn options_missing(ctx: &Ctx) -> Step {
    broken(ctx, SUBSCRIBE, &[&[0, 1], &one_filter(ctx, &[])])
}

#[track_caller]
fn options(ctx: &Ctx, options: u8) -> Step {
    broken(ctx, SUBSCRIBE, &[&[0, 1], &one_filter(ctx, &[options])])
}

/// The reserved bits of the options are 0: two in 5.0, six before. [MQTT-3.8.3-5] [3.1.1:MQTT-3.8.3-4]
fn reserved_option_bits(ctx: &Ctx) -> Step {
    let reserved: &[u8] = if ctx.is_v5() {
        &[0x40, 0x80]
    } else {
        &[0x04, 0x08, 0x10, 0x20, 0x40, 0x80]
    };
    for bit in reserved {
        options(ctx, *bit)?;
        options(ctx, *bit | 1)?;
    }
    Ok(())
}

/// A subscription has no QoS 3. [MQTT-4.13.1-1] [3.1.1:MQTT-3.8.3-4]
fn qos_3(ctx: &Ctx) -> Step {
    options(ctx, 3)
}

/// Retain Handling 3 does not exist. [MQTT-4.13.1-1]
fn retain_handling_3(ctx: &Ctx) -> Step {
    options(ctx, 0x30)
}

#[track_caller]
fn with_filter(ctx: &Ctx, end: &[u8]) -> Step {
    let filter = string([ctx.topic("t").as_bytes(), end].concat());
    let none = properties(ctx.version, &[]);
    broken(ctx, SUBSCRIBE, &[&[0, 1], &none, &filter, &[0]])?;
    broken(ctx, UNSUBSCRIBE, &[&[0, 1], &none, &filter])
}

/// A filter is UTF-8. [MQTT-1.5.4-1] [3.1.1:MQTT-1.5.3-1]
fn filter_not_utf8(ctx: &Ctx) -> Step {
    with_filter(ctx, b"\xff")?;
    with_filter(ctx, b"\xed\xa0\x80")?;
    with_filter(ctx, b"\xc0\xaf")
}

/// A filter has no U+0000. [MQTT-1.5.4-2] [MQTT-4.7.3-2] [3.1.1:MQTT-1.5.3-2] [3.1.1:MQTT-4.7.3-2]
fn filter_with_nul(ctx: &Ctx) -> Step {
    with_filter(ctx, b"\0")
}

#[track_caller]
fn with_properties(ctx: &Ctx, bytes: &[u8]) -> Step {
    let with = properties(ctx.version, bytes);
    let filter = string(ctx.topic("t"));
    broken(ctx, SUBSCRIBE, &[&[0, 1], &with, &filter, &[0]])
}

/// A subscription identifier is not 0. [MQTT-4.13.1-1]
fn subscription_identifier_0(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x0b, 0])
}

/// SUBSCRIBE has one subscription identifier at most. [MQTT-4.13.1-1]
fn subscription_identifier_twice(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x0b, 1, 0x0b, 2])
}

/// A subscription identifier has four bytes at most. [MQTT-4.13.1-1]
fn subscription_identifier_too_long(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x0b, 0xff, 0xff, 0xff, 0xff, 0x01])
}

/// A property that is not one of SUBSCRIBE or UNSUBSCRIBE is a protocol error. [MQTT-4.13.1-1]
fn property_of_another_packet(ctx: &Ctx) -> Step {
    with_properties(ctx, &[0x01, 1])?;
    with_properties(ctx, &[0x1f, 0, 1, b'r'])?;
    let with = properties(ctx.version, &[0x0b, 1]);
    let filter = string(ctx.topic("t"));
    broken(ctx, UNSUBSCRIBE, &[&[0, 1], &with, &filter])
}

/// Properties that are longer than the packet are malformed. [MQTT-4.13.1-1]
fn properties_longer_than_the_packet(ctx: &Ctx) -> Step {
    broken(ctx, SUBSCRIBE, &[&[0, 1, 90], &string("t"), &[0]])?;
    broken(ctx, UNSUBSCRIBE, &[&[0, 1, 90], &string("t")])
}
