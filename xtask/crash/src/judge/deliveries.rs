//! Numbered messages of publishers, and which of them came to which subscription.

use mqtt_codec::QoS;

use super::violation::{Promise, Tally};

/// A message of a publisher.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    /// PUBACK or PUBREC came.
    accepted: bool,
    /// It was sent again as a new message, because the broker had lost the publisher's session: that it comes twice is no fault of its own.
    anew: bool,
    /// A crash fell between its sending and its acceptance.
    in_doubt: bool,
}

/// What came of a message at one subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Receipt {
    #[default]
    Waits,
    Came,
    /// It was reported as lost.
    WrittenOff,
}

/// A subscription to all publishers.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    /// The QoS that was granted.
    pub(crate) granted: QoS,
    /// A shared group: any of its members may get a message, and members are not in step.
    pub(crate) group: bool,
}

#[derive(Debug)]
struct Subscription {
    receiver: Receiver,
    streams: Vec<Stream>,
}

/// What came to one subscription from one publisher.
#[derive(Clone, Debug, Default)]
struct Stream {
    receipts: Vec<Receipt>,
    /// Up to here nothing is missing, or anything was decided.
    settled: usize,
    /// The highest number that came.
    last: usize,
}

/// Everything that was published and received in a run.
#[derive(Debug)]
pub(crate) struct Deliveries {
    publishers: Vec<(QoS, Vec<Message>)>,
    subscriptions: Vec<Subscription>,
    /// Messages that were accepted.
    pub(crate) accepted: u64,
    /// Messages that came, repetitions included.
    pub(crate) received: u64,
    /// Reported as lost, and come after all.
    pub(crate) late: u64,
}

impl Deliveries {
    /// Publishers by their QoS; every subscription is there before the first message.
    pub(crate) fn new(publishers: &[QoS], receivers: Vec<Receiver>) -> Self {
        let subscriptions = receivers.into_iter().map(|receiver| Subscription {
            receiver,
            streams: vec![Stream::default(); publishers.len()],
        });
        Self {
            publishers: publishers.iter().map(|qos| (*qos, Vec::new())).collect(),
            subscriptions: subscriptions.collect(),
            accepted: 0,
            received: 0,
            late: 0,
        }
    }

    /// The next message of a publisher is sent; its number.
    pub(crate) fn send(&mut self, publisher: usize) -> u32 {
        let messages = &mut self.publishers[publisher].1;
        messages.push(Message::default());
        messages.len() as u32
    }

    fn message(&mut self, publisher: usize, number: u32) -> Option<&mut Message> {
        let place = (number as usize).checked_sub(1)?;
        self.publishers.get_mut(publisher)?.1.get_mut(place)
    }

    /// The broker took responsibility for a message.
    pub(crate) fn accept(&mut self, publisher: usize, number: u32) {
        if let Some(message) = self.message(publisher, number)
            && !message.accepted
        {
            message.accepted = true;
            self.accepted += 1;
        }
    }

    /// A message was sent again as a new one.
    pub(crate) fn anew(&mut self, publisher: usize, number: u32) {
        if let Some(message) = self.message(publisher, number) {
            message.anew = true;
        }
    }

    /// The broker was killed: what is not accepted by now is in doubt.
    pub(crate) fn crash(&mut self) {
        for message in self.publishers.iter_mut().flat_map(|it| &mut it.1) {
            message.in_doubt |= !message.accepted;
        }
    }

