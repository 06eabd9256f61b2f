//! What was found, for people and for programs: one function a form over the same examination.

pub mod chain;
pub mod html;
pub mod json;
pub mod markdown;
pub mod record;
pub mod text;
mod words;
