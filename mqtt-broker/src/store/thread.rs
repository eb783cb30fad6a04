//! Two threads: one that turns the log, one for what may take its time beside it.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use mqtt_session::Instant;

use super::job::Job;
use super::log::Log;

/// The time of day, in milliseconds of the Unix epoch.
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl Log {
    /// Turns the log on a thread of its own until the last handle is gone and everything is durable; then calls `ended`. `now` reads the
    /// store's clock.
    pub(crate) fn spawn(
        mut self,
        now: impl Fn() -> Instant + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let (files, queue) = (Arc::clone(&self.files), Arc::clone(&self.queue));
        let beside = thread::Builder::new()
            .name("mqtt-store-files".into())
            .spawn(move || {
                for job in jobs {
                    queue.finish(job.run(&*files));
                }
            })?;
        thread::Builder::new()
            .name("mqtt-store".into())
            .spawn(move || {
                // The broker's clock stood while the store was read: that is no jump.
                self.ahead = i128::from(wall()) - i128::from(now().as_millis());
                loop {
                    let wait = self.turn(now(), wall());
                    while let Some(job) = self.job() {
                        if sender.send(job).is_err() {
                            let error = io::Error::other("the thread for files has ended");
                            self.fail("a segment cannot be made", &error);
                        }
                    }
                    if self.is_closed() {
                        break;
                    }
                    self.wait(wait);
                }
                drop(self);
                drop(sender);
                // It has the files open, and with them the lock of the directory: whoever is told of the end may open it again.
                let _ = beside.join();
                ended();
            })?;
        Ok(())
    }
}
