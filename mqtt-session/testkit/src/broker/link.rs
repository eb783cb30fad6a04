//! A connection between a client and the broker: the bytes that are on their way, and how they are told.

use std::io::IoSlice;

use mqtt_broker::core::{ConnId, Output};
use mqtt_codec::Packet;

/// A connection, and the bytes that are on their way.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    /// Where the broker has it; `None` when its end is closed.
    pub(super) at: Option<(usize, ConnId)>,
    /// To the broker; of these the first `arrived` have arrived.
    pub(super) up: Vec<u8>,
    pub(super) arrived: usize,
    pub(super) paused: bool,
    /// To the client.
    pub(super) down: Vec<u8>,
    /// How many bytes may be on their way to the client, before the broker can write no more.
    pub(super) window: usize,
    /// Bytes of the broker's output that were judged already.
    pub(super) judged: usize,
    /// The broker closes it as soon as everything is written.
    pub(super) closing: bool,
    /// The transport is gone, and the broker has not noticed.
    pub(super) broken: bool,
}

impl Link {
    /// Whether the broker has closed its end.
    pub(super) const fn is_closed(&self) -> bool {
        self.at.is_none()
    }
}

/// Copies up to `most` bytes of the output, from `skip` on.
pub(super) fn copy(output: &Output, mut skip: usize, mut most: usize, to: &mut Vec<u8>) {
    let mut slices = [IoSlice::new(&[]); 16];
    let filled = output.slices(&mut slices);
    for slice in slices.iter().take(filled) {
        let from = skip.min(slice.len());
        skip -= from;
        let n = (slice.len() - from).min(most);
        to.extend_from_slice(&slice[from..from + n]);
        most -= n;
    }
}

/// A packet as a line of text, and the number of its message.
pub(super) fn describe<'p>(packet: impl Into<Packet<'p>>) -> String {
    let packet = packet.into();
    let mut line = crate::text::describe(&packet);
    if let Packet::Publish(publish) = packet
        && let Some(number) = super::number(publish.payload)
    {
        line.push_str(&format!(" (message {number})"));
    }
    line
}
