//! 3.3.5 PUBLISH that the broker may not take: topics that begin with `$` belong to the broker, and many take no message for them.

use mqtt_codec::{FromServer, PubRel, Publish, QoS, ReasonCode};

use crate::case::chapter;
use crate::ctx::Ctx;
use crate::failure::{Step, failed, same};
use crate::frame::{delivery, packet_id, publish};

chapter!(
    refused,
    "3.3.5 PUBLISH, refused",
    [
        acknowledged_or_closed,
        identifier_free_after_an_error,
        others_go_on_after_an_error,
    ]
);

/// A topic that a client may hardly publish to.
fn reserved(ctx: &Ctx) -> String {
    format!("$SYS/{}", ctx.topic("t"))
}

/// Before 5.0 a PUBLISH that is not authorised is acknowledged like any other, or the connection closed. [3.1.1:MQTT-3.3.5-2]
fn acknowledged_or_closed(ctx: &Ctx) -> Step {
    let topic = reserved(ctx);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut client = ctx.connect("c")?;
        client.send(&Publish {
            delivery: delivery(qos, 7),
            ..publish(&topic, "not mine")
        });
        let Some(answer) = client.receive_or_end()? else {
            continue;
        };
        match answer.packet() {
            FromServer::PubAck(ack) if qos == QoS::AtLeastOnce => {
                same("packet identifier", ack.packet_id.get(), 7)?;
            }
            FromServer::PubRec(ack) if qos == QoS::ExactlyOnce => {
                same("packet identifier", ack.packet_id.get(), 7)?;
                client.send(&PubRel::new(ack.packet_id));
                let answer = client.receive()?;
                same("packet identifier", answer.pub_comp()?.packet_id.get(), 7)?;
            }
            _ => {
                return failed(
                    "PUBACK or PUBREC, or the end of the connection",
                    format!("{answer:?}"),
                );
            }
        }
        client.ping()?;
    }
    Ok(())
}

/// After a PUBREC with an error the packet identifier stands for a new message, which is delivered. [MQTT-4.3.3-9] [MQTT-4.4.0-2]
fn identifier_free_after_an_error(ctx: &Ctx) -> Step {
    ctx.needs_qos(QoS::ExactlyOnce)?;
    let topic = ctx.topic("t");
    let not_ours = reserved(ctx);
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("c")?;
    // Not taken from this client, taken from it, or answered with the end of the connection: what is judged is what comes then.
    client.send(&Publish {
        delivery: delivery(QoS::ExactlyOnce, 7),
        ..publish(&not_ours, "not mine")
    });
    match client.receive_or_end()? {
        None => client = ctx.connect("c")?,
        Some(answer) if answer.disconnect().is_ok() => client = ctx.connect("c")?,
        Some(answer) => {
            if !answer.pub_rec()?.reason.is_error() {
                client.send(&PubRel::new(packet_id(7)));
                client.receive()?.pub_comp()?;
            }
        }
    }
    for text in ["first", "second"] {
        client.send(&Publish {
            delivery: delivery(QoS::ExactlyOnce, 7),
            ..publish(&topic, text)
        });
        let answer = client.receive()?;
        same("PUBREC", answer.pub_rec()?.reason.is_error(), false)?;
        client.send(&PubRel::new(packet_id(7)));
        let answer = client.receive()?;
        same(
            "code of PUBCOMP",
            answer.pub_comp()?.reason,
            ReasonCode::SUCCESS,
        )?;
        watcher.expect(&format!("t|0|0|{text}"))?;
    }
    Ok(())
}

/// A PUBLISH that is refused with a code does not end the connection. [MQTT-3.3.4-1]
fn others_go_on_after_an_error(ctx: &Ctx) -> Step {
    let topic = ctx.topic("t");
    let not_ours = reserved(ctx);
    let mut watcher = ctx.subscribed("w", &topic, QoS::AtMostOnce)?;
    let mut client = ctx.connect("c")?;
    client.send(&Publish {
        delivery: delivery(QoS::AtLeastOnce, 1),
        ..publish(&not_ours, "not mine")
    });
    client.send(&Publish {
        delivery: delivery(QoS::AtLeastOnce, 2),
        ..publish(&topic, "mine")
    });
    match client.receive_or_end()? {
        // It may also be taken for an error of the client.
        None => return Ok(()),
        Some(answer) if answer.disconnect().is_ok() => return client.end(),
        Some(answer) => {
            same("packet identifier", answer.pub_ack()?.packet_id.get(), 1)?;
        }
    }
    let answer = client.receive()?;
    same("packet identifier", answer.pub_ack()?.packet_id.get(), 2)?;
    watcher.expect("t|0|0|mine")
}
