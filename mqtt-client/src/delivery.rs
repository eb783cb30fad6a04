//! What a publisher gets: at once a token, later the acknowledgement.

use core::pin::Pin;
use core::task::{Context, Poll};

use mqtt_codec::ReasonCode;
use tokio::sync::oneshot;

use crate::error::PublishError;

/// The message has arrived: QoS 1 with PUBACK, QoS 2 with PUBCOMP. At QoS 0 it was handed to the transport, nothing more is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// Success, or [`NO_MATCHING_SUBSCRIBERS`](ReasonCode::NO_MATCHING_SUBSCRIBERS) from servers that tell (5.0).
    pub reason: ReasonCode,
}

/// A message that is on its way: a future that ends with its acknowledgement.
///
/// Dropping it does not take the message back; it only stops the wait.
#[derive(Debug)]
#[must_use = "await it to learn whether the message arrived; drop it on purpose to not know"]
pub struct Delivery(pub(crate) oneshot::Receiver<Result<Ack, PublishError>>);

impl Future for Delivery {
    type Output = Result<Ack, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|result| result.unwrap_or(Err(PublishError::Closed)))
    }
}
