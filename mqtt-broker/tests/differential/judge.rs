//! Judges what differs: the list of known differences, each with what the specification says.

use crate::past::Past;
use crate::rules::{endings, groups, handshakes, limits, subscriptions};
use crate::trace::Step;
use crate::view::{Got, View};

/// Who does what the specification asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Our broker; Mosquitto does not.
    Ours,
    /// The specification leaves it open.
    Both,
}

/// What a rule has to say to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Explained {
    /// Nothing.
    No,
    /// The difference was there, and both brokers are in the same state all the same.
    GoesOn,
    /// The difference was there, and what comes later cannot be compared.
    Ends,
}

/// A known difference.
pub(crate) struct Difference {
    /// What differs.
    pub(crate) name: &'static str,
    /// Who is right.
    pub(crate) right: Right,
    /// The statements or sections that decide it.
    pub(crate) statements: &'static str,
    /// Why it is judged so.
    pub(crate) reason: &'static str,
    /// Takes this difference out of both views, and nothing else.
    pub(crate) explain: fn(&mut Case<'_>) -> Explained,
}

/// A step that was seen differently.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The step.
    pub(crate) step: &'a Step,
    /// What went before it.
    pub(crate) past: &'a Past,
    /// What was seen of our broker.
    pub(crate) ours: View,
    /// What was seen of Mosquitto.
    pub(crate) theirs: View,
    /// What our broker has sent to a client and Mosquitto may still send.
    pub(crate) owed: Vec<(usize, Got)>,
}

/// What became of a case.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The rules that explained something, as indexes of [`DIFFERENCES`].
    pub(crate) rules: Vec<usize>,
    /// Whether all was explained.
    pub(crate) explained: bool,
    /// Whether the rest of the trace can be compared.
    pub(crate) goes_on: bool,
}

/// Judges a case; what no rule explains is left in its views.
pub(crate) fn judge(case: &mut Case<'_>) -> Verdict {
    let mut rules = Vec::new();
    let mut goes_on = true;
    for (number, rule) in DIFFERENCES.iter().enumerate() {
        if case.ours == case.theirs {
            break;
        }
        match (rule.explain)(case) {
            Explained::No => {}
            Explained::GoesOn => rules.push(number),
            Explained::Ends => {
                rules.push(number);
                goes_on = false;
            }
        }
    }
    Verdict {
        rules,
        explained: case.ours == case.theirs,
        goes_on,
    }
}

/// The list as the README has it.
pub(crate) fn table() -> String {
    let mut table = "| what differs | right | statements | why |\n|---|---|---|---|\n".to_owned();
    for rule in DIFFERENCES {
        let right = match rule.right {
            Right::Ours => "ours",
            Right::Both => "both",
        };
        table += &format!(
            "| {} | {right} | {} | {} |\n",
            rule.name, rule.statements, rule.reason
        );
    }
    table
}

