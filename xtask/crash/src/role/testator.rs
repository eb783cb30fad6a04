//! Connects with a will, says goodbye now and then, and is connected when the broker is killed.

use super::{Context, Judge};
use crate::client::{Client, Event, Testament};
use crate::judge::Promise;
use crate::stamp::{Purpose, Stamp};

use mqtt_codec::QoS;

/// A client with a will, another one for every connection.
#[derive(Debug)]
pub(crate) struct Testator {
    pub(crate) stream: usize,
    pub(crate) qos: QoS,
    /// Seconds that the will waits, in 5.0: longer than this client is ever away.
    pub(crate) delay: u32,
    /// It said goodbye, which nothing has confirmed yet, and this will was withdrawn by that.
    pub(crate) withdrawn: Option<u32>,
}

/// How long a connection lasts, in turns of the loop.
const LASTS: u64 = 40;

impl Testator {
    /// Connects with the next will.
    pub(crate) fn connect(&self, client: &mut Client, cx: &mut Context<'_>) {
        let number = cx.judge.wills.ask(self.stream);
        let stamp = Stamp {
            purpose: Purpose::Will,
            stream: self.stream,
            number,
        };
        client.will = Some(Testament {
            topic: format!("will/{}", self.stream),
            payload: stamp.payload(),
            qos: self.qos,
            delay: self.delay,
        });
        cx.connect(client, false);
    }

    pub(crate) fn load(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        if client.is_connected() && cx.rng.one_in(LASTS) {
            let number = cx.judge.wills.last(self.stream);
            cx.judge.wills.doubt(self.stream, number);
            self.withdrawn = Some(number);
            client.say_goodbye();
        }
    }

    pub(crate) fn event(&mut self, client: &mut Client, event: &Event, cx: &mut Context<'_>) {
        match event {
            Event::Left => self.connect(client, cx),
            Event::Connected { .. } => {
                cx.judge.wills.armed(self.stream);
                // What was before this connection is over, a crash included.
                if let Some(number) = self.withdrawn.take()
                    && let Err(text) = cx.judge.wills.never(self.stream, number)
                {
                    cx.judge.report(Promise::Will, text);
                }
            }
            _ => {}
        }
    }

    /// The connection is lost with the broker.
    pub(crate) fn doomed(&self, judge: &mut Judge) {
        judge.wills.crash(self.stream, self.delay > 0);
    }

    /// The same, when everything was read.
    pub(crate) fn crashed(&mut self, judge: &mut Judge) {
        // Whether the goodbye was heard is not known.
        self.withdrawn = None;
        self.doomed(judge);
    }
}
