//! A thermometer: publishes readings, and takes a command that says how often.
//!
//! ```text
//! cargo run -p mqtt-client --example thermometer -- localhost:1883 greenhouse/3
//! mqtt sub -v -t 'greenhouse/3/#'                          the readings
//! mqtt pub -t greenhouse/3/set/interval -m 10              measure every 10 seconds
//! ```
//!
//! It gives the user name `thermometer`, so that the example `embed` of mqtt-broker lets it in: there, call it `site/7`.

use core::time::Duration;
use std::io::Write as _;

use mqtt_client::{Address, Client, Message, Options, QoS, SubscribeOptions, Will};
use tokio::time::{MissedTickBehavior, interval};

/// Readings that may wait while there is no connection.
const READINGS: u32 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: Address = arguments.next().as_deref().unwrap_or("localhost").parse()?;
    let name = arguments.next().unwrap_or_else(|| "thermometer".to_owned());

    let state = |text: &'static str| {
        Message::new(format!("{name}/state"), text)
            .qos(QoS::AtLeastOnce)
            .retain(true)
    };
    let options = Options::new(address)
        .user_name("thermometer")
        .will(Will::new(state("gone")))
        .queue(READINGS, 1_000_000)
        // What a thermometer measured an hour ago gives way to what it measures now.
        .when_full(mqtt_client::WhenFull::DropOldest);
    let client = Client::connect(options).await?;
    client.publish(state("here")).await?;
    let mut commands = client
        .subscribe(SubscribeOptions::new(format!("{name}/set/interval")).qos(QoS::AtLeastOnce))
        .await?;
    writeln!(std::io::stdout(), "{name} measures")?;

    let mut clock = ticker(Duration::from_secs(60));
    let mut count = 0_u32;
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let reading = Message::new(format!("{name}/temperature"), measure(count))
                    .qos(QoS::AtLeastOnce)
                    .expires_after(Duration::from_secs(3_600));
                // It waits in the queue while there is no connection; nobody waits for it here.
                drop(client.try_publish(reading)?);
                count += 1;
            }
            command = commands.recv() => {
                // The stream ends when the client does.
                let Some(command) = command else { break };
                match command.text().and_then(|text| text.parse().ok()) {
                    Some(0) => break,
                    Some(seconds) => clock = ticker(Duration::from_secs(seconds)),
                    None => eprintln!("not a number of seconds: {command:?}"),
                }
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.publish(state("off")).await?;
    client.disconnect().await?;
    Ok(())
}

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// What a sensor would say: 20 to 25 degrees, going up and down.
fn measure(count: u32) -> String {
    let step = count % 100;
    let tenths = 200 + step.min(100 - step);
    format!("{}.{}", tenths / 10, tenths % 10)
}
