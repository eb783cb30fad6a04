//! What is written, piece by piece, and in which order.

use mqtt_codec::{AnyVersion, FixedHeader, PacketId, PacketType, QoS, ReasonCode};

use crate::profile::Profile;
use crate::time::Instant;

use super::device::Device;
use super::event::Event;
use super::five::Place;
use super::queue::{Queue, Record, Stage};
use super::shorten::bit;
use super::state::{Core, Phase};
use super::timing::Ticks;
use super::{ANSWER, OUT};

/// The DUP flag of a PUBLISH.
pub(super) const DUP: u8 = 0x08;
/// PUBREL with the flags that it must have [MQTT-3.6.1-1].
pub(super) const PUBREL: u8 = (PacketType::PubRel as u8) << 4 | 2;

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    pub(super) fn output(&mut self, now: Instant) -> &[u8] {
        self.settle(Ticks::of(now));
        if !D::SUBSCRIPTIONS.is_empty() {
            self.subscribe_all();
        }
        if self.may_send() && !self.writes_body {
            self.choose(now);
        }
        let mut end = self.out_len;
        if self.writes_body {
            if self.out_at == self.body_at {
                return self.body_piece();
            }
            end = self.body_at;
        } else if D::HOLD_MS > 0
            && self.out_at == 0
            && (self.has_room() || cfg!(mutation = "compact-held-for-good"))
            && !self.held.is_past(Ticks::of(now))
        {
            end = 0;
        }
        let range = self.out_at..end;
        self.out.get(range).unwrap_or_default()
    }

    fn may_send(&self) -> bool {
        self.phase == Phase::Connected || (D::EARLY && self.phase == Phase::Awaiting)
    }

    /// Whether a packet that waits in the queue could leave now.
    pub(super) fn could_send(&self) -> bool {
        self.may_send()
            && !self.writes_body
            && self.has_room()
            && self.queue.get(self.due).is_some_and(|record| {
                record.id == 0 || !record.is_publish() || self.in_flight < self.window().into()
            })
    }

    pub(super) fn written(&mut self, count: usize) {
        if self.writes_body && self.out_at == self.body_at {
            self.body_written(count as u16);
            if self.body_from < self.body.len {
                return;
            }
            self.writes_body = false;
            self.sent_whole(self.body);
        } else {
            self.out_at += count;
        }
        if !self.writes_body && self.out_at >= self.out_len {
            self.out_at = 0;
            self.out_len = 0;
        }
    }

    fn sent_whole(&mut self, record: Record) {
        self.due = self.queue.after(record);
        if D::Profile::ALIASES
            && let Some(five) = self.five.get_mut()
        {
            five.aliases |= bit(five.shortened.teaches);
        }
        let mut stage = Stage::DONE;
        if record.id != 0 {
            stage = Stage::SENT;
            self.in_flight += usize::from(record.is_publish());
        }
        self.queue.mark(record.slot, stage);
    }

    /// Whether what one more packet from the broker asks for can be answered.
    pub(super) fn has_room(&self) -> bool {
        self.out_len + ANSWER <= OUT
    }

    /// Appends a short packet, or a head.
    pub(super) fn answer(&mut self, packet: &[u8]) {
        for byte in packet {
            if let Some(to) = self.out.get_mut(self.out_len) {
                *to = *byte;
            }
            self.out_len += 1;
        }
    }

    /// Appends an acknowledgement; `known` is false for an id that names nothing here, which only 5.0 can say.
    pub(super) fn answer_id(&mut self, first: u8, id: u16, known: bool) {
        let [high, low] = id.to_be_bytes();
        if self.version.is_v5() && !known {
            let reason = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND.0;
            self.answer(&[first, 3, high, low, reason]);
        } else {
            self.answer(&[first, 2, high, low]);
        }
    }

    /// Begins the oldest packet that is due: all go in the order in which they were queued [MQTT-4.6.0-1].
    fn choose(&mut self, now: Instant) {
        while self.has_room()
            && (cfg!(mutation = "compact-refusal-overwritten")
                || self.five.get().is_none_or(|five| five.refused.is_none()))
            && let Some(record) = self.queue.get(self.due)
        {
            let counts = record.id != 0 && record.is_publish();
            if D::Profile::MAX_QOS == QoS::ExactlyOnce && record.stage.has_reached(Stage::RELEASED)
            {
                if self.releases_nothing {
                    return;
                }
                self.answer_id(PUBREL, record.id, true);
                self.held = Ticks::of(now);
                self.in_flight += 1;
                self.due = self.queue.after(record);
            } else if self.version.is_v5()
                && let Some(five) = self.five.get_mut()
                && let Some(reason) = five.server.refuses(record)
            {
                self.due = self.queue.after(record);
                self.queue.mark(record.slot, Stage::DONE);
                five.refused = PacketId::new(record.id).map(|id| {
                    if record.is_publish() {
                        Event::Acknowledged(id, reason)
                    } else {
                        Event::Subscribed(id, reason)
                    }
                });
            } else {
                if !counts || self.in_flight < usize::from(self.window()) {
                    self.begin(record);
                }
                return;
            }
        }
    }

    fn window(&self) -> u16 {
        match self.five.get() {
            Some(five) => five.server.window.min(D::WINDOW),
            None => D::WINDOW,
        }
    }

    fn begin(&mut self, record: Record) {
        let mut first = record.first.get();
        // To a broker that knows nothing of it, it is a new message [MQTT-3.3.1-1].
        if record.is_publish() && record.stage.has_reached(Stage::SENT) {
            first |= self.again;
        }
        let shortened = self.shorten(record);
        let mut head = [0; 5];
        let remaining = record.len - shortened.saves();
        let len = FixedHeader::write(first, u32::from(remaining), &mut head);
        self.answer(head.get(..len).unwrap_or_default());
        if shortened.front > 0 {
            self.answer(&[0, 0]);
        }
        if D::Profile::ALIASES
            && let Some(five) = self.five.get_mut()
        {
            five.shortened = shortened;
        }
        self.body = record;
        self.writes_body = true;
        self.body_at = self.out_len;
        self.body_from = shortened.front;
    }
}
