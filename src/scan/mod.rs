//! What a server really offers, seen from outside, without getting anybody blocked.
//!
//! A first hello of our own offers everything; what the server chooses is taken out, and it is asked again.
//! Each connection given up before a login counts towards `max_connect_errors` of the server, so every one is
//! counted here before it is made: see [`Budget`].

pub mod compare;
mod eliminate;
mod hello;
mod ledger;
mod library;
mod names;
pub mod policy;
mod prober;
pub mod result;
mod run;
pub mod show;
mod system;
pub mod targets;

pub use hello::Protocol;
pub use ledger::Ledger;
pub use prober::{Budget, is_loopback};
pub use result::Scan;
pub use run::{How, scan};
