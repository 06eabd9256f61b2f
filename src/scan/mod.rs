//! What a server really offers, seen from outside.

pub mod codes;
mod eliminate;
mod hello;
