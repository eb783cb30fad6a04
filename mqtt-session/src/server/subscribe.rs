//! SUBSCRIBE and UNSUBSCRIBE at the server: checked, asked, answered.

use mqtt_codec::{PacketId, ReasonCode, Subscribe, Unsubscribe};
use mqtt_topic::ParsedFilter;

use crate::event::{ServerEvent, v3_subscribe_code};
use crate::limits::Limits;
use crate::link::{AnswerKind, Question};
use crate::profile::Profile;
use crate::session::most_filters;
use crate::storage::{ByteQueue, Part, Storage};
use crate::violation::{Misuse, Rule};

use super::ServerSession;

impl<P: Profile, S: Storage> ServerSession<P, S> {
    pub(super) fn subscribe<'p>(
        &mut self,
        packet: Subscribe<'p>,
        limits: &Limits,
    ) -> Result<ServerEvent<'p>, Rule> {
        let mut count = 0;
        for entry in packet.filters.iter() {
            let parsed = valid_filter(entry.filter, limits)?;
            if parsed.share.is_some() && entry.options.no_local && self.link.v5() {
                return Err(Rule::NoLocalOnShared);
            }
            count = one_more::<S>(count)?;
        }
        self.link.set_question(Question::Subscribe {
            id: packet.packet_id.get(),
            count,
        });
        Ok(ServerEvent::Subscribe(packet))
    }

    pub(super) fn unsubscribe<'p>(
        &mut self,
        packet: Unsubscribe<'p>,
        limits: &Limits,
    ) -> Result<ServerEvent<'p>, Rule> {
        let mut count = 0;
        for filter in packet.filters.iter() {
            valid_filter(filter, limits)?;
            count = one_more::<S>(count)?;
        }
        self.link.set_question(Question::Unsubscribe {
            id: packet.packet_id.get(),
            count,
        });
        Ok(ServerEvent::Unsubscribe(packet))
    }

    /// Answers SUBSCRIBE: one code for each filter, in their order [MQTT-3.9.3-1]; SUBACK goes out when `kept` opens.
    ///
    /// Before 5.0 every refusal is told as 0x80 [3.1.1:MQTT-3.9.3-2].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] when nothing was asked, [`Misuse::Count`], [`Misuse::Exhausted`] when a fixed table is too small.
    pub fn answer_subscribe(
        &mut self,
        codes: impl IntoIterator<Item = ReasonCode>,
        kept: P::Gate,
    ) -> Result<(), Misuse> {
        let Question::Subscribe { id, count } = self.link.question() else {
            return Err(Misuse::NotNow);
        };
        let v5 = self.link.v5();
        self.answer(
            AnswerKind::SubAck,
            id,
            count,
            codes
                .into_iter()
                .map(|code| if v5 { code.0 } else { v3_subscribe_code(code) }),
            kept,
        )
    }

    /// Answers UNSUBSCRIBE: one code for each filter, in their order [MQTT-3.11.3-1], which only 5.0 tells.
    ///
    /// # Errors
    /// As [`answer_subscribe`](Self::answer_subscribe).
    pub fn answer_unsubscribe(
        &mut self,
        codes: impl IntoIterator<Item = ReasonCode>,
        kept: P::Gate,
    ) -> Result<(), Misuse> {
        let Question::Unsubscribe { id, count } = self.link.question() else {
            return Err(Misuse::NotNow);
        };
        if self.link.v5() {
            return self.answer(
                AnswerKind::UnsubAck,
                id,
                count,
                codes.into_iter().map(|code| code.0),
                kept,
            );
        }
        self.answer(AnswerKind::UnsubAck, id, 0, core::iter::empty(), kept)
    }

    fn answer(
        &mut self,
        kind: AnswerKind,
        id: u16,
        count: u16,
        codes: impl Iterator<Item = u8>,
        kept: P::Gate,
    ) -> Result<(), Misuse> {
        let id = PacketId::new(id).ok_or(Misuse::NotNow)?;
        let owing = self.link.owing.make();
        let before = owing.codes.len();
        let mut given = 0_usize;
        for code in codes {
            if owing.codes.push(code).is_err() {
                owing.codes.truncate(before);
                return Err(Misuse::Exhausted);
            }
            given += 1;
        }
        if given != usize::from(count) {
            owing.codes.truncate(before);
            return Err(Misuse::Count);
        }
        if self
            .owe(kind, id, ReasonCode::SUCCESS, count, kept)
            .is_err()
        {
            self.link.owing.make().codes.truncate(before);
            return Err(Misuse::Exhausted);
        }
        self.link.set_question(Question::None);
        Ok(())
    }
}

/// Counts a filter, as long as its reason code has room.
fn one_more<S: Storage>(count: u16) -> Result<u16, Rule> {
    if usize::from(count) < most_filters::<S>() {
        Ok(count + 1)
    } else {
        Err(Rule::TooManyAnswers)
    }
}

fn valid_filter<'f>(filter: &'f str, limits: &Limits) -> Result<ParsedFilter<'f>, Rule> {
    let parsed = ParsedFilter::parse(filter).map_err(|_| Rule::TopicFilter)?;
    if filter.len() >= usize::from(limits.topic_levels)
        && parsed.filter.level_count() > usize::from(limits.topic_levels)
    {
        return Err(Rule::TopicFilter);
    }
    Ok(parsed)
}
