//! What both clients are asked for.

/// The methods of a client that only touch its machine.
macro_rules! requests {
    () => {
        impl<'m, D: Device, C, I, Q: Queue> Client<'m, D, C, I, Q> {
            /// Queues a message, connected or not; its packet id, where its QoS has one, comes back in [`Event::Acknowledged`].
            ///
            /// # Errors
            /// [`Full`](crate::Full): nothing has changed. A message of QoS 2 in a profile without is never taken.
            pub fn publish(
                &mut self,
                message: &crate::Outgoing<'_>,
            ) -> Result<Option<mqtt_codec::PacketId>, crate::Full> {
                self.machine.publish(message)
            }

            /// Queues a SUBSCRIBE to one filter; the answer comes as [`Event::Subscribed`]. Before 5.0 only the QoS of the options is said.
            ///
            /// # Errors
            /// [`Full`](crate::Full).
            pub fn subscribe(
                &mut self,
                filter: mqtt_topic::TopicFilter<'_>,
                options: mqtt_codec::SubscriptionOptions,
            ) -> Result<mqtt_codec::PacketId, crate::Full> {
                self.machine.subscribe(filter, options)
            }

            /// Queues an UNSUBSCRIBE; the answer comes as [`Event::Unsubscribed`].
            ///
            /// # Errors
            /// [`Full`](crate::Full).
            pub fn unsubscribe(
                &mut self,
                filter: mqtt_topic::TopicFilter<'_>,
            ) -> Result<mqtt_codec::PacketId, crate::Full> {
                self.machine.unsubscribe(filter)
            }

            /// Says goodbye: the broker does not publish the will, and the connection ends as soon as that is written. A later call of this
            /// client dials again; to stay away, make none.
            pub fn disconnect(&mut self) {
                // The caller's own goodbye is no reason for a longer pause.
                if self.machine.is_connected() {
                    self.backoff.reset();
                }
                self.machine.disconnect();
            }

            /// The message, or the part of one, that the last event told of; empty after any other event.
            #[must_use]
            pub fn message(&self) -> crate::Message<'_> {
                self.machine.message()
            }

            /// What waits and what is in flight.
            #[must_use]
            pub const fn queue(&self) -> &Q {
                self.machine.queue()
            }

            /// What dials, for what else it can do: the signal of a modem, another address for the next dial.
            ///
            /// The connection stays the client's: what is read from it, written to it or closed here, the client misses. With the async
            /// client use it after an event: a call of `next` that was dropped may have left a write to a modem half done, which only the
            /// next call ends.
            pub const fn dial_mut(&mut self) -> &mut C {
                &mut self.dial
            }

            /// Whether the broker has accepted the connection.
            #[must_use]
            pub fn is_connected(&self) -> bool {
                self.machine.is_connected()
            }

            /// The rule that the broker broke, if that ended the last connection; where in its packet is not kept.
            #[must_use]
            pub fn violation(&self) -> Option<mqtt_session::Violation> {
                self.machine.violation()
            }

            /// When the client has something to do although nothing comes in: now, where something that was queued can be sent.
            #[must_use]
            pub fn deadline(&self, now: Instant) -> Option<Instant> {
                if self.machine.is_closed() {
                    Some(now.plus_millis(self.backoff.left(now).into()))
                } else {
                    self.machine.deadline(now)
                }
            }
        }

        impl<'m, 'p, D: Device, C, I, const N: usize> Client<'m, D, C, I, crate::Lent<'m, 'p, N>> {
            /// Queues a message whose payload is not copied, but sent from where it is.
            ///
            /// # Errors
            /// [`Full`](crate::Full), also while as many payloads are lent as the queue has places for, and always for a message that
            /// has, with topic and properties, more than 65,000 bytes.
            pub fn publish_lent(
                &mut self,
                message: &crate::Outgoing<'p>,
            ) -> Result<Option<mqtt_codec::PacketId>, crate::Full> {
                let beside = message.topic.as_str().len() + message.properties.as_bytes().len();
                if beside + message.payload.len() > crate::lent::MOST
                    && !cfg!(mutation = "device-lent-too-long")
                {
                    return Err(crate::Full);
                }
                self.machine.queue_mut().lend(message.payload)?;
                let head = crate::Outgoing {
                    payload: &[],
                    ..*message
                };
                let published = self.machine.publish(&head);
                if published.is_err() {
                    self.machine.queue_mut().take_back();
                }
                published
            }
        }
    };
}
pub(crate) use requests;
