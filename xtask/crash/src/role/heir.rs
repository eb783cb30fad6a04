//! Gets the wills, in a session of its own.

use mqtt_codec::{QoS, SubscriptionOptions};

use super::{Context, Judge};
use crate::client::{Client, Event};
use crate::judge::Promise;
use crate::stamp::{Purpose, Stamp};

/// Subscribed to all wills.
#[derive(Debug, Default)]
pub(crate) struct Heir;

impl Heir {
    pub(crate) fn is_done(&self, client: &Client, judge: &Judge) -> bool {
        client.is_connected() && client.owed() == 0 && judge.wills.is_settled()
    }

    pub(crate) fn settle(&self, judge: &mut Judge) {
        for text in judge.wills.write_off() {
            judge.report(Promise::Will, text);
        }
    }

    pub(crate) fn event(&self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Connected { present: false, .. } => {
                let options = SubscriptionOptions::new(QoS::ExactlyOnce);
                client.subscribe(&[("will/#", options)], None);
            }
            Event::Delivered { stamp, topic, .. } => match stamp {
                Some(Stamp {
                    purpose: Purpose::Will,
                    stream,
                    number,
                }) if *topic == format!("will/{stream}") => {
                    if let Err(text) = cx.judge.wills.came(*stream, *number) {
                        cx.judge.report(Promise::Will, text);
                    }
                }
                _ => {
                    let text = format!(
                        "{} got bytes on {topic} that nobody sent there",
                        client.name
                    );
                    cx.judge.report(Promise::Genuine, text);
                }
            },
            _ => {}
        }
    }
}
