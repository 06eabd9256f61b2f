//! What more than one test needs.

#![allow(dead_code, reason = "each test uses its part")]

pub mod fake;
pub mod lab;
pub mod pty;
pub mod svg;
pub mod walker;
