//! What a server really offers, seen from outside, without getting anybody blocked.
//!
//! A first hello of our own offers everything; what the server chooses is taken out, and it is asked again.
//! Each connection given up before a login counts towards `max_connect_errors` of the server, so every one is
//! counted here before it is made: see [`Budget`].

mod access;
mod answer;
mod aside;
mod between;
pub mod compare;
mod eliminate;
mod family;
mod force;
mod hello;
mod ledger;
mod library;
mod look;
mod metrics;
mod modern;
pub mod names;
mod older;
pub mod policy;
mod prober;
pub mod result;
mod rounds;
mod run;
pub mod show;
mod slots;
mod system;
pub mod targets;

pub use access::{AT_A_TIME, Access, GIVE_UP};
pub use force::InForce;
pub use hello::Protocol;
pub use ledger::Ledger;
pub use prober::{Budget, is_loopback};
pub use result::Scan;
pub use rounds::CANCELLED;
pub use run::{ByLogin, How, LogIn, scan};
