//! Messages whose handshake is not over, in both directions.

pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod packet_ids;
