//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_codec::{
    ReasonCode, RetainHandling, Subscribe, SubscriptionId, SubscriptionOptions, Unsubscribe,
};
use mqtt_session::{Commit, Instant};
use mqtt_topic::ParsedFilter;

use super::Core;
use super::backlog::Walk;
use super::connection::Asked;
use super::effect::{Effect, Question, QuestionId};
use super::fanout::Grant;
use super::groups::{Joined, Left};
use super::ids::{ConnId, GroupId, SessionKey, Subscriber};
use super::policy::Decision;
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
        let client = session.identity();
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
        let asked = Asked {
            question: 0,
            filters,
            id: subscription_id,
        };
        if verdicts.contains(&Decision::Ask) {
            self.ask_subscribe(id, key, asked);
        } else {
            self.finish_subscribe(id, key, &asked, &verdicts, now);
        }
    }

    fn ask_subscribe(&mut self, id: ConnId, key: SessionKey, mut asked: Asked) {
        asked.question = self.next_question();
        let number = asked.question;
        let Some(session) = self.sessions.get(key.slot, key.generation) else {
            return;
        };
        let question = Question::Subscribe {
            client_id: session.client_id.clone(),
            user_name: session.user_name.clone(),
            filters: asked
                .filters
                .iter()
                .map(|(filter, options)| (filter.clone(), options.qos))
                .collect(),
        };
        if let Some(conn) = self.conns.get_mut(id.slot, id.generation) {
            conn.rare.get_or_insert_default().asked = Some(asked);
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
        let Some(asked) = conn.rare.as_mut().and_then(|rare| {
            rare.asked
                .take_if(|asked| asked.question == question.number)
        }) else {
            return;
        };
        self.finish_subscribe(id, key, &asked, verdicts, now);
    }

    fn finish_subscribe(
        &mut self,
        id: ConnId,
        key: SessionKey,
        asked: &Asked,
        verdicts: &[Decision],
        now: Instant,
    ) {
        let most = self.shared.settings().subscriptions_per_client as usize;
        let no_room = self.subscription_refusal(id);
        let mut groups = Vec::new();
        let codes: Vec<ReasonCode> = asked
            .filters
            .iter()
            .enumerate()
            .map(|(at, (filter, options))| match verdicts.get(at) {
                // What one packet makes us do is bounded as well.
                Some(Decision::Accept | Decision::AcceptWith(_)) if at >= most => {
                    ReasonCode::QUOTA_EXCEEDED
                }
                Some(Decision::Accept | Decision::AcceptWith(_)) => match no_room {
                    Some(reason) => {
                        self.tally.refused_full += 1;
                        reason
                    }
                    None => self.subscribe_one(key, filter, *options, asked.id, &mut groups),
                },
                Some(Decision::Refuse(reason)) if reason.is_error() => *reason,
                Some(Decision::Refuse(_) | Decision::Challenge(_) | Decision::Ask) | None => {
                    ReasonCode::NOT_AUTHORIZED
                }
            })
            .collect();
        // Where none was made, nothing is promised.
        let kept = match no_room {
            Some(_) => Commit::default(),
            None => self.promise(id),
        };
        self.with_machine(id, |machine, _| machine.answer_subscribe(codes, kept));
        self.trim_soon(id);
        self.touch(id);
        for group in groups {
            self.deliver_waiting(group, now);
        }
    }

    /// Makes one subscription; a shared group that it belongs to is added to `joined`.
    fn subscribe_one(
        &mut self,
        key: SessionKey,
        text: &str,
        options: SubscriptionOptions,
        subscription_id: Option<SubscriptionId>,
        joined: &mut Vec<GroupId>,
    ) -> ReasonCode {
        // The session has checked it.
        let Ok(parsed) = ParsedFilter::parse(text) else {
            return ReasonCode::TOPIC_FILTER_INVALID;
        };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return ReasonCode::UNSPECIFIED_ERROR;
        };
        let who = Subscriber::session(self.worker, key);
        let place = session
            .subscriptions
            .binary_search_by(|known| (**known).cmp(text));
        let most = self.shared.settings().subscriptions_per_client as usize;
        let owed = session.backlog.as_ref().map_or(0, |backlog| backlog.len());
        if owed >= most || (place.is_err() && session.subscriptions.len() >= most) {
            return ReasonCode::QUOTA_EXCEEDED;
        }
        if let Err(at) = place {
            session.subscriptions.insert(at, text.into());
            self.tally.subscriptions += 1;
            self.tally.shared_subscriptions += i64::from(parsed.share.is_some());
        }
        let grant = Grant {
            options,
            id: subscription_id,
        };
        let mut wants_retained = match options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => place.is_err(),
            RetainHandling::DoNotSend => false,
        };
        if parsed.share.is_some() {
            joined.push(self.join_group(who, text, &parsed, grant));
            wants_retained &= cfg!(mutation = "retained-to-group");
        } else {
            let mut index = self.shared.subscriptions_mut();
            index.insert(&parsed.filter, who, grant);
        }
        // After the index, so that nothing falls between the two.
        wants_retained = wants_retained && !self.shared.retained().is_empty();
        if wants_retained && let Some(session) = self.sessions.get_mut(key.slot, key.generation) {
            let walk = Walk::new(&parsed.filter, options.qos, subscription_id);
            session.backlog.get_or_insert_default().push(walk);
        }
        self.store.record(&Record::Subscribed {
            session: who,
            filter: text,
            options,
            id: subscription_id,
            retained: wants_retained,
        });
        // [MQTT-3.8.4-7]
        ReasonCode(options.qos as u8)
    }

    /// Makes a session a member of the group of `$share/group/filter`, which begins with its first.
    pub(super) fn join_group(
        &mut self,
        who: Subscriber,
        text: &str,
        parsed: &ParsedFilter<'_>,
        grant: Grant,
    ) -> GroupId {
        let mut groups = self.shared.groups();
        let Joined { group, new_group } = groups.join(text, who, grant.options, grant.id);
        if new_group {
            self.store.record(&Record::Group {
                group,
                filter: text,
            });
            let grant = Grant {
                options: SubscriptionOptions {
                    qos: mqtt_codec::QoS::ExactlyOnce,
                    ..grant.options
                },
                id: None,
            };
            self.shared
                .subscriptions_mut()
                .insert(&parsed.filter, Subscriber::group(group), grant);
        }
        group
    }

    pub(super) fn unsubscribe(&mut self, id: ConnId, packet: &Unsubscribe<'_>, now: Instant) {
        let Some(key) = self
            .conns
            .get(id.slot, id.generation)
            .and_then(|conn| conn.session)
        else {
            return;
        };
        let who = Subscriber::session(self.worker, key);
        let mut codes = Vec::with_capacity(packet.filters.len());
        let mut gone = Vec::new();
        let mut left = Vec::new();
        for filter in packet.filters.iter() {
            let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
                return;
            };
            // Compared character by character [MQTT-3.10.4-1].
            let place = session
                .subscriptions
                .binary_search_by(|known| (**known).cmp(filter));
            codes.push(match place {
                Ok(at) => {
                    session.subscriptions.remove(at);
                    gone.push(filter);
                    left.extend(self.drop_subscription(who, filter));
                    self.store.record(&Record::Unsubscribed {
                        session: who,
                        filter,
                    });
                    ReasonCode::SUCCESS
                }
                Err(_) => ReasonCode::NO_SUBSCRIPTION_EXISTED,
            });
        }
        gone.sort_unstable();
        self.forget_walks(key, &gone);
        self.give_back_waiting(key, left, now);
        let kept = self.promise(id);
        self.with_machine(id, |machine, _| machine.answer_unsubscribe(codes, kept));
        self.trim_soon(id);
        self.touch(id);
    }

    /// Takes one subscription out of the index, or out of its group: gives the group, if that goes on with others.
    pub(super) fn drop_subscription(&mut self, who: Subscriber, text: &str) -> Option<GroupId> {
        let parsed = ParsedFilter::parse(text).ok()?;
        self.tally.subscriptions -= 1;
        if parsed.share.is_none() {
            self.shared.subscriptions_mut().remove(&parsed.filter, &who);
            return None;
        }
        self.tally.shared_subscriptions -= 1;
        #[cfg(mutation = "fuzz-group-left")]
        if parsed.filter.begins_with_wildcard() {
            self.tally.queued -= 1;
        }
        let mut groups = self.shared.groups();
        let Left { group, ended } = groups.leave(text, who)?;
        let Some(waiting) = ended else {
            return Some(group);
        };
        self.shared
            .subscriptions_mut()
            .remove(&parsed.filter, &Subscriber::group(group));
        self.tally.drop_queue(&waiting);
        self.store.record(&Record::Ended(Subscriber::group(group)));
        None
    }
}
