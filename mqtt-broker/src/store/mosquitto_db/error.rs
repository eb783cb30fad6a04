//! Why a file of Mosquitto's is not imported, where that shows, and what to do.

use std::io;

/// Why a `mosquitto.db` is not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MosquittoError {
    /// The file cannot be read.
    #[error("byte {offset}: it cannot be read")]
    Read {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "byte 0: it is no mosquitto.db: look for `persistence_location` in mosquitto.conf; Debian's is /var/lib/mosquitto/mosquitto.db"
    )]
    NotMosquitto,
    /// It has another version of the format.
    #[error("byte {offset}: it has version {version} of the format, and only version 6 is read, that of Mosquitto 2.0: {}", version_advice(*version))]
    Version {
        /// Where.
        offset: u64,
        /// The file's.
        version: u32,
    },
    /// Another kind of machine wrote it.
    #[error(
        "byte {offset}: {machine} wrote it, and only files of 64-bit and ARM machines that are little-endian are read: start Mosquitto 2.0 on such a machine, and let a bridge carry the retained messages there"
    )]
    Machine {
        /// Where.
        offset: u64,
        /// Which.
        machine: &'static str,
    },
    /// Mosquitto wrote it while it was running.
    #[error(
        "byte {offset}: Mosquitto wrote it while it was running, and what came later is not in it: stop Mosquitto (`systemctl stop mosquitto`; after a crash start and stop it), and import what it writes then; or take it as it is with --unclean"
    )]
    Unclean {
        /// Where.
        offset: u64,
    },
    /// Its bytes make no sense.
    #[error(
        "byte {offset}: the file is damaged or was cut off: {why}; stop Mosquitto before you copy the file, and copy it again"
    )]
    Damaged {
        /// Where the chunk begins in which that shows.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
}

fn version_advice(version: u32) -> &'static str {
    if version < 6 {
        "start Mosquitto 2.0 with it, stop it, and import what it writes then"
    } else {
        "let a bridge carry the retained messages over"
    }
}

impl MosquittoError {
    pub(super) const fn read(offset: u64, source: io::Error) -> Self {
        Self::Read { offset, source }
    }

    pub(super) const fn damaged(offset: u64, why: String) -> Self {
        Self::Damaged { offset, why }
    }

    pub(super) const fn machine(offset: u64, machine: &'static str) -> Self {
        Self::Machine { offset, machine }
    }

    pub(super) const fn version(offset: u64, version: u32) -> Self {
        Self::Version { offset, version }
    }

    pub(super) const fn not_mosquitto() -> Self {
        Self::NotMosquitto
    }
}
