//! Statements for a hundred thousand accounts, each with the name of its own certificate: in memory
//! beside bare string formatting, and as `mytls grant` writes them for all that a CA has issued.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mytls::facts::{AccountName, Flavor, Require, Version};
use mytls::remedy::statement::{Dialect, Form};

use crate::{Figure, MEMORY_RUNS, MYTLS, RUNS, milliseconds, peak_while_it_writes, table, timed};

const ACCOUNTS: usize = 100_000;
const ISSUER: &str = "/CN=Example CA";

pub fn measure() {
    let dir = std::env::temp_dir().join("statements");
    issue(&dir);
    let grant = || {
        let mut command = Command::new(MYTLS);
        command.arg("grant").arg("--ca-dir").arg(&dir);
        command.args(["--dialect", "mysql-9.7", "--tls-library", "openssl-3"]);
        command
    };
    let said = grant().output().expect("mytls was built before this ran").stdout;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.matches("ALTER USER").count(), ACCOUNTS);

    let dialect = Dialect::new(Flavor::MySql, Version(9, 7, 0), Some("OpenSSL 3"));
    let accounts: Vec<(AccountName, Require)> = (0..ACCOUNTS)
        .map(|n| {
            let (subject, issuer) = (subject(n), ISSUER.to_owned());
            let require = Require::Specified { subject, issuer, cipher: String::new() };
            (AccountName::new(format!("app{n}"), "%"), require)
        })
        .collect();
    let orders = || accounts.iter().map(|(name, require)| (std::slice::from_ref(name), require));

    let mut times = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        let started = Instant::now();
        black_box(bare(&accounts));
        times[0].push(milliseconds(started));
        let started = Instant::now();
        black_box(dialect.script(orders(), Form::Alter));
        times[1].push(milliseconds(started));
        times[2].push(timed(grant()));
    }
    let [floor, script, whole] = times.map(Figure::of);
    table(
        &format!("statements for {ACCOUNTS} accounts, each with its own SUBJECT and ISSUER"),
        "ms",
        &[
            ("floor: as many strings formatted", floor, None),
            ("mytls: looked through, quoted, written, in memory", script, Some(floor)),
            ("mytls grant --ca-dir: its list read, all written", whole, Some(floor)),
        ],
    );
    let memory = (0..MEMORY_RUNS).map(|_| peak_while_it_writes(grant())).collect();
    table("its peak memory (VmHWM)", "MB", &[("mytls grant --ca-dir", Figure::of(memory), None)]);
}

/// What cannot be saved: the text of each.
fn bare(accounts: &[(AccountName, Require)]) -> Vec<String> {
    let text = |(name, require): &(AccountName, Require)| {
        let Require::Specified { subject, issuer, .. } = require else { return String::new() };
        let AccountName { user, host } = name;
        format!(
            "ALTER USER '{user}'@'{host}' REQUIRE\n  SUBJECT '{subject}'\n  AND ISSUER '{issuer}'"
        )
    };
    accounts.iter().map(text).collect()
}

fn subject(n: usize) -> String {
    format!("/O=Example CA/CN=app{n}")
}

/// A CA whose list holds so many certificates: the line of one that it issued, for each.
fn issue(dir: &Path) {
    let run = |arguments: &[&str]| {
        let output = Command::new(MYTLS).arg("ca").args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let place = dir.to_str().expect("TMPDIR is text");
    let out = dir.with_extension("out");
    let out = out.to_str().expect("TMPDIR is text");
    run(&["create", "--ca-dir", place, "--name", "Example CA", "--no-passphrase"]);
    run(&["client", "--ca-dir", place, "--user", "app0", "--out", out]);
    let list = dir.join("index.jsonl");
    let text = fs::read_to_string(&list).expect("it was just written");
    let (before, line) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let serial = line.split_once("\"serial\":\"").and_then(|(_, rest)| rest.split('"').next());
    let serial = serial.expect("each has one");
    let mut many = if before.is_empty() { String::new() } else { format!("{before}\n") };
    for n in 0..ACCOUNTS {
        let line = line.replace("app0", &format!("app{n}")).replace(serial, &format!("{n:040X}"));
        let _ = writeln!(many, "{line}"); // writing to a String cannot fail
    }
    fs::write(&list, many).expect("there is room");
}
