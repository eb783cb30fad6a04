//! Reads the retained values after a crash, before anybody changes them.

use core::time::Duration;
use std::collections::HashMap;
use std::time::Instant;

use mqtt_codec::{QoS, SubscriptionOptions};

use super::{Judge, topic_of};
use crate::client::{Client, Event};
use crate::judge::Promise;
use crate::stamp::{Purpose, Stamp};

/// A client without a session that asks for all retained messages.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    found: HashMap<usize, u32>,
    /// Since when nothing has come.
    quiet: Option<Instant>,
    /// Values that are none.
    strange: Vec<String>,
    judged: bool,
}

/// What must not be there has had its chance to come after this time without anything.
const QUIET: Duration = Duration::from_millis(60);

impl Reader {
    pub(crate) fn crashed(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn leave(&mut self, client: &mut Client) {
        client.leave();
    }

    pub(crate) fn event(&mut self, client: &mut Client, event: &Event) {
        match event {
            Event::Connected { .. } => {
                client.subscribe(
                    &[("retained/#", SubscriptionOptions::new(QoS::AtMostOnce))],
                    None,
                );
            }
            Event::Answered(..) => self.quiet = Some(Instant::now()),
            // What is set meanwhile comes without the flag.
            Event::Delivered {
                stamp,
                topic,
                retain: true,
                ..
            } => {
                self.quiet = Some(Instant::now());
                match stamp {
                    Some(Stamp {
                        purpose: Purpose::Retained,
                        stream,
                        number,
                    }) if *topic == topic_of(*stream) => {
                        self.found.insert(*stream, *number);
                    }
                    _ => self.strange.push(topic.clone()),
                }
            }
            _ => {}
        }
    }

    /// Whether everything that must come has come, and what must not has had its chance.
    pub(crate) fn is_done(&mut self, judge: &mut Judge) -> bool {
        if self.judged {
            return true;
        }
        if self.quiet.is_none_or(|since| since.elapsed() < QUIET) {
            return false;
        }
        let mut topics = judge.retained.iter().enumerate();
        let complete = topics.all(|(topic, history)| {
            self.found.contains_key(&topic) || history.possible().any(Option::is_none)
        });
        if complete {
            self.judge(judge);
        }
        complete
    }

    pub(crate) fn settle(&mut self, client: &Client, judge: &mut Judge) {
        if self.quiet.is_none() {
            self.judged = true;
            judge.report(Promise::Serving, format!("{} is not let in", client.name));
        } else {
            self.judge(judge);
        }
    }

    fn judge(&mut self, judge: &mut Judge) {
        if core::mem::replace(&mut self.judged, true) {
            return;
        }
        for topic in self.strange.drain(..) {
            let text = format!("the retained message of {topic} is not one that was sent");
            judge.report(Promise::Genuine, text);
        }
        for topic in 0..judge.retained.len() {
            let found = self.found.get(&topic).copied();
            let Some(Err(misfit)) = judge
                .retained
                .get_mut(topic)
                .map(|it| it.find(&found, true))
            else {
                continue;
            };
            let show = |value: &Option<u32>| {
                value.map_or("nothing".to_owned(), |value| format!("value {value}"))
            };
            let last = misfit.possible.first().map(show).unwrap_or_default();
            let age = if found.is_some() && misfit.is_older {
                ", which had gone"
            } else {
                ""
            };
            let text = format!(
                "{} has {}{age}: last acknowledged was {last}, and {} later changes were on their way",
                topic_of(topic),
                show(&found),
                misfit.possible.len().saturating_sub(1)
            );
            judge.report(Promise::Retained, text);
        }
    }
}
