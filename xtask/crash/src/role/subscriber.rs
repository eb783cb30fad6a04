//! Gets every numbered message, by a subscription of its own or as a member of a shared group.

use mqtt_codec::{QoS, SubscriptionOptions};

use super::publisher::EVERYTHING;
use super::{Context, Judge, Turn};
use crate::client::{Client, Event};
use crate::judge::Promise;
use crate::plan::Plan;
use crate::stamp::{Purpose, Stamp};

/// Where a subscriber is while the load runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Online,
    /// Its connection breaks now and then.
    Flapping,
    /// It is away, and comes back after the crash.
    Offline,
    /// It is away, and does not come back after every crash.
    Absent,
}

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// The subscription of the judge that its messages count for.
    subscription: usize,
    group: Option<&'static str>,
    qos: QoS,
    habit: Habit,
    /// The SUBSCRIBE that is not answered.
    asked: Option<u16>,
    subscribed: bool,
    came_back: bool,
}

/// Acknowledgements that a subscriber holds back, at most.
const HELD: u64 = 12;
/// How often a flapping connection breaks, in turns of the loop.
const BREAKS: u64 = 60;

impl Subscriber {
    pub(crate) fn new(
        subscription: usize,
        qos: QoS,
        group: Option<&'static str>,
        habit: Habit,
    ) -> Self {
        Self {
            subscription,
            group,
            qos,
            habit,
            asked: None,
            subscribed: false,
            came_back: false,
        }
    }

    pub(crate) fn begin(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        client.hold = cx.rng.below(HELD + 1) as usize;
        if matches!(self.habit, Habit::Offline | Habit::Absent) {
            // Half of them say goodbye.
            if cx.rng.one_in(2) {
                client.leave();
            } else {
                client.cut();
            }
        }
    }

    pub(crate) fn load(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        if self.habit == Habit::Flapping {
            if client.is_offline() {
                cx.connect(client, false);
            } else if client.is_connected() && cx.rng.one_in(BREAKS) {
                client.cut();
            }
        }
    }

    pub(crate) fn turn(&self, plan: &Plan) -> Turn {
        match self.habit {
            Habit::Absent if !plan.absent_return => Turn::Never,
            _ if plan.subscribers_first => Turn::First,
            _ => Turn::Second,
        }
    }

    pub(crate) fn crashed(&mut self) {
        self.asked = None;
        self.came_back = false;
    }

    pub(crate) fn is_done(&self, client: &Client, judge: &mut Judge) -> bool {
        client.is_connected()
            && self.subscribed
            && client.owed() == 0
            && judge.deliveries.is_settled(self.subscription)
    }

    pub(crate) fn settle(&self, client: &Client, judge: &mut Judge) {
        if !self.came_back {
            let text = format!("{} is not let in", client.name);
            judge.report(Promise::Serving, text);
        }
        let (round, tally) = (judge.round, &mut judge.tally);
        judge.deliveries.write_off(self.subscription, round, tally);
    }

    fn subscribe(&mut self, client: &mut Client) {
        let filter = match self.group {
            Some(group) => format!("$share/{group}/{EVERYTHING}"),
            None => EVERYTHING.to_owned(),
        };
        let options = SubscriptionOptions::new(self.qos);
        self.asked = Some(client.subscribe(&[(&filter, options)], None));
        self.subscribed = false;
    }

    pub(crate) fn event(&mut self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Connected { present, .. } => {
                self.came_back = true;
                if !present || !self.subscribed {
                    self.subscribe(client);
                }
            }
            Event::Answered(id, codes) if self.asked == Some(*id) => {
                self.asked = None;
                self.subscribed = true;
                if codes.iter().any(|code| code.is_error()) {
                    let text = format!("the subscription of {} is refused", client.name);
                    cx.judge.report(Promise::Serving, text);
                }
            }
            Event::Delivered {
                stamp, topic, qos, ..
            } => match stamp {
                Some(Stamp {
                    purpose: Purpose::Load,
                    stream,
                    number,
                }) if *topic == format!("load/{stream}") => {
                    let Judge {
                        deliveries,
                        tally,
                        round,
                        ..
                    } = cx.judge;
                    deliveries.deliver(self.subscription, *stream, *number, *qos, (*round, tally));
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
