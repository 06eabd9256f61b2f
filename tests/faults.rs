//! Every fault of the sandbox, injected into a real server: named first, and closed by each of its
//! remedies, run verbatim.

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use common::lab::{Server, server};
use mytls::sandbox::Fault;
use serde_json::Value;

/// What the fault `key-encrypted` encrypts with.
const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn every_fault_is_named_first_and_closed_by_each_of_its_remedies() {
    let wanted = std::env::var("MYTLS_FAULTS").ok(); // a,b,c: these alone
    let wanted = |fault: &Fault| {
        wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == fault.name))
    };
    let faults: Vec<Fault> =
        Fault::all().into_iter().filter(|f| f.first.is_some() && wanted(f)).collect();
    let todo = Mutex::new(faults.into_iter());
    let next = || todo.lock().unwrap().next();
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    match close(&fault) {
                        Ok(Some(fixes)) => {
                            println!("{:<28} named first, {fixes} closed it", fault.name);
                        }
                        Ok(None) => {}
                        Err(why) => failures.lock().unwrap().push(format!("{}: {why}", fault.name)),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_healthy_server_yields_neither_error_nor_warning() {
    let Some(server) = server("none") else { return };
    let report = server.check();
    assert_eq!(problems(&report), Vec::<String>::new());
    assert_eq!(report["unknown"], serde_json::json!([]));
    for step in report["steps"].as_array().unwrap() {
        assert_eq!(step["verdict"], "good", "{step}");
    }
}

/// One fault, as often as it has remedies, each on a fresh server; how many there were.
fn close(fault: &Fault) -> Result<Option<usize>, String> {
    let mut number = 0;
    loop {
        let Some(server) = server(&fault.name) else { return Ok(None) };
        let report = server.check();
        let findings = report["findings"].as_array().unwrap();
        let first = findings.first().ok_or("nothing was found")?;
        let expected = fault.first.as_deref();
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
        let remedies = first["remedies"].as_array().unwrap();
        let Some(remedy) = remedies.get(number) else { break };
        run(&server, remedy).map_err(|why| format!("fix {}: {why}", number + 1))?;
        let left = problems(&server.check());
        if !left.is_empty() {
            return Err(format!("fix {} left {}", number + 1, left.join(", ")));
        }
        number += 1;
    }
    if number == 0 { Err("it has no remedy".into()) } else { Ok(Some(number)) }
}

/// Errors and warnings of a report.
fn problems(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let heavy = findings.iter().filter(|finding| finding["severity"] != "note");
    heavy.map(|f| format!("{} ({})", f["rule"], f["title"])).collect()
}

/// Runs a remedy as it is printed: shell by a shell, SQL by the client program, lines into files.
fn run(server: &Server, remedy: &Value) -> Result<(), String> {
    let mut restart = false;
    for action in remedy["actions"].as_array().unwrap() {
        let text = action["text"].as_str().unwrap();
        let file = || Path::new(action["file"].as_str().unwrap());
        match action["kind"].as_str().unwrap() {
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
