//! A broker in thirty lines of a program: `mosquitto_pub -u thermometer -t site/7/temperature -m 21.5` talks to it.

use core::error::Error;
use std::net::TcpListener;

use futures::StreamExt;
use futures::executor::block_on;
use mqtt_broker::{Broker, ConnectRequest, Decision, Hooks, PublishOptions, QoS, ReasonCode};

struct KnownUsers;

impl Hooks for KnownUsers {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        match request.user_name.as_deref() {
            Some("thermometer") => Decision::Accept,
            _ => Decision::Refuse(ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        }
    }
}

/// Keeps the last reading of each site under another topic, until `wanted` have come.
pub(crate) async fn serve(socket: TcpListener, wanted: usize) -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder()
        .listen_on(socket)
        .hooks(KnownUsers)
        .start()
        .await?;
    let readings = broker
        .subscribe("site/+/temperature", QoS::AtLeastOnce)
        .await?;
    let mut readings = readings.take(wanted);
    while let Some(reading) = readings.next().await {
        let topic = reading.topic().replace("temperature", "latest");
        broker
            .publish(&topic, reading.payload(), PublishOptions::new().retained())
            .await?;
    }
    broker.shutdown().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    block_on(serve(TcpListener::bind("127.0.0.1:1883")?, usize::MAX))
}