    /// A message came to a subscription, at this QoS.
    pub(crate) fn deliver(
        &mut self,
        subscription: usize,
        publisher: usize,
        number: u32,
        qos: QoS,
        (round, tally): (u32, &mut Tally),
    ) {
        self.received += 1;
        let Subscription { receiver, streams } = &mut self.subscriptions[subscription];
        let name = &receiver.name;
        let sent = self.publishers.get(publisher).and_then(|(published, all)| {
            let message = all.get((number as usize).checked_sub(1)?)?;
            Some((*published, *message))
        });
        let Some((published, message)) = sent else {
            let text =
                format!("{name} got message {number} of publisher {publisher}, which nobody sent");
            tally.add(round, Promise::Genuine, text);
            return;
        };
        let what = format!(
            "message {number} of publisher {publisher} (QoS {})",
            published as u8
        );
        let due = published.min(receiver.granted);
        if qos != due {
            let text = format!(
                "{name} got {what} at QoS {} instead of {}",
                qos as u8, due as u8
            );
            tally.add(round, Promise::Genuine, text);
        }
        let place = number as usize - 1;
        let stream = &mut streams[publisher];
        if stream.receipts.len() <= place {
            stream.receipts.resize(place + 1, Receipt::Waits);
        }
        match core::mem::replace(&mut stream.receipts[place], Receipt::Came) {
            Receipt::Came => {
                // A group may get what nobody was told about, and what waited for a member that was not there, a second time.
                let excused = message.anew || (receiver.group && message.in_doubt);
                if due == QoS::ExactlyOnce && !excused {
                    tally.add(round, Promise::Once, format!("{name} got {what} twice"));
                }
                return;
            }
            Receipt::WrittenOff => self.late += 1,
            Receipt::Waits => {}
        }
        if !receiver.group && !message.anew && place < stream.last {
            let text = format!("{name} got {what} after message {}", stream.last);
            tally.add(round, Promise::Ordered, text);
        }
        stream.last = stream.last.max(place + 1);
    }

    /// Whether everything accepted has come to a subscription.
    pub(crate) fn is_settled(&mut self, subscription: usize) -> bool {
        let streams = &mut self.subscriptions[subscription].streams;
        streams
            .iter_mut()
            .zip(&self.publishers)
            .all(|(stream, (_, messages))| {
                while let Some(message) = messages.get(stream.settled) {
                    let came = stream
                        .receipts
                        .get(stream.settled)
                        .copied()
                        .unwrap_or_default();
                    if came == Receipt::Waits && message.accepted {
                        return false;
                    }
                    if came == Receipt::Waits {
                        // It may be accepted yet.
                        return messages[stream.settled..].iter().enumerate().all(
                            |(ahead, message)| {
                                let place = stream.settled + ahead;
                                let came = stream.receipts.get(place).copied().unwrap_or_default();
                                !message.accepted || came != Receipt::Waits
                            },
                        );
                    }
                    stream.settled += 1;
                }
                true
            })
    }

