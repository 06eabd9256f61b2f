//! The wizard as lines: the same walk as on the screen, typed, and nothing that a screen reader
//! could not say.

mod common;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::fake::{Fake, target};
use common::lab;
use mytls::tui::Start;
use mytls::tui::plain::{self, Plain};

/// What it says to these lines.
fn walk(fake: &Fake, start: Start, lines: &[&str]) -> String {
    let mut input = std::io::Cursor::new(lines.join("\n") + "\n");
    let mut output = Vec::new();
    let mut io = Plain {
        input: &mut input,
        output: &mut output,
        secret: None,
        interrupted: Arc::new(AtomicBool::new(false)),
        idle: Arc::new(AtomicBool::new(true)),
    };
    plain::run(fake, start, &mut io).unwrap();
    let text = String::from_utf8(output).unwrap();
    let drawn = |c: char| c == '\x1b' || ('\u{2500}'..='\u{257F}').contains(&c);
    assert!(!text.contains(drawn), "something is drawn in\n{text}");
    text
}

fn on_target() -> Start {
    Start { target: Some(target()), ..Start::default() }
}

/// The parts stand there, in this order.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} (in its place) in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_walk_from_a_broken_server_to_a_proven_account() {
    let fake = Fake::new(|_| ());
    let text = walk(
        &fake,
        on_target(),
        &[
            "next", "explain", "back", "", "down", "", // to the workshop
            "", "", "", "", "", "", "", "", // its fields as they are
            "w", "", "5", "down", "", "apply", "w", "", "p", "back", "6", "quit",
        ],
    );
    says(
        &text,
        &[
            "2 Key & certificate: error",
            "selected: wrong: the key belongs to another certificate",
            "What it checks",
            "selected: Fix 2",
            "Enter keeps what stands in brackets",
            "This will be written, and nothing else.",
            "done: a private CA",
            "SUBJECT '/CN=app'",
            "would be refused from now on",
            "Proved.",
            "to take it back:",
        ],
    );
}

#[test]
fn only_what_is_new_is_said() {
    let fake = Fake::new(|_| ());
    let text = walk(&fake, on_target(), &["2", "down", "up", "no such words", "q"]);
    // twice as the selected line, and its details with it; the other lines once
    assert_eq!(text.matches("selected: wrong: the key belongs to another").count(), 2, "{text}");
    assert_eq!(text.matches("Do key and certificate belong together").count(), 1, "{text}");
    assert!(text.contains("nothing here has the words no such words"), "{text}");
}

#[test]
fn fields_are_asked_for_and_say_what_is_wrong_with_them() {
    let fake = Fake::new(|_| ());
    let text = walk(
        &fake,
        Start::default(),
        &["db1.example", "x", "3306", "", "", "", "", "", "", "quit"],
    );
    says(
        &text,
        &["Which server?", "host [localhost]: ", "not so: a number: digits only", "1 Server: "],
    );
    // the input ends in the middle of a form: it ends, and changes nothing
    let text = walk(&fake, Start::default(), &["db1.example"]);
    assert!(!text.contains("1 Server:"), "{text}");
}

#[test]
fn a_secret_is_not_said_again() {
    let fake = Fake::new(|does| {
        does.key_matches = true;
        does.password = None;
    });
    let text = walk(&fake, on_target(), &["5", "down", "p", "secret", "back", "quit"]);
    says(&text, &["Password of app@10.0.%", "Proved."]);
    assert!(!text.contains("secret"), "{text}");
}

fn mytls(arguments: &[&str], lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mytls"))
        .args(arguments)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// On a real server, as a process: the fault is mended, and the server that comes up is sound.
#[test]
fn a_real_server_is_mended_line_by_line() {
    if lab::server("none").is_none() {
        return;
    }
    let lines = "2\nmend\n\nw\n\n4\n5\nq\n";
    let output = mytls(&["sandbox", "--plain", "--fault", "mismatched-key"], lines);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    says(
        &text,
        &[
            "2 Key & certificate: error",
            "selected: Fix 1 point ssl_key at the key that matches",
            "This will be written, and nothing else.",
            "2 Key & certificate: good; 3 CA & chain: good; 4 Encryption: good",
            "You are at Accounts.",
            "The sandbox is gone",
        ],
    );
}
