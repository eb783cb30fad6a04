//! Connections, sessions and crashes of the simulation.

use mqtt_codec::{ConnAck, Connect, PacketId, Properties, Property, ReceiveMaximum, Version};
use mqtt_session::{Accept, Change, Expires, Seq, Session, SessionState};

use super::Sim;
use crate::owners::{Kind, Memory, Note, TestOwner};
use crate::packets::filter;

/// Both ends keep a 5.0 session for so many seconds.
const KEPT: u32 = 600;

impl<C: Kind, S: Kind> Sim<C, S> {
    /// A new connection: CONNECT goes out.
    pub(super) fn connect(&mut self) {
        if self.rng.one_in(3) {
            self.turn_ids_back();
        }
        // The server may be told another Receive Maximum than on the connection before.
        let most = (1 + self.rng.below(6) as u16).min(C::ROOM);
        if self.version.is_v5() {
            self.client.owner.limits_mut().receive_maximum = most;
        }
        let clean = self.want_clean || (!self.draining && self.rng.one_in(20));
        let limits = self.client.owner.limits_mut().clone();
        let list = [
            Property::SessionExpiryInterval(KEPT),
            ReceiveMaximum::new(limits.receive_maximum)
                .map(Property::ReceiveMaximum)
                .expect("at least 1"),
            Property::MaximumPacketSize(
                core::num::NonZeroU32::new(limits.maximum_packet_size).expect("at least 1"),
            ),
            Property::TopicAliasMaximum(limits.topic_alias_maximum),
        ];
        let connect = Connect {
            clean_start: clean,
            keep_alive: 20,
            properties: if self.version.is_v5() {
                Properties::List(&list)
            } else {
                Properties::EMPTY
            },
            ..Connect::new(self.version, "c")
        };
        // In 3.1 a session that ended with its connection is not told by CONNACK.
        let ended =
            self.version == Version::V31 && self.client.session.state().session_expiry() == 0;
        self.client
            .session
            .connect(
                &connect,
                &mut self.client.tx,
                self.now,
                &mut self.client.owner,
            )
            .expect("a CONNECT that can be sent");
        if clean {
            self.want_clean = true;
            self.up.may_repeat();
            self.down.may_repeat();
        }
        if clean || ended {
            self.client_lost();
        }
        let limits = self.server.owner.limits_mut().clone();
        self.server.session.open(self.now, &limits);
        self.connected = true;
        self.subscribing = false;
    }

    /// Between connections the ring of the client's ids is turned back, to just before one that is in use.
    pub(super) fn turn_ids_back(&mut self) {
        let Some(used) = self.client.watch.ids() else {
            return;
        };
        let mut state = self.client.session.replace_state(SessionState::default());
        let expiry = state.session_expiry();
        let before = used
            .iter()
            .map(|&id| if id == 1 { u16::MAX } else { id - 1 })
            .find(|id| !used.contains(id))
            // Messages that have an id and were never sent are not known here.
            .filter(|_| state.in_flight() == used.len() && used.len() < usize::from(C::ROOM));
        if let Some(id) = before.and_then(PacketId::new) {
            self.counters.hit("ids turned back");
            for change in [Change::Sent(Seq(0), id), Change::Completed(id)] {
                state.restore(change).expect("there is room");
            }
        }
        state.set_session_expiry(expiry);
        self.client.session.replace_state(state);
    }

    /// The client has no session.
    fn client_lost(&mut self) {
        self.client.watch.forget();
        self.client.forget_received();
        self.client_subscribed = false;
    }

    /// The server accepts CONNECT: with the session that it has, or with a new one.
    pub(super) fn accept(&mut self, clean: bool) {
        let expired = self.version != Version::V31 && !self.draining && self.rng.one_in(12);
        let present = self.memory.exists && self.memory.used && !clean && !expired;
        if !present {
            self.forget_session();
            let kept = self.version.is_v5() || !clean;
            self.session_gate = self.server.owner.keep(Note::Created { kept });
            self.memory.exists = true;
            self.memory.kept = kept;
        }
        self.counters.hit(if present {
            "resumed with a session"
        } else {
            "connected without a session"
        });
        self.server.watch.connack = self.session_gate;
        self.server
            .session
            .accept(Accept {
                session_present: present,
                server_keep_alive: None,
                session_expiry: None,
                kept: self.session_gate,
            })
            .expect("it was asked");
    }

