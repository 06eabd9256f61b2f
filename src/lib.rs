//! mytls takes a MySQL or MariaDB server to TLS that is proven, step by step.
//!
//! The data flows in one direction: a target is *gathered* into [`facts`], facts are judged by
//! [`rules`] into findings, findings are shown; a remedy is applied, and the real server is asked
//! for the proof. Only gathering and applying touch the world; everything between is pure.

pub mod apply;
pub mod bounded;
pub mod ca;
pub mod checklist;
pub mod cli;
pub mod disk;
pub mod facts;
pub mod listen;
pub mod printable;
pub mod prove;
pub mod remedy;
pub mod report;
pub mod rules;
pub mod sandbox;
pub mod scan;
pub mod secret;
pub mod trial;
pub mod tui;
pub mod wire;
pub mod x509;
