//! A simulated disk as a store sees it.

use std::io;
use std::sync::{Arc, Weak};

use mqtt_broker::store::{File, Files};

use super::SimDisk;
use super::content::{Bad, Content, SECTOR};
use super::faults::{Call, full};
use super::state::{Disk, Node};
use crate::rng::Rng;

/// Opens a file of a disk that is locked.
fn handle(this: &SimDisk, disk: &mut Disk, number: u64) -> io::Result<Arc<dyn File>> {
    let node = disk.node(number)?;
    let user = node.users.upgrade().unwrap_or_default();
    node.users = Arc::downgrade(&user);
    Ok(Arc::new(SimFile {
        disk: this.clone(),
        number,
        _user: user,
    }))
}

impl Files for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.lock();
        disk.call(Call::List, |_| {})?;
        let mut names: Vec<String> = disk.names.iter().map(|(name, _)| name.to_owned()).collect();
        // No order is promised.
        if !names.is_empty() {
            let at = disk.rng.below(names.len());
            names.rotate_left(at);
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.lock();
        disk.call(Call::Open, |_| {})?;
        let number = disk.found(name)?;
        handle(self, &mut disk, number)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.lock();
        disk.call(Call::Create, |_| {})?;
        let call = disk.calls;
        if let Some(number) = disk.names.get(name) {
            disk.node(number)?.content.clear(call);
            return handle(self, &mut disk, number);
        }
        if disk.room() < SECTOR as u64 {
            return Err(full());
        }
        let number = disk.next_node;
        disk.next_node += 1;
        let node = Node {
            content: Content::default(),
            users: Weak::new(),
        };
        disk.nodes.insert(number, node);
        disk.names.make(call, name, number);
        handle(self, &mut disk, number)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call(Call::Rename, |_| {})?;
        let (call, number) = (disk.calls, disk.found(from)?);
        disk.names.rename(call, from, to, number);
        disk.sweep();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call(Call::Remove, |_| {})?;
        disk.found(name)?;
        let call = disk.calls;
        disk.names.remove(call, name);
        disk.sweep();
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.lock();
        if let Err(error) = disk.call(Call::SyncNames, |_| {}) {
            let mut rng = Rng::new(disk.rng.next());
            let cut = disk.any_cut(&mut rng);
            disk.names.sync_fails(&cut, &mut rng);
            return Err(error);
        }
        disk.names.sync();
        disk.sweep();
        disk.counters.name_syncs += 1;
        Ok(())
    }
}

/// A file of a [`SimDisk`] that somebody has open.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: u64,
    /// As long as this lives, its bytes do.
    _user: Arc<()>,
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        Ok(disk.node(self.number)?.content.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.call(Call::Read, |_| {})?;
        let read = disk.node(self.number)?.content.read(buffer, offset);
        let n = read.map_err(|Bad| io::Error::other("simulated sector that cannot be read"))?;
        disk.counters.reads += 1;
        disk.counters.bytes_read += n as u64;
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.lock().write(self.number, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.lock().sync(self.number)
    }
}
