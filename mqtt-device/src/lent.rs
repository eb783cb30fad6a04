//! A queue whose payloads stay where the caller has them.

use core::num::NonZeroU8;

use mqtt_session::compact::{Full, Queue, Record, Slot, Stage};

use crate::Ring;

/// Bytes of a message with topic and properties; with what else a packet has they can be counted in 16 bits.
pub(crate) const MOST: usize = 65_000;

/// A queue of which only heads are copied: topics, ids, properties. Payloads are sent from the caller's memory.
///
/// For messages that are packed in place and sent as a whole, up to `N` at once; what is queued the ordinary way is copied as in any
/// other [`Ring`]. A place is free again when its packet is over; the payload itself is borrowed until the client is gone, so a
/// buffer that is to be filled again wants a new client, as when a device sleeps between two connections. A new client has an empty queue
/// and counts packet ids from the start: let it begin a clean session, for in one that is kept the broker may take a new message of
/// QoS 2 for the one that had its id before.
///
/// For memory of the caller's it cannot be otherwise: which payloads are still needed is known when the program runs, and a borrow
/// ends where the compiler sees its end; what was written to before would be sent again with other bytes. Where client and session are to
/// live on, take a [`Ring`] with room for the payload, or a [`Queue`] of your own that owns the memory in which readings are packed.
#[derive(Debug)]
pub struct Lent<'m, 'p, const N: usize = 1> {
    heads: Ring<'m>,
    payloads: [(Slot, &'p [u8]); N],
}

impl<'m, 'p, const N: usize> Lent<'m, 'p, N> {
    /// An empty queue with its heads in `memory`.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Self {
        Self {
            heads: Ring::new(memory),
            payloads: [(Slot(0), &[]); N],
        }
    }

    /// What the next packet has behind its copied bytes; lent until that packet is over.
    ///
    /// # Errors
    /// [`Full`] while `N` payloads are lent.
    pub(crate) fn lend(&mut self, payload: &'p [u8]) -> Result<(), Full> {
        let slot = self.heads.end();
        let free = self
            .payloads
            .iter_mut()
            .find(|(_, payload)| payload.is_empty());
        *free.ok_or(Full)? = (slot, payload);
        Ok(())
    }

    /// Takes back what was lent to a packet that did not come.
    pub(crate) fn take_back(&mut self) {
        self.give_back(self.heads.end());
    }

    fn give_back(&mut self, slot: Slot) {
        for (at, payload) in &mut self.payloads {
            if *at == slot {
                *payload = &[];
            }
        }
    }

    fn payload(&self, slot: Slot) -> &'p [u8] {
        let lent = self
            .payloads
            .iter()
            .find(|(at, payload)| *at == slot && !payload.is_empty());
        lent.map_or(&[], |(_, payload)| payload)
    }

    fn payload_len(&self, slot: Slot) -> u16 {
        u16::try_from(self.payload(slot).len()).unwrap_or(u16::MAX)
    }

    fn whole(&self, head: Record) -> Record {
        Record {
            len: head.len.saturating_add(self.payload_len(head.slot)),
            ..head
        }
    }

    fn head(&self, record: Record) -> Record {
        Record {
            len: record.len.saturating_sub(self.payload_len(record.slot)),
            ..record
        }
    }
}

impl<const N: usize> Queue for Lent<'_, '_, N> {
    fn start(&self) -> Slot {
        self.heads.start()
    }

    fn get(&self, from: Slot) -> Option<Record> {
        self.heads.get(from).map(|head| self.whole(head))
    }

    fn after(&self, record: Record) -> Slot {
        self.heads.after(self.head(record))
    }

    fn bytes(&self, record: Record, from: u16) -> &[u8] {
        let head = self.head(record);
        if from < head.len {
            return self.heads.bytes(head, from);
        }
        let payload = self.payload(record.slot);
        payload
            .get(usize::from(from - head.len)..)
            .unwrap_or_default()
    }

    fn mark(&mut self, slot: Slot, stage: Stage) {
        self.heads.mark(slot, stage);
        if stage == Stage::DONE {
            self.give_back(slot);
        }
    }

    fn push(&mut self, first: NonZeroU8, id: u16, pieces: &[&[u8]]) -> Result<(), Full> {
        self.heads.push(first, id, pieces)
    }
}
