//! Facts that were saved on one machine come to the same findings on any other.

mod common;

use common::lab::{Program, Server, mytls, servers, side_by_side};
use mytls::sandbox::{Fault, SandboxError};
use serde_json::Value;

/// One that keeps a server from TLS or from starting, and those that a running server shows.
const FAULTS: [&str; 4] =
    ["mismatched-key", "wrong-chain-order", "account-without-require", "old-protocols"];

#[test]
fn saved_facts_are_judged_as_the_server_was() {
    let names: Vec<&str> = FAULTS.into_iter().filter(|name| Fault::named(name).is_ok()).collect();
    assert_eq!(names, FAULTS);
    let programs = servers();
    let runs: Vec<(&Program, &str)> =
        programs.iter().flat_map(|program| FAULTS.map(|fault| (program, fault))).collect();
    let found = side_by_side(&runs, |(program, fault)| {
        match program.start(&Fault::named(fault).unwrap()) {
            Ok(server) => replay(&server, fault),
            Err(SandboxError::NotForThisServer { .. }) => 0,
            Err(error) => panic!("{fault} on {:?}: {error}", program.series),
        }
    });
    let replayed = found.iter().filter(|findings| **findings > 0).count();
    eprintln!("{replayed} of {} runs have findings, and the same again", runs.len());
    assert!(replayed >= runs.len() / 2, "{found:?}");
}

/// How many findings both came to.
fn replay(server: &Server, fault: &str) -> usize {
    let output = server.mytls("check", &["--format", "json", "--with-facts"]);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("report.json");
    std::fs::write(&whole, &output.stdout).unwrap();
    let facts = folder.path().join("facts.json");
    std::fs::write(&facts, seen["facts"].to_string()).unwrap();
    // the whole report, or the facts alone
    for file in [whole, facts] {
        let mut again = mytls();
        again.args(["check", "--format", "json", "--with-facts", "--facts"]).arg(file);
        let again = again.output().unwrap();
        assert_eq!(again.status.code(), output.status.code(), "{fault}");
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        for part in ["findings", "steps", "unknown", "target", "server", "at", "facts"] {
            assert_eq!(again[part], seen[part], "{fault}: {part}");
        }
    }
    seen["findings"].as_array().unwrap().len()
}
