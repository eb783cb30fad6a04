//! A broker in thirty lines of a program: `mosquitto_pub -u thermometer -t site/7/temperature -m 21.5` talks to it.

use core::error::Error;
use std::net::TcpListener;

use futures::{StreamExt, executor::block_on};
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
    let setup = Broker::builder().listen_on(socket).hooks(KnownUsers);
    let broker = setup.start().await?;
    let readings = broker.subscribe("site/+/temperature", QoS::AtLeastOnce);
    let mut readings = readings.await?.take(wanted);
    while let Some(reading) = readings.next().await {
        let topic = reading.topic().replace("temperature", "latest");
        let kept = PublishOptions::new().retained();
        broker.publish(&topic, reading.payload(), kept).await?;
    }
    broker.shutdown().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    eprintln!("serving the user `thermometer` at 127.0.0.1:1883, until Ctrl-C");
    block_on(serve(TcpListener::bind("127.0.0.1:1883")?, usize::MAX))
}
