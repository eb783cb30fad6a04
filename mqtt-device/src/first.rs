//! Two futures, of which the first to be ready counts.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// The output of `a`, or `None` if `b` is ready first.
pub(crate) async fn first<O>(a: impl Future<Output = O>, b: impl Future<Output = ()>) -> Option<O> {
    let mut a = pin!(a);
    let mut b = pin!(b);
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => b.as_mut().poll(cx).map(|()| None),
    })
    .await
}
