//! Makes, changes and gives up subscriptions; finds out after a crash which of them are there.

use std::collections::{HashMap, VecDeque};

use mqtt_codec::{QoS, SubscriptionOptions};

use super::{Context, Judge};
use crate::client::{Client, Event};
use crate::judge::{History, Promise};
use crate::stamp::{Purpose, Stamp};

/// How a filter is subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) qos: QoS,
    /// The subscription identifier, in 5.0.
    pub(crate) subscription: Option<u32>,
}

/// The filters of all churners, so that each has a number of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters {
    pub(crate) churners: usize,
    pub(crate) each: usize,
}

impl Filters {
    /// The topic of each filter; the last one of a churner is always subscribed.
    pub(crate) fn topics(self) -> impl Iterator<Item = (usize, String)> {
        (0..self.churners * self.each).map(move |place| (place, self.topic(place)))
    }

    fn topic(self, place: usize) -> String {
        format!("churn/{}/{}", place / self.each, place % self.each)
    }
}

/// A client whose subscriptions change.
#[derive(Debug)]
pub(crate) struct Churner {
    filters: Filters,
    /// The place of its first filter among all.
    first: usize,
    histories: Vec<History<Option<Terms>>>,
    /// SUBSCRIBE and UNSUBSCRIBE that are not answered: packet id, filter, number of the change.
    asked: VecDeque<(u16, usize, u32)>,
    /// What each filter got of the last probes.
    seen: HashMap<usize, Terms>,
    /// Whether the last of the probes has come.
    done: bool,
    next_subscription: u32,
}

/// Changes that it keeps on their way.
const WINDOW: usize = 4;

impl Churner {
    pub(crate) fn new(filters: Filters, churner: usize) -> Self {
        Self {
            filters,
            first: churner * filters.each,
            histories: vec![History::new(None); filters.each - 1],
            asked: VecDeque::new(),
            seen: HashMap::new(),
            done: false,
            next_subscription: 0,
        }
    }

    /// The filter that is always subscribed.
    fn barrier(&self) -> usize {
        self.first + self.filters.each - 1
    }

    pub(crate) fn load(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        if !client.is_connected() || self.asked.len() >= WINDOW {
            return;
        }
        let filter = cx.rng.below(self.histories.len() as u64) as usize;
        let (gives_up, twice) = (cx.rng.one_in(2), cx.rng.one_in(2));
        let topic = self.filters.topic(self.first + filter);
        let Some(history) = self.histories.get_mut(filter) else {
            return;
        };
        let subscribed = history.possible().last().is_some_and(Option::is_some);
        let (id, state) = if subscribed && gives_up {
            (client.unsubscribe(&topic), None)
        } else {
            self.next_subscription += 1;
            let terms = Terms {
                qos: if twice {
                    QoS::ExactlyOnce
                } else {
                    QoS::AtLeastOnce
                },
                subscription: client.version.is_v5().then_some(self.next_subscription),
            };
            let options = SubscriptionOptions::new(terms.qos);
            let id = client.subscribe(&[(&topic, options)], terms.subscription);
            (id, Some(terms))
        };
        let number = history.ask(state);
        self.asked.push_back((id, filter, number));
    }

    pub(crate) fn crashed(&mut self) {
        self.asked.clear();
        self.seen.clear();
        self.done = false;
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn settle(&mut self, client: &Client, judge: &mut Judge) {
        if !self.done {
            let text = format!(
                "{} did not get what its subscription at the end was sent",
                client.name
            );
            judge.report(Promise::Subscription, text);
        }
    }

    pub(crate) fn event(&mut self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Connected { present: false, .. } => {
                // Nothing is left of it: that was reported.
                self.histories.fill(History::new(None));
                let topic = self.filters.topic(self.barrier());
                client.subscribe(
                    &[(&topic, SubscriptionOptions::new(QoS::AtLeastOnce))],
                    None,
                );
                self.done = true;
            }
            Event::Answered(id, codes) => {
                if codes.iter().any(|code| code.is_error()) {
                    let text = format!("a subscription of {} is refused", client.name);
                    cx.judge.report(Promise::Serving, text);
                }
                let place = self.asked.iter().position(|asked| asked.0 == *id);
                if let Some((_, filter, number)) = place.and_then(|place| self.asked.remove(place))
                    && let Some(history) = self.histories.get_mut(filter)
                {
                    history.confirm(number);
                }
            }
            Event::Delivered {
                stamp,
                topic,
                qos,
                subscription,
                ..
            } => {
                let Some(Stamp {
                    purpose: Purpose::Probe,
                    stream,
                    number,
                }) = *stamp
                else {
                    let text = format!(
                        "{} got bytes on {topic} that nobody sent there",
                        client.name
                    );
                    cx.judge.report(Promise::Genuine, text);
                    return;
                };
                // One of an earlier restart says nothing about this one.
                if number != cx.restart {
                    return;
                }
                if stream == self.barrier() {
                    self.done = true;
                    self.judge(&client.name, cx.judge);
                } else {
                    let terms = Terms {
                        qos: *qos,
                        subscription: *subscription,
                    };
                    self.seen.insert(stream, terms);
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, name: &str, judge: &mut Judge) {
        for (place, history) in self.histories.iter_mut().enumerate() {
            let found = self.seen.get(&(self.first + place)).copied();
            let Err(misfit) = history.find(&found, false) else {
                continue;
            };
            let show = |terms: &Option<Terms>| match terms {
                None => "not there".to_owned(),
                Some(Terms {
                    qos,
                    subscription: None,
                }) => format!("there at QoS {}", *qos as u8),
                Some(Terms {
                    qos,
                    subscription: Some(id),
                }) => {
                    format!("there at QoS {} under the identifier {id}", *qos as u8)
                }
            };
            let text = format!(
                "subscription {} of {name} is {}: last acknowledged was {}, and {} later changes were on their way",
                self.filters.topic(self.first + place),
                show(&found),
                misfit.possible.first().map(show).unwrap_or_default(),
                misfit.possible.len().saturating_sub(1)
            );
            judge.report(Promise::Subscription, text);
        }
    }
}
