//! The wizard: the same checklist, walked in a terminal.
pub mod engine;
