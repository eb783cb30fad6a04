//! Work on files that may take its time: no commit waits for it.

use std::io;
use std::sync::Arc;

use super::files::{File, Files, write_all};
use super::header::SegmentHeader;
use super::names;

/// What is written at once to fill a segment. File systems with large folios cache a file in the pieces in which it was written, and make
/// a whole piece dirty, in `write_bytes` of `/proc` at least, when a group later changes a part of it.
const PIECE: usize = 4 * 1024;

/// Something to do beside the log.
#[derive(Debug)]
pub(super) enum Job {
    /// Makes the next segment: of a file that is not needed any more, or a new one.
    Prepare {
        header: SegmentHeader,
        from: Option<(String, Arc<dyn File>)>,
    },
    /// Makes durable what the log has left behind it.
    Sync(Arc<dyn File>),
    /// Makes a snapshot durable that is written, and gives it its name.
    Name { file: Arc<dyn File>, seq: u64 },
    /// Removes files.
    Remove(Vec<String>),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Done {
    Prepared(io::Result<(SegmentHeader, Arc<dyn File>)>),
    Synced(io::Result<()>),
    Named(io::Result<u64>),
    Removed,
}

impl Job {
    pub(super) fn run(self, files: &dyn Files) -> Done {
        match self {
            Self::Prepare { header, from } => Done::Prepared(prepare(files, header, from)),
            Self::Sync(file) => Done::Synced(file.sync()),
            Self::Name { file, seq } => Done::Named(name(files, &*file, seq)),
            Self::Remove(names) => {
                for name in names {
                    // It is found again at the next start, and removed then.
                    if let Err(error) = files.remove(&name) {
                        tracing::debug!(file = name, %error, "not removed");
                    }
                }
                Done::Removed
            }
        }
    }
}

pub(super) fn prepare(
    files: &dyn Files,
    header: SegmentHeader,
    from: Option<(String, Arc<dyn File>)>,
) -> io::Result<(SegmentHeader, Arc<dyn File>)> {
    let name = names::segment(header.id);
    let unfinished = names::unfinished(&name);
    let made = match from {
        Some((old, file)) => {
            // First it loses its old name: nobody must take it for what it was.
            files.rename(&old, &unfinished)?;
            files.sync_names()?;
            Ok(file)
        }
        None => files.create(&unfinished).and_then(|file| {
            let zeros = vec![0; PIECE];
            let mut at = 0;
            while at < header.len {
                let piece = usize::try_from(header.len - at).map_or(PIECE, |rest| rest.min(PIECE));
                write_all(&*file, zeros.get(..piece).unwrap_or_default(), at)?;
                at += piece as u64;
            }
            Ok(file)
        }),
    };
    let ready = made.and_then(|file| {
        write_all(&*file, &header.to_bytes(), 0)?;
        file.sync()?;
        files.rename(&unfinished, &name)?;
        if !cfg!(mutation = "segment-not-named") {
            files.sync_names()?;
        }
        Ok((header, file))
    });
    if ready.is_err() {
        // A disk that is full is not to be filled with half a segment.
        let _ = files.remove(&unfinished);
    }
    ready
}

fn name(files: &dyn Files, file: &dyn File, seq: u64) -> io::Result<u64> {
    let name = names::snapshot(seq);
    let unfinished = names::unfinished(&name);
    let synced = if cfg!(mutation = "snapshot-not-synced") {
        Ok(())
    } else {
        file.sync()
    };
    let named = synced
        .and_then(|()| files.rename(&unfinished, &name))
        .and_then(|()| files.sync_names());
    if let Err(error) = named {
        let _ = files.remove(&unfinished);
        return Err(error);
    }
    Ok(seq)
}
