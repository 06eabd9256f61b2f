//! The table of `docs/clients.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mytls::sandbox::Series;

use super::keys;
use super::known::{CLIENTS, Client};
use crate::common::lab::Program;

/// Writes it anew, with UPDATE=1: the versions are those of the day.
pub fn write(
    clients: &[&Client],
    programs: &[Program],
    worked: &BTreeMap<(&str, Series), Vec<&str>>,
) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    assert!(clients.len() == CLIENTS.len() && programs.len() == 4, "the page tells of all of them");
    let mut table = String::from("| client | version |");
    for program in programs {
        write!(table, " {} |", program.series).unwrap();
    }
    writeln!(table, "\n|---|---|{}", "---|".repeat(programs.len())).unwrap();
    for client in clients {
        write!(table, "| {} | {} |", client.name, client.version()).unwrap();
        for program in programs {
            let cell = match worked.get(&(client.name, program.series)) {
                Some(worked) if worked.as_slice() == keys(program.series) => "yes".to_owned(),
                Some(worked) => worked.join(", "),
                None => "–".to_owned(),
            };
            write!(table, " {cell} |").unwrap();
        }
        writeln!(table).unwrap();
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once("<!-- clients:").unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /clients -->").unwrap();
    let text = format!("{before}<!-- clients:{mark}-->\n{table}<!-- /clients -->{after}");
    fs::write(page, text).unwrap();
}
