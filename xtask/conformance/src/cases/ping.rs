//! 3.12 PINGREQ: the answer, and what a PINGREQ must not hold.

use mqtt_codec::FromServer;

use crate::case::chapter;
use crate::cases::MALFORMED;
use crate::ctx::Ctx;
use crate::failure::{Step, check};
use crate::frame::PingReq;

chapter!(
    ping,
    "3.12 PINGREQ",
    [answered, answered_each, with_a_body, reserved_flags,]
);

/// PINGREQ is answered with PINGRESP. [MQTT-3.12.4-1] [3.1.1:MQTT-3.12.4-1]
fn answered(ctx: &Ctx) -> Step {
    let mut client = ctx.connect("c")?;
    client.send(&PingReq);
    let answer = client.receive()?;
    check(answer.packet() == FromServer::PingResp, "PINGRESP", &answer)
}

/// Three PINGREQ at once get three PINGRESP and nothing else. [MQTT-3.12.4-1] [3.1.1:MQTT-3.12.4-1]
fn answered_each(ctx: &Ctx) -> Step {
    let mut client = ctx.connect("c")?;
    client.send_bytes(&[0xc0, 0, 0xc0, 0, 0xc0, 0]);
    for _ in 0..3 {
        let answer = client.receive()?;
        check(answer.packet() == FromServer::PingResp, "PINGRESP", &answer)?;
    }
    client.silence()
}

/// A PINGREQ with a byte behind its fixed header is malformed. [MQTT-4.13.1-1] [3.1.1:MQTT-4.8.0-1]
fn with_a_body(ctx: &Ctx) -> Step {
    ctx.broken(&[0xc0, 1, 0], MALFORMED)?;
    Ok(())
}

/// The reserved flags of PINGREQ must be 0. [MQTT-2.1.3-1] [3.1.1:MQTT-2.2.2-2]
fn reserved_flags(ctx: &Ctx) -> Step {
    for flags in [1, 2, 4, 8] {
        ctx.broken(&[0xc0 | flags, 0], MALFORMED)?;
    }
    Ok(())
}
