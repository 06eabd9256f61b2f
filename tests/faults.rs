//! Every fault of the sandbox, injected into a real server: named first, and closed by each of its
//! remedies, run verbatim.

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::lab::{self, Program, Server, problems};
use mytls::sandbox::{Fault, Series};
use serde_json::Value;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");

/// What the document says before the table.
const HEAD: &str = "\
# Faults and servers

Each fault of the lab (`mytls sandbox --list`) is injected into each server that can have it.
There the first error of `mytls check` has to name its root cause, and every fix that it offers,
run as printed, each on a server that was broken afresh, has to leave no error and no warning.
Where a cell says so, both held. `–`: the fault cannot exist on that server; its file in
`assets/faults` says why. Below it stand the sound set-ups that must raise neither.

`tests/faults.rs` writes this page: `UPDATE=1 cargo test --test faults`.

";

/// What the fault `key-encrypted` encrypts with.
const PASSPHRASE: &str = "correct horse battery staple";

/// What each fault comes to on each server; `None` where it was not tried.
type Table = BTreeMap<(String, Series), String>;

/// MYTLS_FAULTS=a,b tries these alone. UPDATE=1 writes the table in docs/faults.md anew.
#[test]
fn every_fault_is_named_first_and_closed_by_each_of_its_remedies() {
    let programs = lab::servers();
    let faults: Vec<Fault> = Fault::all().into_iter().filter(|f| f.first.is_some()).collect();
    let mut jobs: Vec<(&Fault, &Program)> = Vec::new();
    let root = nix::unistd::geteuid().is_root();
    for fault in faults.iter().filter(|fault| is_asked_for(&fault.name)) {
        if fault.needs_root && !root {
            eprintln!("skipped: only root can make {}", fault.name);
            continue;
        }
        let can = |program: &&Program| fault.servers.contain(program.series);
        jobs.extend(programs.iter().filter(can).map(|program| (fault, program)));
    }
    let started = Instant::now();
    let results = lab::side_by_side(&jobs, |(fault, program)| close(fault, program));

    let documented = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    let mut table = read(&documented, &faults);
    let mut failures = Vec::new();
    for ((fault, program), result) in jobs.iter().zip(results) {
        let cell = match result {
            Ok(1) => "closed by 1 fix".to_owned(),
            Ok(fixes) => format!("closed by {fixes} fixes"),
            Err(why) => {
                failures.push(format!("{} on {}: {why}", fault.name, program.series));
                "FAILED".to_owned()
            }
        };
        table.insert((fault.name.clone(), program.series), cell);
    }
    let text = written(&table, &faults);
    let took = started.elapsed().as_secs();
    let passed = jobs.len() - failures.len();
    println!("{text}\n{passed} of {} faults named first and closed, in {took} s", jobs.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCUMENT, text).unwrap();
    } else {
        let lines = documented.lines().map(Some).chain(std::iter::repeat(None));
        let differs = text.lines().zip(lines).find(|(now, then)| Some(*now) != *then);
        assert_eq!(differs, None, "docs/faults.md: UPDATE=1 cargo test --test faults");
    }
}

#[test]
fn a_healthy_server_yields_neither_error_nor_warning() {
    for program in lab::servers() {
        let server = program.start(&Fault::none()).unwrap();
        let report = server.check();
        assert_eq!(problems(&report), Vec::<String>::new(), "{}", program.series);
        // up to 5.6 a server does not tell which sessions are encrypted, and mytls says so
        if program.series == Series::MySql56 {
            continue;
        }
        assert_eq!(report["unknown"], serde_json::json!([]), "{}", program.series);
        for step in report["steps"].as_array().unwrap() {
            assert_eq!(step["verdict"], "good", "{}: {step}", program.series);
        }
    }
}

fn is_asked_for(name: &str) -> bool {
    let asked = std::env::var("MYTLS_FAULTS").unwrap_or_default();
    asked.is_empty() || asked.split(',').any(|asked| asked == name)
}

/// The table as the document has it; what is no longer a fault is left out.
fn read(document: &str, faults: &[Fault]) -> Table {
    let mut table = Table::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let fault = faults.iter().find(|fault| cells[0].trim_matches('`') == fault.name);
        let Some(fault) = fault else { continue };
        for (series, cell) in Series::ALL.into_iter().zip(&cells[1..]) {
            if fault.servers.contain(series) {
                table.insert((fault.name.clone(), series), (*cell).to_owned());
            }
        }
    }
    table
}