    /// Waiting is over: what was accepted and has not come is lost. Says how much that is.
    pub(crate) fn write_off(
        &mut self,
        subscription: usize,
        round: u32,
        tally: &mut Tally,
    ) -> usize {
        let Subscription { receiver, streams } = &mut self.subscriptions[subscription];
        let mut lost = 0;
        for (publisher, (stream, (qos, messages))) in
            streams.iter_mut().zip(&self.publishers).enumerate()
        {
            stream
                .receipts
                .resize(stream.receipts.len().max(messages.len()), Receipt::Waits);
            for (place, message) in messages.iter().enumerate().skip(stream.settled) {
                if message.accepted && stream.receipts[place] == Receipt::Waits {
                    stream.receipts[place] = Receipt::WrittenOff;
                    lost += 1;
                    let name = &receiver.name;
                    let text = format!(
                        "message {} of publisher {publisher} (QoS {}) was acknowledged and did not come to {name}",
                        place + 1,
                        *qos as u8
                    );
                    tally.add(round, Promise::Delivered, text);
                }
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONCE: usize = 0;
    const MEMBER: usize = 1;
    const AT_LEAST_ONCE: usize = 2;

    /// One publisher of each QoS; a subscription at QoS 2, a group at QoS 2, a subscription at QoS 1.
    fn deliveries() -> Deliveries {
        let receiver = |name: &str, granted, group| Receiver {
            name: name.into(),
            granted,
            group,
        };
        Deliveries::new(
            &[QoS::AtLeastOnce, QoS::ExactlyOnce],
            vec![
                receiver("a", QoS::ExactlyOnce, false),
                receiver("group", QoS::ExactlyOnce, true),
                receiver("b", QoS::AtLeastOnce, false),
            ],
        )
    }

    /// A history: `s`end, `a`ccept, send a`n`ew, `c`rash, a number for a delivery. Of publisher 1, QoS 2, to one subscription.
    fn judged(subscription: usize, history: &str) -> Tally {
        let mut all = deliveries();
        let mut tally = Tally::default();
        let mut accepted = 0;
        let qos = [QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtLeastOnce][subscription];
        for step in history.chars() {
            match step {
                's' => drop(all.send(1)),
                'a' => {
                    accepted += 1;
                    all.accept(1, accepted);
                }
                'n' => all.anew(1, accepted + 1),
                'c' => all.crash(),
                number => {
                    let number = number.to_digit(10).expect("a number");
                    all.deliver(subscription, 1, number, qos, (1, &mut tally));
                }
            }
        }
        let settled = all.is_settled(subscription);
        let lost = all.write_off(subscription, 1, &mut tally);
        assert_eq!(settled, lost == 0, "{history}");
        assert!(
            all.is_settled(subscription),
            "what is written off is settled"
        );
        tally
    }

    fn check(subscription: usize, history: &str, broken: &[Promise]) {
        let tally = judged(subscription, history);
        let found: Vec<Promise> = tally.violations().iter().map(|it| it.promise).collect();
        assert_eq!(found, broken, "{history}: {:?}", tally.violations());
    }

    #[test]
    fn what_is_as_it_must_be_is_not_reported() {
        check(ONCE, "ssaa12", &[]);
        // Never accepted: it may come or not.
        check(ONCE, "ssa1c", &[]);
        check(ONCE, "ssa1c2", &[]);
        check(AT_LEAST_ONCE, "ssaa1212", &[]);
    }

    #[test]
    fn an_accepted_message_that_does_not_come_is_lost() {
        check(ONCE, "sssaaac13", &[Promise::Delivered]);
        check(ONCE, "sac", &[Promise::Delivered]);
        check(MEMBER, "sac", &[Promise::Delivered]);
        let text = judged(ONCE, "sssaaac13").violations()[0].text.clone();
        assert_eq!(
            text,
            "message 2 of publisher 1 (QoS 2) was acknowledged and did not come to a"
        );
    }

    #[test]
    fn qos_2_twice_is_reported_and_qos_1_is_not() {
        check(ONCE, "sac11", &[Promise::Once]);
        check(ONCE, "sc1a1", &[Promise::Once]);
        check(AT_LEAST_ONCE, "sac111", &[]);
    }

    #[test]
    fn what_a_client_sent_anew_may_come_twice() {
        check(ONCE, "sc1na1", &[]);
    }

    #[test]
    fn a_group_may_get_twice_only_what_nobody_was_told_about() {
        check(MEMBER, "sca11", &[]);
        check(MEMBER, "sac11", &[Promise::Once]);
    }

    #[test]
    fn first_copies_out_of_order_are_reported() {
        check(ONCE, "ssaa21", &[Promise::Ordered]);
        check(AT_LEAST_ONCE, "sssaaa12123", &[]);
        check(AT_LEAST_ONCE, "sssaaa132", &[Promise::Ordered]);
        check(MEMBER, "ssaa21", &[]);
    }

    #[test]
    fn what_nobody_sent_is_reported() {
        check(ONCE, "sa12", &[Promise::Genuine]);
        let mut tally = Tally::default();
        deliveries().deliver(ONCE, 7, 1, QoS::ExactlyOnce, (1, &mut tally));
        assert_eq!(tally.count(Promise::Genuine), 1);
    }

    #[test]
    fn another_qos_than_was_granted_is_reported() {
        let mut all = deliveries();
        let mut tally = Tally::default();
        all.send(0);
        all.deliver(ONCE, 0, 1, QoS::ExactlyOnce, (1, &mut tally));
        assert_eq!(tally.count(Promise::Genuine), 1);
    }

    #[test]
    fn a_message_that_was_written_off_and_comes_is_late() {
        let mut all = deliveries();
        let mut tally = Tally::default();
        all.send(0);
        all.accept(0, 1);
        assert_eq!(all.write_off(ONCE, 1, &mut tally), 1);
        assert_eq!(all.write_off(ONCE, 1, &mut tally), 0);
        all.deliver(ONCE, 0, 1, QoS::AtLeastOnce, (2, &mut tally));
        assert_eq!((all.late, tally.total()), (1, 1));
    }
}
