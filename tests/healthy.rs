//! Sound set-ups, however unusual: on a real server none of them may raise an error or a warning.
//!
//! Each is a file in `assets/healthy`, written as those of `assets/faults` are.

mod common;

use common::lab::{self, Program, problems};
use mytls::sandbox::{Fault, Series};
use serde_json::Value;

/// MYTLS_FAULTS=a,b tries these alone.
#[test]
fn a_sound_set_up_raises_neither_error_nor_warning() {
    let asked = std::env::var("MYTLS_FAULTS").unwrap_or_default();
    let programs = lab::servers();
    let set_ups = lab::sound_set_ups();
    let mut jobs: Vec<(&Fault, &Program)> = Vec::new();
    for set_up in &set_ups {
        if asked.is_empty() || asked.split(',').any(|asked| asked == set_up.name) {
            let can = |program: &&Program| set_up.servers.contain(program.series);
            jobs.extend(programs.iter().filter(can).map(|program| (set_up, program)));
        }
    }
    let wrong: Vec<String> = lab::side_by_side(&jobs, |(set_up, program)| {
        examine(set_up, program)
            .err()
            .map(|why| format!("{} on {}: {why}", set_up.name, program.series))
    })
    .into_iter()
    .flatten()
    .collect();
    for program in &programs {
        let number = jobs.iter().filter(|(_, on)| on.series == program.series).count();
        println!("{:<14} {number} sound set-ups", program.series);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
}

fn examine(set_up: &Fault, program: &Program) -> Result<(), String> {
    let server = program.start(set_up).map_err(|error| error.to_string())?;
    if !server.sandbox.is_running() {
        return Err("it does not start".to_owned());
    }
    let report = server.check();
    let mut wrong = problems(&report);
    // TLS works: otherwise silence would prove nothing
    let steps = report["steps"].as_array().unwrap();
    // Up to 5.6 a server does not tell which sessions are encrypted, and mytls says so.
    let silent = program.series == Series::MySql56;
    let fine = |verdict: &Value| verdict == "good" || silent && verdict == "unknown";
    let bad = steps.iter().filter(|step| !fine(&step["verdict"]));
    wrong.extend(bad.map(ToString::to_string));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}