fn written(table: &Table, faults: &[Fault]) -> String {
    let cell = |fault: &Fault, series| {
        let found = table.get(&(fault.name.clone(), series));
        found.map_or("not tried", String::as_str).to_owned()
    };
    let sound = lab::sound_set_ups();
    let faults = table_of("fault", faults, |fault| format!("`{}`", fault.name), cell);
    let sound = table_of("sound set-up", &sound, |it| it.title.clone(), |_, _| "quiet".to_owned());
    [HEAD, &faults, "\n", &sound].concat()
}

/// One line for each, a dash where it cannot be, and how many there are on each server.
fn table_of(
    what: &str,
    all: &[Fault],
    name: impl Fn(&Fault) -> String,
    cell: impl Fn(&Fault, Series) -> String,
) -> String {
    let line = |first: &str, cells: [String; 4]| format!("| {first} | {} |\n", cells.join(" | "));
    let head = line(what, Series::ALL.map(|series| series.name().to_owned()));
    let lines = all.iter().map(|one| {
        let there = |series| one.servers.contain(series);
        let cells = Series::ALL.map(|on| if there(on) { cell(one, on) } else { "–".to_owned() });
        line(&name(one), cells)
    });
    let count = |on| all.iter().filter(|one| one.servers.contain(on)).count().to_string();
    let foot = line(&format!("**{}**", all.len()), Series::ALL.map(count));
    [head, "|---|---|---|---|---|\n".to_owned()].into_iter().chain(lines).chain([foot]).collect()
}

/// One fault on one server, as often as it has remedies, each time afresh; how many there were.
fn close(fault: &Fault, program: &Program) -> Result<usize, String> {
    let mut number = 0;
    loop {
        let server = program.start(fault).map_err(|error| error.to_string())?;
        let report = server.check();
        let first = named_first(fault, program, &report)?;
        let remedies = first["remedies"].as_array().unwrap();
        let remedy = remedies.get(number).ok_or("it has no remedy")?;
        run(&server, remedy).map_err(|why| format!("fix {}: {why}", number + 1))?;
        let after = server.check();
        let mut left = problems(&after);
        // what was a note counts, too, when it was what the fault is about
        let named = after["findings"].as_array().unwrap().iter();
        left.extend(named.filter(|f| f["rule"] == first["rule"]).map(|f| f["title"].to_string()));
        if !left.is_empty() {
            return Err(format!("fix {} left {}", number + 1, left.join(", ")));
        }
        number += 1;
        if number == remedies.len() {
            return Ok(number);
        }
    }
}

/// The finding of the fault, if it is the first, and nothing is beside it but what may be.
fn named_first<'a>(
    fault: &Fault,
    program: &Program,
    report: &'a Value,
) -> Result<&'a Value, String> {
    let findings = report["findings"].as_array().unwrap();
    let first = findings.first().ok_or("nothing was found")?;
    let expected = fault.first(program.series);
    if first["rule"].as_str() != expected || first["because_of"] != Value::Null {
        return Err(format!("{} came first instead of {expected:?}", first["rule"]));
    }
    for finding in &findings[1..] {
        let rule = finding["rule"].as_str().unwrap();
        let allowed =
            fault.may_follow.iter().any(|may| may == rule) || rule == "server-not-running";
        if !allowed {
            return Err(format!("{rule} was found, too"));
        }
    }
    Ok(first)
}

/// Runs a remedy as it is printed: shell by a shell, SQL by the client program, lines into files.
fn run(server: &Server, remedy: &Value) -> Result<(), String> {
    let mut restart = false;
    for action in remedy["actions"].as_array().unwrap() {
        let text = action["text"].as_str().unwrap();
        let file = || Path::new(action["file"].as_str().unwrap());
        match action["kind"].as_str().unwrap() {
            // nothing but its test has started this server
            "shell" if text == mytls::remedy::shell::RESTART => restart = true,
            "shell" => shell(text)?,
            "sql" => drop(server.sql(text)?),
            "config" => {
                let mut out = std::fs::OpenOptions::new().append(true).open(file()).unwrap();
                out.write_all(format!("\n{text}").as_bytes()).unwrap();
            }
            "file" => std::fs::write(file(), text).unwrap(),
            other => return Err(format!("an action of the kind {other}")),
        }
        restart |= action["effect"] == "restart";
    }
    if restart {
        server.sandbox.restart().map_err(|error| format!("no restart: {error}"))?;
    }
    Ok(())
}

/// Runs a command without a terminal; what asks for a passphrase gets that of the fault.
fn shell(text: &str) -> Result<(), String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_mytls")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let mut child = Command::new("setsid")
        .args(["--wait", "sh", "-c", text])
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that does not read it closes the pipe
    let _ = child.stdin.take().unwrap().write_all(format!("{PASSPHRASE}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}
