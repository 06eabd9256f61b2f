//! What was found, for people and for programs: one function a form over the same examination.

pub mod json;
pub mod markdown;
pub mod text;
