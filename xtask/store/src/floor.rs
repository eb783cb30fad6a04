//! What the disk gives without a broker: the same bytes in the same batches, each made durable before the next.

use core::time::Duration;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

/// Batches for each second with a file that grows.
pub(crate) fn append(folder: &Path, batch: usize, time: Duration) -> io::Result<f64> {
    let path = folder.join("floor");
    let file = File::create(&path)?;
    let rate = batches(&file, batch, time, u64::MAX);
    drop(file);
    std::fs::remove_file(path)?;
    rate
}

/// Batches for each second within a file that is there already, as our log has it.
pub(crate) fn overwrite(folder: &Path, batch: usize, time: Duration) -> io::Result<f64> {
    const LEN: usize = 8 * 1024 * 1024;
    let path = folder.join("floor");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; LEN], 0)?;
    file.sync_all()?;
    let rate = batches(&file, batch, time, LEN as u64);
    drop(file);
    std::fs::remove_file(path)?;
    rate
}

fn batches(file: &File, batch: usize, time: Duration, end: u64) -> io::Result<f64> {
    let bytes = vec![0x5a; batch.max(1)];
    let len = bytes.len() as u64;
    let (mut at, mut done) = (0, 0_u64);
    let start = Instant::now();
    while start.elapsed() < time {
        if at + len > end {
            at = 0;
        }
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at += len;
        done += 1;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
