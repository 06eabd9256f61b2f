//! What was found, for people and for programs: one function a form over the same examination.

use std::path::Path;

use clap::ValueEnum;

use self::record::Record;
use crate::checklist::Examination;

pub mod chain;
pub mod html;
pub mod json;
pub mod markdown;
pub mod record;
pub mod text;
mod words;

/// As what a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Markdown,
    Html,
    Json,
}

impl Form {
    /// What a file's name asks for; `None` where it says nothing.
    pub fn named(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "html" | "htm" => Some(Self::Html),
            "md" | "markdown" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The whole report; ends with a line feed.
    ///
    /// # Errors
    /// Never in practice: everything in it is strings, numbers and lists.
    pub fn write(self, examination: &Examination, record: &Record) -> serde_json::Result<String> {
        Ok(match self {
            Self::Markdown => markdown::markdown(examination, record),
            Self::Html => html::html(examination, record),
            Self::Json => json::json_with(examination, record)? + "\n",
        })
    }
}
