//! Frame and copy: reading the fixed header and copying the body, or the other way round, which is what no codec that
//! keeps nothing but bytes can go below.

use std::hint::black_box;

use super::decode::frame;
use crate::harness::Op;

/// Reads the fixed header and copies the body out.
#[must_use]
pub fn copy_in(wire: &[u8]) -> Op {
    let (wire, mut body) = (wire.to_vec(), vec![0; wire.len()]);
    Op::new(1, move |n| {
        for _ in 0..n {
            let Ok((first, bytes, _)) = frame(black_box(&wire)) else {
                return;
            };
            black_box(first);
            body[..bytes.len()].copy_from_slice(bytes);
            black_box(&mut body[..]);
        }
    })
}

/// Writes a fixed header and copies the body behind it.
#[must_use]
pub fn copy_out(wire: &[u8]) -> Op {
    let Ok((first, body, _)) = frame(wire) else {
        unreachable!("the cases are whole packets");
    };
    let body = body.to_vec();
    let mut buffer = vec![0; wire.len()];
    Op::new(1, move |n| {
        for _ in 0..n {
            let (first, body) = (black_box(first), black_box(&body[..]));
            let buffer = black_box(&mut buffer[..]);
            let len = super::writer::header(first, body.len(), buffer).unwrap_or_default();
            buffer[len..len + body.len()].copy_from_slice(body);
            black_box(buffer);
        }
    })
}
