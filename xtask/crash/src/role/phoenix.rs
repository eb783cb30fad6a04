//! Begins sessions and ends them, and sees after a crash whether there is one.

use mqtt_codec::{QoS, SubscriptionOptions};

use super::Context;
use crate::client::{Client, Event};
use crate::judge::{History, Promise};

/// A client whose session comes and goes.
#[derive(Debug)]
pub(crate) struct Phoenix {
    /// Whether there is a session.
    life: History<bool>,
    step: Step,
    /// The number of the change that is not confirmed.
    asked: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It has not been back since the crash.
    Away,
    /// It is connected, with a session of which nothing is confirmed.
    Back,
    /// SUBSCRIBE was sent.
    Subscribing,
    /// The session is confirmed.
    Alive,
    /// It said goodbye.
    LeavingToEnd,
    /// It connects with a clean start.
    Ending,
    /// The end is confirmed.
    Ended,
    /// It said goodbye.
    LeavingToBegin,
    /// It connects for a new session.
    Beginning,
}

/// How long it stays alive, or away, in turns of the loop.
const STAYS: u64 = 12;

impl Phoenix {
    pub(crate) fn new() -> Self {
        Self {
            life: History::new(false),
            step: Step::Away,
            asked: 0,
        }
    }

    pub(crate) const fn crashed(&mut self) {
        self.step = Step::Away;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.step != Step::Away
    }

    fn subscribe(&mut self, client: &mut Client) {
        self.asked = self.life.ask(true);
        let options = SubscriptionOptions::new(QoS::AtLeastOnce);
        client.subscribe(&[("nothing/is/published/here", options)], None);
        self.step = Step::Subscribing;
    }

    pub(crate) fn load(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        match self.step {
            Step::Back => self.subscribe(client),
            Step::Alive if cx.rng.one_in(STAYS) => {
                client.say_goodbye();
                self.step = Step::LeavingToEnd;
            }
            Step::Ended if cx.rng.one_in(STAYS) => {
                client.say_goodbye();
                self.step = Step::LeavingToBegin;
            }
            _ => {}
        }
    }

    pub(crate) fn event(&mut self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        match (event, self.step) {
            (Event::Connected { present, .. }, Step::Away) => {
                self.step = Step::Back;
                let name = &client.name;
                if self.life.find(present, false).is_err() {
                    let text = if *present {
                        format!("the session of {name} is there, though its end was confirmed")
                    } else {
                        format!("the session of {name} is gone, though it was confirmed")
                    };
                    cx.judge.report(Promise::Session, text);
                }
                if !present {
                    // This connection began one, of which nothing is confirmed yet.
                    self.life.ask(true);
                }
            }
            (Event::Left, Step::LeavingToEnd) => {
                self.asked = self.life.ask(false);
                cx.connect(client, true);
                self.step = Step::Ending;
            }
            (Event::Left, Step::LeavingToBegin) => {
                self.asked = self.life.ask(true);
                cx.connect(client, false);
                self.step = Step::Beginning;
            }
            (Event::Connected { .. }, Step::Ending) => {
                self.life.confirm(self.asked);
                self.step = Step::Ended;
            }
            (Event::Connected { present, .. }, Step::Beginning) => {
                if *present {
                    let text = format!(
                        "the session of {} is there right after its end",
                        client.name
                    );
                    cx.judge.report(Promise::Session, text);
                }
                self.subscribe(client);
            }
            (Event::Answered(..), Step::Subscribing) => {
                self.life.confirm(self.asked);
                self.step = Step::Alive;
            }
            _ => {}
        }
    }
}
