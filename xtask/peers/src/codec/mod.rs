//! The codec bench: packets in, packets out.
