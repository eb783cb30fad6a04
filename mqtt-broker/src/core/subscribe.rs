//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_codec::{
    ReasonCode, RetainHandling, Subscribe, SubscriptionId, SubscriptionOptions, Unsubscribe,
};
use mqtt_session::Instant;
use mqtt_topic::{ParsedFilter, RetainedWalk};

use super::Core;
use super::connection::{Asked, Walk};
use super::effect::{Effect, Question, QuestionId};
use super::fanout::Grant;
use super::ids::{ConnId, SessionKey, Subscriber};
use super::message::Ids;
use super::policy::{Decision, Identity};
use super::store::Record;

impl Core {
    pub(super) fn subscribe(&mut self, id: ConnId, packet: &Subscribe<'_>, now: Instant) {
        let Some(key) = self
            .conns
            .get(id.slot, id.generation)
            .and_then(|conn| conn.session)
        else {
            return;
        };
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return;
        };
        let client = Identity {
            client_id: &session.client_id,
            user_name: session.user_name.as_deref(),
        };
        let bridge = session.bridge;
        let subscription_id = packet.properties.subscription_identifiers().next();
        let mut filters = Vec::with_capacity(packet.filters.len());
        let mut verdicts = Vec::with_capacity(packet.filters.len());
        for entry in packet.filters.iter() {
            let mut options = entry.options;
            if bridge {
                // What a bridge of 3.1.1 means by its private bit: no echo, and RETAIN as it was.
                options.no_local = !entry.filter.starts_with("$share/");
                options.retain_as_published = true;
            }
            verdicts.push(self.policy.subscribe(client, entry.filter, options.qos));
            filters.push((entry.filter.into(), options));
        }
        if verdicts.contains(&Decision::Ask) {
            self.ask_subscribe(id, key, filters, subscription_id);
            return;
        }
        let codes: Vec<ReasonCode> = filters
            .iter()
            .zip(verdicts)
            .map(|((filter, options), verdict)| match verdict {
                Decision::Accept => self.subscribe_one(id, key, filter, *options, subscription_id),
                Decision::Refuse(reason) => reason,
                Decision::Challenge(_) | Decision::Ask => ReasonCode::NOT_AUTHORIZED,
            })
            .collect();
        self.finish_subscribe(id, key, codes, now);
    }

    fn ask_subscribe(
        &mut self,
        id: ConnId,
        key: SessionKey,
        filters: Vec<(Box<str>, SubscriptionOptions)>,
        subscription_id: Option<SubscriptionId>,
    ) {
        self.questions = self.questions.wrapping_add(1);
        let number = self.questions;
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return;
        };
        let question = Question::Subscribe {
            client_id: session.client_id.clone(),
            user_name: session.user_name.clone(),
            filters: filters
                .iter()
                .map(|(filter, options)| (filter.clone(), options.qos))
                .collect(),
        };
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
            conn.asked = Some(Box::new(Asked {
                question: number,
                filters,
                id: subscription_id,
            }));
            self.effects
                .push(Effect::Ask(QuestionId { conn: id, number }, question));
        }
    }

    /// The answer to [`Question::Subscribe`]: one verdict for each filter, in their order; what is missing is refused. A late answer, to a
    /// connection that has gone meanwhile, does nothing.
    pub fn answer_subscribe(&mut self, question: QuestionId, verdicts: &[Decision], now: Instant) {
        let id = question.conn;
        let Some(conn) = self.conns.get_mut(id.slot, id.generation) else {
            return;
        };
        let Some(key) = conn.session else { return };
        let Some(asked) = conn
            .asked
            .take_if(|asked| asked.question == question.number)
        else {
            return;
        };
        let codes = asked
            .filters
            .iter()
            .enumerate()
            .map(|(at, (filter, options))| match verdicts.get(at) {
                Some(Decision::Accept) => self.subscribe_one(id, key, filter, *options, asked.id),
                Some(Decision::Refuse(reason)) => *reason,
                Some(Decision::Challenge(_) | Decision::Ask) | None => ReasonCode::NOT_AUTHORIZED,
            })
            .collect();
        self.finish_subscribe(id, key, codes, now);
    }

    fn finish_subscribe(
        &mut self,
        id: ConnId,
        key: SessionKey,
        codes: Vec<ReasonCode>,
        now: Instant,
    ) {
        let kept = self.store.latest();
        self.with_machine(id, |machine, _| machine.answer_subscribe(codes, kept));
        self.touch(id);
        self.join_groups(key, now);
    }

    fn subscribe_one(
        &mut self,
        id: ConnId,
        key: SessionKey,
        text: &str,
        options: SubscriptionOptions,
        subscription_id: Option<SubscriptionId>,
    ) -> ReasonCode {
        // The session has checked it.
        let Ok(parsed) = ParsedFilter::parse(text) else {
            return ReasonCode::TOPIC_FILTER_INVALID;
        };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return ReasonCode::UNSPECIFIED_ERROR;
        };
        let who = Subscriber::session(self.worker, key);
        let known = session.subscriptions.iter().any(|filter| &**filter == text);
        if !known {
            if session.subscriptions.len()
                >= self.shared.settings().subscriptions_per_client as usize
            {
                return ReasonCode::QUOTA_EXCEEDED;
            }
            session.subscriptions.push(text.into());
            self.tally.subscriptions += 1;
            self.tally.shared_subscriptions += i64::from(parsed.share.is_some());
        }
        if parsed.share.is_some() {
            let mut groups = self.shared.groups();
            let (group, new_group, _) = groups.join(text, who, options, subscription_id);
            if new_group {
                let grant = Grant {
                    options: SubscriptionOptions {
                        qos: mqtt_codec::QoS::ExactlyOnce,
                        ..options
                    },
                    id: None,
                };
                self.shared.subscriptions_mut().insert(
                    &parsed.filter,
                    Subscriber::group(group),
                    grant,
                );
            }
        } else {
            self.shared.subscriptions_mut().insert(
                &parsed.filter,
                who,
                Grant {
                    options,
                    id: subscription_id,
                },
            );
            let wants_retained = match options.retain_handling {
                RetainHandling::SendAtSubscribe => true,
                RetainHandling::SendIfNew => !known,
                RetainHandling::DoNotSend => false,
            };
            // After the index, so that nothing falls between the two; none for shared subscriptions.
            if wants_retained && !self.shared.retained().is_empty() {
                let walk = Walk {
                    walk: RetainedWalk::new(&parsed.filter),
                    qos: options.qos,
                    ids: Ids::None.with(subscription_id),
                };
                if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
                    conn.backlog.get_or_insert_default().0.push(walk);
                }
            }
        }
        self.store.record(&Record::Subscribed {
            session: key,
            filter: text,
            options,
            id: subscription_id.map_or(0, SubscriptionId::get),
        });
        // [MQTT-3.8.4-7]
        ReasonCode(options.qos as u8)
    }

    pub(super) fn unsubscribe(&mut self, id: ConnId, packet: &Unsubscribe<'_>) {
        let Some(key) = self
            .conns
            .get(id.slot, id.generation)
            .and_then(|conn| conn.session)
        else {
            return;
        };
        let who = Subscriber::session(self.worker, key);
        let mut codes = Vec::with_capacity(packet.filters.len());
        for filter in packet.filters.iter() {
            let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
                return;
            };
            // Compared character by character [MQTT-3.10.4-1].
            let at = session
                .subscriptions
                .iter()
                .position(|known| &**known == filter);
            codes.push(match at {
                Some(at) => {
                    session.subscriptions.swap_remove(at);
                    self.drop_subscription(who, filter);
                    self.store.record(&Record::Unsubscribed {
                        session: key,
                        filter,
                    });
                    ReasonCode::SUCCESS
                }
                None => ReasonCode::NO_SUBSCRIPTION_EXISTED,
            });
        }
        let kept = self.store.latest();
        self.with_machine(id, |machine, _| machine.answer_unsubscribe(codes, kept));
        self.touch(id);
    }
}
