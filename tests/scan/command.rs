//! The command: lists of servers, some of which mean no good; what is cut off and gone on with; every form of list
//! and of output. The servers are the test's own, so nothing has to be installed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::hostile::{hostile, papers, tls_server, tls_server_seen};
use super::lab;

fn command(arguments: &[&str]) -> Command {
    let mut command = lab::mytls();
    command.arg("scan").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn scan(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn list(ports: &[u16]) -> String {
    let lines = ports.iter().map(|port| format!("127.0.0.1:{port}\n"));
    lines.collect()
}

fn targets(lines: &[String]) -> Vec<String> {
    let target = |line: &String| -> String {
        let line: Value = serde_json::from_str(line).unwrap();
        line["target"].as_str().unwrap().to_owned()
    };
    lines.iter().map(target).collect()
}

/// Takes every connection, and says nothing for a minute.
fn hanging() -> u16 {
    let hang = |mut stream: std::net::TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.read(&mut [0; 1]);
    };
    hostile(hang).port
}

fn http() -> u16 {
    hostile(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))).port
}

/// So many ports that were free a moment ago; asked for last, or they become somebody's.
fn closed(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

#[test]
fn whoever_hangs_delays_nobody_and_what_was_cut_off_is_gone_on_with() {
    let (paper, folder) = (papers(1, 0), tempfile::tempdir().unwrap());
    let (mut hang, mut others) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        hang.push(hanging());
        others.extend([tls_server(paper.clone()).port, http()]);
    }
    others.extend(closed(15));
    let all = list(&[hang.clone(), others.clone()].concat());
    // those that hang come first and keep fifteen of the twenty threads
    let arguments = ["--targets", "-", "--format", "json", "--timeout", "60", "--parallel", "20"];
    let mut child = command(&arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(all.as_bytes()).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines: Vec<String> = stdout.by_ref().take(45).map(Result::unwrap).collect();
    let mut met = targets(&lines);
    let mut expected: Vec<String> = list(&others).lines().map(str::to_owned).collect();
    met.sort();
    expected.sort();
    assert_eq!(met, expected);
    assert_eq!(lines.iter().filter(|line| line.contains("\"scan\":")).count(), 15);

    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(130), "the first Ctrl-C ends it");
    assert_eq!(stdout.count(), 0, "of those that hang there is nothing to say yet");

    // and then the pen stopped in the middle of a line
    let file = folder.path().join("so-far.ndjson");
    let cut = lines.pop().unwrap();
    lines.push(cut[..cut.len() / 2].to_owned());
    fs::write(&file, lines.join("\n")).unwrap();
    let resume = ["--targets", "-", "--format", "json", "--timeout", "1", "--resume"];
    let output = scan(&[&resume[..], &[file.to_str().unwrap()]].concat(), &all);
    let again: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    // what failed is tried again, what was scanned is not
    let scanned = lines.iter().filter(|line| line.contains("\"scan\":")).count();
    let whole = lines.iter().filter(|line| serde_json::from_str::<Value>(line).is_ok());
    let whole = whole.filter(|line| line.contains("\"scan\":")).count();
    assert!(whole <= scanned);
    assert_eq!(again.len(), 60 - whole);
    assert!(targets(&hang_lines(&again, &hang)).len() == 15, "{again:#?}");
    assert_eq!(output.status.code(), Some(3), "some could not be scanned");
}

fn hang_lines(lines: &[String], hang: &[u16]) -> Vec<String> {
    let names = list(hang);
    let is = |line: &&String| {
        let target = &targets(std::slice::from_ref(line))[0];
        names.lines().any(|name| name == target) && line.contains("in time")
    };
    lines.iter().filter(is).cloned().collect()
}

