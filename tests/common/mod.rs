//! What more than one test needs.
#![allow(dead_code)] // each test uses its part

pub mod fake;
pub mod svg;
pub mod walker;
