//! Applications that know no board: each is a function over a [`Board`](firmware_board::Board) and a connection.
#![no_std]

pub mod empty;
pub mod hello;
pub mod hello_async;
