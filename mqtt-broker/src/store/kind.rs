//! The first byte of everything in a group: what it is, and up to three flags.

/// Where the flags begin.
pub(super) const FLAGS: u32 = 5;
/// What it is, without its flags.
pub(super) const MASK: u8 = (1 << FLAGS) - 1;

pub(super) const BATCH: u8 = 1;
pub(super) const SKIP: u8 = 2;
/// A message, kept under the number of the record that follows.
pub(super) const BODY: u8 = 3;
/// A message that stood elsewhere, behind the number under which it is kept.
pub(super) const MOVED: u8 = 4;

pub(super) const SESSION: u8 = 5;
pub(super) const USED: u8 = 6;
pub(super) const DISCONNECTED: u8 = 7;
pub(super) const ENDED: u8 = 8;
pub(super) const SUBSCRIBED: u8 = 9;
pub(super) const RETAINED_SENT: u8 = 10;
pub(super) const UNSUBSCRIBED: u8 = 11;
pub(super) const GROUP: u8 = 12;
pub(super) const QUEUED: u8 = 13;
pub(super) const DONE: u8 = 14;
pub(super) const HANDSHAKE: u8 = 15;
pub(super) const RETAINED: u8 = 16;
pub(super) const UNRETAINED: u8 = 17;
pub(super) const WILL: u8 = 18;
pub(super) const WILL_GONE: u8 = 19;
pub(super) const RESTARTED: u8 = 20;
pub(super) const RENAMED: u8 = 21;

/// One flag in its place.
pub(super) const fn flag(set: bool, place: u32) -> u8 {
    (set as u8) << (FLAGS + place)
}
