//! A worker's hold on the store: numbers its records, writes them down, hands over a batch at a time.

use std::sync::Arc;

use mqtt_session::Commit;

use super::encode::Encoder;
use super::queue::{Batch, Queue, Wake};
use super::shelf::{Ahead, Shelf};
use crate::core::{Kept, Message, Record, Room, Store, Unreadable};

/// Numbers that a batch takes first; what it needs more comes in larger and larger runs.
const FIRST_RUN: u64 = 16;
const LARGEST_RUN: u64 = 4096;

/// One worker's part of a log.
#[derive(Debug)]
pub struct Handle {
    queue: Arc<Queue>,
    shelf: Arc<Shelf>,
    worker: usize,
    encoder: Encoder,
    /// The numbers of this batch.
    numbers: Vec<(u64, u64)>,
    /// The next of the last run.
    next: u64,
    /// The numbers under which this batch brings messages, in ascending order.
    brought: Vec<u64>,
    latest: Commit,
    body: Commit,
    ahead: Ahead,
}

impl Handle {
    pub(super) fn new(queue: Arc<Queue>, shelf: Arc<Shelf>) -> Self {
        let worker = queue.join();
        Self {
            queue,
            shelf,
            worker,
            encoder: Encoder::default(),
            numbers: Vec::new(),
            next: 0,
            brought: Vec::new(),
            latest: Commit::default(),
            body: Commit::default(),
            ahead: Ahead::default(),
        }
    }

    /// How to wake the worker when something has become durable that it waits for. Called by the thread that writes.
    pub fn wake_with(&mut self, wake: Wake) {
        self.queue.wake_with(self.worker, wake);
    }

    /// A number that nobody has: larger than those that this batch has got so far, and with `latest` larger than all that anybody has got.
    fn number(&mut self, latest: bool) -> u64 {
        let end = self.numbers.last().map_or(0, |(_, end)| *end);
        let passed = latest && self.next != end && !self.queue.is_latest(end);
        if passed || self.next == end {
            let run = match self.numbers.last() {
                // The rest of the last run stays unused: let there be little of that.
                _ if passed => 1,
                Some((first, end)) => ((end - first) * 2).min(LARGEST_RUN),
                None => FIRST_RUN,
            };
            let (first, end) = self.queue.numbers(run);
            match self.numbers.last_mut() {
                // Nobody else took one meanwhile.
                Some((_, before)) if *before == first => *before = end,
                Some(_) => {
                    self.numbers.push((first, end));
                    self.encoder.skip_to(first);
                }
                None => {
                    self.numbers.push((first, end));
                    self.encoder.begin(first);
                }
            }
            self.next = first;
        }
        let number = self.next;
        self.next += 1;
        number
    }

    /// The number under which a message is kept: it is written down now unless it was before and cannot go away meanwhile.
    fn keep(&mut self, message: &Message, number: u64) -> Commit {
        if let Some(known) = message.body()
            && (self.brought.binary_search(&known.0).is_ok() || self.shelf.pin(known))
        {
            return known;
        }
        self.encoder.body(message);
        self.brought.push(number);
        message.note_body(Commit(number));
        Commit(number)
    }
}

impl Store for Handle {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        let number = self.number(record.is_ordered());
        let record = record.map(|message| {
            self.body = self.keep(message, number);
            Kept {
                body: self.body,
                topic: Some(message.topic()),
            }
        });
        self.encoder.record(&record);
        self.latest = Commit(number);
        self.latest
    }

    fn latest(&self) -> Commit {
        self.latest
    }

    fn commit(&mut self) {
        if self.encoder.is_empty() {
            return;
        }
        self.brought.clear();
        self.next = 0;
        let batch = Batch {
            bytes: self.encoder.take(),
            numbers: core::mem::take(&mut self.numbers),
        };
        self.queue.push(self.worker, batch);
    }

    fn committed(&self) -> Commit {
        self.queue.committed()
    }

    fn body(&self) -> Commit {
        self.body
    }

    fn kept(&self) -> Commit {
        self.queue.kept()
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        self.shelf.fetch(body, &mut self.ahead).map(Arc::new)
    }

    fn room(&self) -> Room {
        self.queue.room()
    }

    fn is_behind(&self) -> bool {
        self.queue.is_behind()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Half a batch is worse than none: it may say that a message was received, and lack the message.
        if !std::thread::panicking() {
            self.commit();
        }
        self.queue.leave();
    }
}
