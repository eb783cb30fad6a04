//! Two sockets joined: what comes from one goes to the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Passes bytes both ways until the far side has ended or the near side's bytes say `enough`; returns what the near side sent.
///
/// The end of the far side is not passed on: a UART has no end, and a program may still say something.
///
/// # Errors
/// If a socket cannot be shared between threads.
pub fn pipe(
    near: &TcpStream,
    far: &TcpStream,
    mut enough: impl FnMut(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let (mut from_far, mut to_near) = (far.try_clone()?, near.try_clone()?);
    let back = std::thread::spawn(move || {
        // An error is an end.
        let _ = io::copy(&mut from_far, &mut to_near);
    });
    let (mut from_near, mut to_far) = (near.try_clone()?, far);
    from_near.set_read_timeout(None)?;
    let mut heard = Vec::new();
    let mut chunk = [0; 512];
    while let Ok(count @ 1..) = from_near.read(&mut chunk) {
        heard.extend_from_slice(&chunk[..count]);
        // Who does not listen any more is told nothing.
        let _ = to_far.write_all(&chunk[..count]);
        if enough(&heard) {
            break;
        }
    }
    let _ = far.shutdown(Shutdown::Both);
    let _ = back.join();
    Ok(heard)
}