#[test]
fn a_scan_cut_off_says_what_it_found_and_counts_as_not_made() {
    // one that shakes hands and then, at the third connection, hangs
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let endpoint = tls_server_seen(papers(1, 0), move |come| {
        counted.store(come, Ordering::SeqCst);
        if come > 2 {
            std::thread::sleep(Duration::from_millis(700));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let at = format!("127.0.0.1:{}", endpoint.port);
    let child =
        command(&[&at, "127.0.0.1:1", "--format", "json", "--parallel", "1"]).spawn().unwrap();
    while times.load(Ordering::SeqCst) < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cancelled; what was found until then stands above"));
    let found: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert!(found["scan"]["left_out"][0].as_str().unwrap().contains("cancelled"));
    assert!(found["scan"]["tls"]["handshake"]["version"].is_string(), "the first was whole");

    let file = folder.path().join("so-far.ndjson");
    fs::write(&file, &output.stdout).unwrap();
    let resumed = ["--format", "json", "--resume", file.to_str().unwrap()];
    let output = scan(&[&[at.as_str(), "127.0.0.1:1"], &resumed[..]].concat(), "");
    assert_eq!(text(&output.stdout).lines().count(), 2, "both again: {}", text(&output.stderr));
}

#[test]
fn no_more_than_a_few_connections_are_open_at_a_server_and_one_where_it_is_polite() {
    for (polite, most) in [(&[][..], 8), (&["--polite"][..], 1)] {
        let (open, top) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, max) = (Arc::clone(&open), Arc::clone(&top));
        // slow enough to be taken for far away
        let endpoint = tls_server_seen(papers(1, 0), move |_| {
            max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
        });
        let at = format!("127.0.0.1:{}", endpoint.port);
        let output = scan(&[&[at.as_str(), "--format", "json"], polite].concat(), "");
        let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", scan["left_out"]);
        let top = top.load(Ordering::SeqCst);
        assert!(top <= most, "{top} at a time");
        assert!(most == 1 || top > 2, "side by side: {top}");
        let took = scan["cost"]["milliseconds"].as_u64().unwrap();
        let connections = scan["cost"]["connections"].as_u64().unwrap();
        assert!(most > 1 || took >= 300 * (connections - 1), "{took} ms for {connections}");
    }
}

#[test]
fn an_inventory_is_scanned_and_its_metrics_are_such_as_prometheus_reads() {
    let (good, refused) = (tls_server(papers(1, 0)).port, closed(1)[0]);
    let inventory = format!(
        r#"{{"_meta":{{"hostvars":{{
            "db1":{{"ansible_host":"127.0.0.1","mysql_port":{good}}},
            "db2":{{"ansible_host":"127.0.0.1","mysql_port":"{refused}"}}}}}},
            "databases":{{"hosts":["db1","db2"]}},"all":{{"children":["databases"]}}}}"#
    );
    let output = scan(&["--targets", "-", "--format", "prometheus"], &inventory);
    let metrics = text(&output.stdout);
    let has = |line: String| assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    has(format!("mytls_scan_up{{target=\"127.0.0.1:{good}\"}} 1"));
    has(format!("mytls_scan_up{{target=\"127.0.0.1:{refused}\"}} 0"));
    has(format!("mytls_scan_version{{target=\"127.0.0.1:{good}\",version=\"TLSv1.3\"}} 1"));
    assert_eq!(output.status.code(), Some(3));
    // each metric has its help and type, once, before all of its samples
    let mut families: Vec<&str> = Vec::new();
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            families.push(help.split(' ').next().unwrap());
            continue;
        }
        let family = *families.last().expect("help comes first");
        let name = line.strip_prefix("# TYPE ").unwrap_or(line);
        let name = name.split(['{', ' ']).next().unwrap();
        assert_eq!(name, family, "{line}");
    }
    let once: std::collections::BTreeSet<&&str> = families.iter().collect();
    assert_eq!(once.len(), families.len());

    let table = scan(&["--targets", "-"], &inventory);
    let table = text(&table.stdout);
    assert!(table.contains("TLSv1.2 TLSv1.3") && table.contains("refuses connections"), "{table}");
    for (bad, word) in
        [("{\"_meta\":1", "no JSON"), ("db1\na b", "line 2"), ("", "names no server")]
    {
        let output = scan(&["--targets", "-"], bad);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(word), "{}", text(&output.stderr));
    }
}
