//! The wizard: the same checklist, walked in a terminal.
pub mod copy;
pub mod engine;
pub mod form;
pub mod keys;
pub mod rows;
pub mod screen;
pub mod state;
pub mod text;
pub mod theme;
pub mod update;