/// The known differences.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "PUBACK and PUBREC say that nobody is subscribed",
        right: Right::Both,
        statements: "3.4.2.1, 3.5.2.1",
        reason: "0x10 is an option of the server. Mosquitto says it for QoS 1 only, since it passes QoS 2 on at PUBREL",
        explain: handshakes::no_matching_subscribers,
    },
    Difference {
        name: "the old connection is told that it was taken over",
        right: Right::Ours,
        statements: "MQTT-3.1.4-3",
        reason: "DISCONNECT 0x8E comes before the close; Mosquitto only closes",
        explain: handshakes::takeover_is_told,
    },
    Difference {
        name: "QoS 2 is passed on at PUBLISH, or at PUBREL",
        right: Right::Both,
        statements: "4.3.3",
        reason: "The specification has both methods; Mosquitto waits for PUBREL",
        explain: handshakes::when_qos_2_is_passed_on,
    },
    Difference {
        name: "a new shared subscription gets no retained messages",
        right: Right::Ours,
        statements: "4.8.2",
        reason: "Mosquitto sends them, in 3.1.1 too",
        explain: subscriptions::shared_gets_no_retained,
    },
    Difference {
        name: "a repeated SUBSCRIBE replaces all options",
        right: Right::Ours,
        statements: "MQTT-3.8.4-3",
        reason: "Mosquitto takes the new QoS and identifier, and keeps the old No Local and Retain As Published",
        explain: subscriptions::options_are_replaced,
    },
    Difference {
        name: "overlapping subscriptions: one copy at the highest QoS, or one for each",
        right: Right::Both,
        statements: "MQTT-3.3.4-2, MQTT-3.3.4-3",
        reason: "One copy has all identifiers and the highest QoS; Mosquitto sends 5.0 clients a copy for each subscription",
        explain: subscriptions::overlapping_copies,
    },
    Difference {
        name: "overlapping subscriptions before 5.0: the highest QoS counts",
        right: Right::Ours,
        statements: "3.1.1:MQTT-3.3.5-1",
        reason: "Mosquitto sends one copy at the QoS of the subscription that it finds first",
        explain: subscriptions::highest_qos_of_overlapping,
    },
    Difference {
        name: "which member of a group gets a message",
        right: Right::Both,
        statements: "4.8.2",
        reason: "Any one member; ours takes the one with the fewest messages outstanding, Mosquitto the next in turn",
        explain: groups::choice_of_the_member,
    },
    Difference {
        name: "a client of 3.1 or 3.1.1 in a group that gets a message by another subscription too",
        right: Right::Both,
        statements: "4.8.2",
        reason: "In 5.0 each group gives a copy. Before, `$share` is an extension: ours does the same, Mosquitto sends one copy",
        explain: groups::copies_of_groups_before_5,
    },
    Difference {
        name: "what happens between the PUBLISH and the PUBREL of a QoS 2 message",
        right: Right::Both,
        statements: "4.3.3",
        reason: "One has passed the message on and retained it, the other has not; whoever subscribes or leaves meanwhile sees it",
        explain: handshakes::between_publish_and_pubrel,
    },
    Difference {
        name: "a group with a member that is absent, slow, or takes no message so large",
        right: Right::Both,
        statements: "4.8.2",
        reason: "The choice is the server's: ours gives the message to the connected member that has least to do, or to the first that comes; Mosquitto to the next in turn, absent ones too",
        explain: groups::absent_members,
    },
    Difference {
        name: "take-over publishes the will",
        right: Right::Ours,
        statements: "MQTT-3.1.2-8, 3.1.1:MQTT-3.1.2-8, MQTT-3.1.4-3",
        reason: "The old connection ends without DISCONNECT; Mosquitto is silent if the session goes on",
        explain: endings::will_at_takeover,
    },
    Difference {
        name: "a message whose delivery has begun does not expire",
        right: Right::Ours,
        statements: "MQTT-3.3.2-5, MQTT-4.4.0-1",
        reason: "It is sent again when the session is resumed; Mosquitto drops it",
        explain: endings::begun_does_not_expire,
    },
    Difference {
        name: "who is taken over gets its own will",
        right: Right::Both,
        statements: "3.1.2.5",
        reason: "Its session ends and its will is published: the order is open. Mosquitto sends the will to the old connection first",
        explain: endings::last_words_to_the_old_connection,
    },
    Difference {
        name: "a delayed will does not wait beyond the end of the session",
        right: Right::Ours,
        statements: "MQTT-3.1.2-8, 3.1.3.2.2",
        reason: "The delay or the session ends, whichever is first; Mosquitto waits for the delay",
        explain: endings::delayed_will_of_an_ended_session,
    },
    Difference {
        name: "the Receive Maximum of the new connection counts for what is sent again",
        right: Right::Ours,
        statements: "MQTT-3.3.4-9",
        reason: "Mosquitto sends all that was in flight at once",
        explain: limits::window_of_a_resumed_session,
    },
    Difference {
        name: "a message that is too large for a client is as good as sent",
        right: Right::Ours,
        statements: "MQTT-3.1.2-25",
        reason: "Mosquitto drops it too, but it goes on counting against Receive Maximum; sent again, ours ends its handshake with PUBREL",
        explain: limits::too_large_is_as_good_as_sent,
    },
    Difference {
        name: "retained QoS 0 messages for a new subscription while the window is full",
        right: Right::Both,
        statements: "MQTT-3.3.4-9",
        reason: "Receive Maximum does not count QoS 0: Mosquitto sends them at once, ours in their order among the others",
        explain: limits::at_most_once_before_the_window_opens,
    },
    Difference {
        name: "a refused QoS 2 message gives its place in the window back",
        right: Right::Ours,
        statements: "4.9",
        reason: "PUBREC of 0x80 or more frees a place as PUBCOMP does; Mosquitto forgets it, and sends nothing any more",
        explain: limits::refusal_opens_the_window,
    },
    Difference {
        name: "which retained messages come first when the window is smaller than their number",
        right: Right::Both,
        statements: "MQTT-4.6.0-6",
        reason: "Only messages of one topic have an order",
        explain: limits::first_retained_in_a_window,
    },
];
