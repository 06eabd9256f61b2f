//! Scans that were saved, to be compared with, or not to be made again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::Failure;
use crate::bounded;
use crate::scan::{CANCELLED, Scan};
use crate::wire::Endpoint;

/// No saved scan is larger.
const SAVED_LIMIT: u64 = 256 << 20;

/// One line of NDJSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scan: Option<Scan>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<String>,
}

/// Whether a scan came to its end. What the server's count of errors forbade to ask is no reason to ask again.
pub fn is_whole(scan: &Scan) -> bool {
    scan.left_out.iter().all(|why| why != CANCELLED)
}

/// Scans that were saved, one object or one a line, by target.
pub fn read(file: &Path) -> Result<BTreeMap<String, Scan>, Failure> {
    let failed =
        |why: String| Failure::usage(format!("{} is no saved scan: {why}", file.display()));
    let bytes = bounded::read(file, SAVED_LIMIT).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    if let Ok(scan) = serde_json::from_str::<Scan>(&text) {
        let endpoint = Endpoint::new(scan.host.clone(), scan.port);
        return Ok(BTreeMap::from([(endpoint.to_string(), scan)]));
    }
    let mut all = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str::<Line>(line) {
            Ok(Line { target, scan: Some(scan), .. }) => drop(all.insert(target, scan)),
            Ok(_) => {}
            // the last line of a scan that was cut off
            Err(_) if number + 1 == lines.len() && number > 0 => {}
            Err(error) => return Err(failed(format!("line {}: {error}", number + 1))),
        }
    }
    Ok(all)
}
