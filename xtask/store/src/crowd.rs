//! Many sessions with one subscription each.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use crate::packets;

/// How many connect at the same time.
const WAVE: usize = 250;

/// Lets so many sessions subscribe, each with its own client id `prefix` and number; gives back their connections.
pub(crate) fn arrive(
    address: SocketAddr,
    prefix: &str,
    number: usize,
    filter: impl Fn(usize) -> String,
) -> io::Result<Vec<TcpStream>> {
    let mut all = Vec::with_capacity(number);
    let places: Vec<usize> = (0..number).collect();
    for wave in places.chunks(WAVE) {
        let begin = |&place: &usize| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            let mut bytes = packets::connect(&format!("{prefix}-{place}"), false);
            bytes.extend(packets::subscribe(&filter(place)));
            stream.write_all(&bytes)?;
            Ok(stream)
        };
        let wave: io::Result<Vec<TcpStream>> = wave.iter().map(begin).collect();
        for mut stream in wave? {
            // CONNACK and SUBACK.
            let mut answers = [0; 9];
            stream.read_exact(&mut answers)?;
            if !matches!(answers, [0x20, 2, _, 0, 0x90, 3, 0, 1, 0..=1]) {
                return Err(io::Error::other(format!(
                    "the broker answered {answers:02x?}"
                )));
            }
            all.push(stream);
        }
    }
    Ok(all)
}

/// They say goodbye; their sessions stay.
pub(crate) fn depart(connections: Vec<TcpStream>) -> io::Result<()> {
    for mut stream in connections {
        stream.write_all(&packets::DISCONNECT)?;
        // Until the broker has closed it, one way or the other.
        while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}
    }
    Ok(())
}

/// The same in waves, so that few are connected at a time.
pub(crate) fn pass_by(
    address: SocketAddr,
    prefix: &str,
    number: usize,
    filter: impl Fn(usize) -> String,
) -> io::Result<()> {
    let mut from = 0;
    while from < number {
        let wave = WAVE.min(number - from);
        let prefix = format!("{prefix}-{from}");
        depart(arrive(address, &prefix, wave, |place| {
            filter(from + place)
        })?)?;
        from += wave;
    }
    Ok(())
}