    /// The server's session ends, with everything in it.
    fn forget_session(&mut self) {
        self.server.session.replace_state(SessionState::default());
        self.server.owner.forget();
        self.server.watch.forget();
        self.server.forget_received();
        self.memory = Memory::default();
        self.down.may_vanish();
        self.up.may_repeat();
    }

    /// CONNACK 0 came.
    pub(super) fn confirmed(&mut self, connack: &ConnAck<'_>) {
        self.want_clean = false;
        let most = self.client.owner.limits_mut().send_maximum;
        let announced = connack.properties.receive_maximum();
        self.client.watch.receive_maximum = announced.map_or(most, |n| n.get().min(most));
        self.client.watch.alias_maximum = connack.properties.topic_alias_maximum();
        if !connack.session_present && self.version != Version::V31 {
            self.client_lost();
        }
    }

    /// The connection is cut: what is under way is lost.
    pub(super) fn cut(&mut self) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.counters.hit("cut");
        self.client.session.close(self.now);
        let closed = self.server.session.close(self.now);
        self.client.cut(&mut self.counters);
        self.server.cut(&mut self.counters);
        self.question = None;
        if closed.expires == Expires::Now {
            self.forget_session();
        }
    }

    /// The client subscribes, if it has to. A client with a store waits until it is durable that its old session is gone.
    pub(super) fn subscribe(&mut self) {
        if !self.client.session.is_connected()
            || self.client_subscribed
            || self.subscribing
            || !self.client.owner.is_reset_durable()
        {
            return;
        }
        let filters = [filter("topic/#", mqtt_codec::QoS::ExactlyOnce)];
        let start = self.client.tx.len();
        self.client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut self.client.tx, self.now)
            .expect("a SUBSCRIBE that can be sent");
        self.subscribing = true;
        self.client.wrote_directly(start, &mut self.counters);
    }

    /// The client's process dies and starts again from its store.
    pub(super) fn crash_client(&mut self) {
        // Whoever cannot tell whether its old session is gone starts cleanly.
        let unsure = !self.client.owner.is_reset_durable();
        let Some((mut state, memory)) = C::restart(&mut self.client.owner) else {
            return;
        };
        self.counters.hit("client crashed");
        self.cut();
        self.want_clean |= unsure;
        state.set_session_expiry(self.client.session.state().session_expiry());
        self.down.receiver_crashed(self.client.committed());
        self.up.sender_crashed(&self.client.owner.waiting());
        self.client.watch.restart(&state, |seq| self.up.number(seq));
        self.client.forget_received();
        self.client.session = Session::new();
        self.client.session.replace_state(state);
        self.client_subscribed = memory.subscribed;
    }

    /// The server's process dies and starts again from its store.
    pub(super) fn crash_server(&mut self) {
        // The connection dies with the process: nothing of its end is recorded.
        if self.connected {
            self.client.session.close(self.now);
            self.client.cut(&mut self.counters);
            self.server.cut(&mut self.counters);
            self.connected = false;
            self.question = None;
        }
        let Some((mut state, memory)) = S::restart(&mut self.server.owner) else {
            let closed = self.server.session.close(self.now);
            if closed.expires == Expires::Now {
                self.forget_session();
            }
            return;
        };
        self.counters.hit("server crashed");
        self.memory = memory;
        self.session_gate = Default::default();
        state.set_session_expiry(KEPT);
        self.up.receiver_crashed(self.server.committed());
        self.down.sender_crashed(&self.server.owner.waiting());
        self.server
            .watch
            .restart(&state, |seq| self.down.number(seq));
        self.server.forget_received();
        self.server.session = Session::new();
        self.server.session.replace_state(state);
        if !self.memory.kept {
            self.forget_session();
        }
    }
}
