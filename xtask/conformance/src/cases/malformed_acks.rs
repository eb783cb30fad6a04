//! 3.4 to 3.7 PUBACK, PUBREC, PUBREL and PUBCOMP that are none.

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::Step;

chapter!(
    malformed_acks,
    "3.4-3.7 Acknowledgements, malformed",
    [
        puback_flags,
        pubrec_flags,
        pubrel_flags,
        pubcomp_flags,
        packet_id_0,
        packet_id_missing,
        bytes_behind_the_packet_id,
        puback_with_an_unknown_code,
        pubrec_with_an_unknown_code,
        pubrel_with_an_unknown_code,
        pubcomp_with_an_unknown_code,
        properties_longer_than_the_packet,
        bytes_behind_the_properties,
        reason_string_twice,
        reason_string_not_utf8,
        property_of_another_packet,
    ]
);

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

#[track_caller]
fn broken(ctx: &Ctx, first: u8, body: &[u8]) -> Step {
    ctx.broken(&crate::raw::packet(first, &[body]), MALFORMED)?;
    Ok(())
}

#[track_caller]
fn flags(ctx: &Ctx, packet: u8, right: u8) -> Step {
    for flags in (0..16).filter(|flags| *flags != right) {
        broken(ctx, packet & 0xf0 | flags, &[0, 1])?;
    }
    Ok(())
}

/// The reserved flags of PUBACK are 0. [MQTT-2.1.3-1] [3.1.1:MQTT-2.2.2-2]
fn puback_flags(ctx: &Ctx) -> Step {
    flags(ctx, PUBACK, 0)
}

/// The reserved flags of PUBREC are 0. [MQTT-2.1.3-1] [3.1.1:MQTT-2.2.2-2]
fn pubrec_flags(ctx: &Ctx) -> Step {
    flags(ctx, PUBREC, 0)
}

/// The reserved flags of PUBREL are 0010. [MQTT-3.6.1-1] [3.1.1:MQTT-3.6.1-1]
fn pubrel_flags(ctx: &Ctx) -> Step {
    flags(ctx, PUBREL, 2)
}

/// The reserved flags of PUBCOMP are 0. [MQTT-2.1.3-1] [3.1.1:MQTT-2.2.2-2]
fn pubcomp_flags(ctx: &Ctx) -> Step {
    flags(ctx, PUBCOMP, 0)
}

/// The packet identifier of an acknowledgement is not 0. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packet_id_0(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 0])?;
    }
    Ok(())
}

/// An acknowledgement has a packet identifier. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn packet_id_missing(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[])?;
        broken(ctx, packet, &[1])?;
    }
    Ok(())
}

/// Before 5.0 nothing follows the packet identifier. [3.1.1:MQTT-4.8.0-1]
fn bytes_behind_the_packet_id(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 1, 0])?;
    }
    Ok(())
}

/// PUBACK has a code of its table. [MQTT-3.4.2-1]
fn puback_with_an_unknown_code(ctx: &Ctx) -> Step {
    for code in [0x01, 0x92, 0xff] {
        broken(ctx, PUBACK, &[0, 1, code, 0])?;
    }
    Ok(())
}

/// PUBREC has a code of its table. [MQTT-3.5.2-1]
fn pubrec_with_an_unknown_code(ctx: &Ctx) -> Step {
    for code in [0x01, 0x92, 0xff] {
        broken(ctx, PUBREC, &[0, 1, code, 0])?;
    }
    Ok(())
}

/// PUBREL has a code of its table. [MQTT-3.6.2-1]
fn pubrel_with_an_unknown_code(ctx: &Ctx) -> Step {
    for code in [0x01, 0x80, 0xff] {
        broken(ctx, PUBREL, &[0, 1, code, 0])?;
    }
    Ok(())
}

/// PUBCOMP has a code of its table. [MQTT-3.7.2-1]
fn pubcomp_with_an_unknown_code(ctx: &Ctx) -> Step {
    for code in [0x01, 0x80, 0xff] {
        broken(ctx, PUBCOMP, &[0, 1, code, 0])?;
    }
    Ok(())
}

/// Properties that are longer than the packet are malformed. [MQTT-4.13.1-1]
fn properties_longer_than_the_packet(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 1, 0, 9])?;
    }
    Ok(())
}

/// Nothing follows the properties. [MQTT-4.13.1-1]
fn bytes_behind_the_properties(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 1, 0, 0, 0])?;
    }
    Ok(())
}

/// The reason string comes once. [MQTT-4.13.1-1]
fn reason_string_twice(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        let body = [0, 1, 0, 8, 0x1f, 0, 1, b'a', 0x1f, 0, 1, b'a'];
        broken(ctx, packet, &body)?;
    }
    Ok(())
}

/// The reason string is UTF-8. [MQTT-1.5.4-1]
fn reason_string_not_utf8(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 1, 0, 4, 0x1f, 0, 1, 0xff])?;
    }
    Ok(())
}

/// A property that is not one of acknowledgements is a protocol error. [MQTT-4.13.1-1]
fn property_of_another_packet(ctx: &Ctx) -> Step {
    for packet in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        broken(ctx, packet, &[0, 1, 0, 2, 0x01, 1])?;
    }
    Ok(())
}
