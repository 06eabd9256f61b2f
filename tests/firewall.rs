//! Firewall rules, loaded by the real `nft` and `iptables` in network namespaces with several hosts, in
//! front of real servers.
//!
//! Needs root, and those programs. Without them these tests fail under `CI=true` where root runs them,
//! and say elsewhere that they were skipped.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::lab::{self, Program, Server};
use mytls::apply::journal;
use mytls::sandbox::{Fault, Series};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

/// The server's host, and three others: `web` and `net` are to be let in, `other` is not. Each is linked
/// to the server by a network of its own: 10.77.N.0/24 and fd77:N::/64, the server being 1 and they 2.
struct Hosts {
    name: String,
}

const WEB: u8 = 1;
const OTHER: u8 = 2;
const NET: u8 = 3;

impl Hosts {
    /// `None`, with a word, where they cannot be had.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tools = [
            ("ip", "-V"),
            ("nft", "--version"),
            ("iptables", "--version"),
            ("ip6tables", "--version"),
        ];
        let missing: Vec<&str> = tools
            .iter()
            .filter(|(tool, version)| Command::new(tool).arg(version).output().is_err())
            .map(|(tool, _)| *tool)
            .collect();
        let root = nix::unistd::geteuid().is_root();
        if !root || !missing.is_empty() {
            let why =
                if root { format!("{} not here", missing.join(", ")) } else { "not root".into() };
            assert!(!(root && lab::in_ci()), "in CI these have to be there: {why}");
            eprintln!("skipped: {why}; make setup brings nftables, iptables and iproute2");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let hosts = Self { name: format!("mytls{}x{number}", std::process::id()) };
        if let Err(why) = hosts.build() {
            assert!(!lab::in_ci(), "in CI network namespaces have to be had: {why}");
            eprintln!("skipped: no network namespaces here: {why}");
            return None;
        }
        Some(hosts)
    }

    fn build(&self) -> Result<(), String> {
        let ip = |words: String| {
            let output = Command::new("ip").args(words.split(' ')).output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(format!("ip {words}: {why}")) }
        };
        let server = self.server();
        ip(format!("netns add {server}"))?;
        ip(format!("-n {server} link set lo up"))?;
        for host in [WEB, OTHER, NET] {
            let other = self.host(host);
            ip(format!("netns add {other}"))?;
            ip(format!("-n {other} link set lo up"))?;
            ip(format!("-n {server} link add v{host} type veth peer name eth0 netns {other}"))?;
            for (namespace, device, last) in
                [(&server, format!("v{host}"), 1), (&other, "eth0".into(), 2)]
            {
                ip(format!("-n {namespace} link set {device} up"))?;
                ip(format!("-n {namespace} addr add 10.77.{host}.{last}/24 dev {device}"))?;
                ip(format!("-n {namespace} addr add fd77:{host}::{last}/64 dev {device} nodad"))?;
            }
        }
        Ok(())
    }

    fn server(&self) -> String {
        format!("{}s", self.name)
    }

    fn host(&self, host: u8) -> String {
        format!("{}h{host}", self.name)
    }

    /// A program on the server's host.
    fn on_server(&self, program: &str) -> Command {
        on(&self.server(), program)
    }

    fn on(&self, host: u8, program: &str) -> Command {
        on(&self.host(host), program)
    }

    /// All that the kernel holds, as both tools list it. Counters are left out, as packets pass.
    fn ruleset(&self) -> String {
        let list = |words: &[&str]| {
            let output = self.on_server(words[0]).args(&words[1..]).output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
            text(&output.stdout)
        };
        let mut all = list(&["nft", "--stateless", "list", "ruleset"]);
        all.push_str(&list(&["iptables", "-S"]));
        all.push_str(&list(&["ip6tables", "-S"]));
        all
    }

    /// What `mytls reach` says on a host, of the server's address on that host's network.
    fn reach(&self, host: u8, address: &str, port: u16) -> Value {
        let at = if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        };
        let output = self
            .on(host, env!("CARGO_BIN_EXE_mytls"))
            .args(["reach", &at, "--timeout", "1", "--format", "json"])
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        let through = ["answers", "turned-away", "other-service"];
        let through = through.iter().any(|outcome| said["outcome"] == *outcome);
        assert_eq!(output.status.code(), Some(i32::from(!through)), "{said}");
        said
    }

    /// The outcome from each host by IPv4 and IPv6.
    fn outcomes(&self, port: u16) -> Vec<String> {
        let mut all = Vec::new();
        for (name, host) in [("web", WEB), ("other", OTHER), ("net", NET)] {
            for address in [format!("10.77.{host}.1"), format!("fd77:{host}::1")] {
                let said = self.reach(host, &address, port);
                let family = if address.contains(':') { "6" } else { "4" };
                all.push(format!("{name}{family} {}", said["outcome"].as_str().unwrap()));
            }
        }
        all
    }

    /// Does something with its thread on the server's host; what it starts is there, too.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(self.server())).unwrap();
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }

    fn start(&self, program: &Program, options: &[(&str, &str)]) -> Server {
        let change = |(name, value): &(&str, &str)| {
            format!("[[changes]]\ndo = \"set-option\"\nname = \"{name}\"\nvalue = \"{value}\"\n")
        };
        let changes: Vec<String> = options.iter().map(change).collect();
        let head = "title = \"listens otherwise\"\ndescription = \"for hosts\"\n";
        let set_up = format!("{head}{}", changes.concat());
        let set_up = Fault::from_toml("on-all-addresses", &set_up).unwrap();
        self.inside(|| program.start(&set_up)).unwrap()
    }

    /// Something that answers on port 22 as sshd does, for as long as the process lives.
    fn ssh(&self) {
        self.inside(|| {
            let listener = TcpListener::bind("[::]:22").unwrap();
            std::thread::spawn(move || {
                for connection in listener.incoming().flatten() {
                    let _ = (&connection).write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
                }
            });
        });
    }

    fn firewall(&self, server: &Server, home: &Path, arguments: &[&str]) -> Command {
        let mut command = self.on_server(env!("CARGO_BIN_EXE_mytls"));
        command
            .arg("firewall")
            .arg(format!("--defaults-file={}/client.cnf", server.dir().display()));
        command.arg("-S").arg(server.sandbox.target().socket.unwrap());
        command.args(arguments).env("HOME", home).env_remove("XDG_STATE_HOME");
        command
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let all = [self.server(), self.host(WEB), self.host(OTHER), self.host(NET)];
        for namespace in all {
            let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
        }
    }
}

fn on(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Gives the text to a program, which has to accept it.
fn pipe(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}\n{}", text(&output.stderr));
    text(&output.stdout)
}

fn ok(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output
}

/// Waits until it holds, which it does sooner or later.
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("in half a minute it did not come to pass: {what}");
}

/// One server for each family, of those that are here.
fn programs() -> Vec<Program> {
    let wanted = [Series::MariaDb1011, Series::MySql97];
    lab::servers().into_iter().filter(|program| wanted.contains(&program.series)).collect()
}

/// Rules that a host has anyway.
fn rules_of_the_host(hosts: &Hosts) {
    let own = "table inet own {\n chain input {\n  type filter hook input priority filter; policy accept;\n  \
               ct state established,related accept\n  tcp dport 22 accept\n }\n}\n";
    let mut nft = hosts.on_server("nft");
    nft.args(["-f", "-"]);
    pipe(nft, own);
    for program in ["iptables", "ip6tables"] {
        ok(hosts
            .on_server(program)
            .args(["-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"]));
        ok(hosts
            .on_server(program)
            .args(["-A", "INPUT", "-p", "tcp", "--dport", "25", "-j", "DROP"]));
    }
}

const ALLOW: &str = "10.77.1.2,10.77.3.0/24,fd77:1::2,fd77:3::/64";
const ALL_ANSWER: [&str; 6] = [
    "web4 answers",
    "web6 answers",
    "other4 answers",
    "other6 answers",
    "net4 answers",
    "net6 answers",
];
const AS_WISHED: [&str; 6] = [
    "web4 answers",
    "web6 answers",
    "other4 timed-out",
    "other6 timed-out",
    "net4 answers",
    "net6 answers",
];

#[test]
fn known_addresses_reach_the_server_others_do_not_and_nothing_else_changes() {
    let Some(hosts) = Hosts::new() else { return };
    hosts.ssh();
    rules_of_the_host(&hosts);
    let home = tempfile::tempdir().unwrap();
    for program in programs() {
        let server = hosts.start(&program, &[("bind_address", "*")]);
        let port = server.sandbox.target().port();
        assert_eq!(hosts.outcomes(port), ALL_ANSWER, "{}", program.series);
        let said = hosts.reach(WEB, "10.77.1.1", port);
        assert_eq!(
            (&said["local"], &said["seen_as"]),
            (&"10.77.1.2".into(), &"10.77.1.2".into()),
            "{said}"
        );
        assert!(said["tls"]["works"].as_str().unwrap().starts_with("TLSv1"), "{said}");

        for tool in ["nft", "iptables"] {
            let before = hosts.ruleset();
            // somebody who is not let in from now on, and stays
            let mut there =
                hosts.inside_of(OTHER, || TcpStream::connect(("10.77.2.1", port)).unwrap());
            there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut head = [0; 4];
            there.read_exact(&mut head).unwrap();
            // all of the greeting, so that what comes later is an answer
            let mut greeting = vec![0; usize::from(head[0])];
            there.read_exact(&mut greeting).unwrap();

            let rules = hosts
                .firewall(&server, home.path(), &["--tool", tool, "--allow", ALLOW])
                .output()
                .unwrap();
            assert!(rules.status.success(), "{}", text(&rules.stderr));
            let rules = text(&rules.stdout);
            let run = || if tool == "nft" { hosts.nft() } else { hosts.on_server("sh") };
            pipe(run(), &rules);
            assert_eq!(hosts.outcomes(port), AS_WISHED, "{} {tool}", program.series);
            let ssh = hosts.outcomes(22);
            assert!(ssh.iter().all(|one| one.ends_with("other-service")), "{ssh:?}");

            // the server goes on talking with it: a broken login is answered
            there.write_all(&[1, 0, 0, 1, 0]).unwrap();
            let mut answer = Vec::new();
            let _ = there.read_to_end(&mut answer);
            assert!(!answer.is_empty(), "{tool}: a connection that was there has broken off");

            let once = hosts.ruleset();
            pipe(run(), &rules);
            assert_eq!(hosts.ruleset(), once, "{tool}: twice is as once");
            assert_ne!(once, before);

            // others in their place
            let few = hosts
                .firewall(&server, home.path(), &["--tool", tool, "--allow", "10.77.2.2"])
                .output()
                .unwrap();
            pipe(run(), &text(&few.stdout));
            assert_eq!(hosts.reach(OTHER, "10.77.2.1", port)["outcome"], "answers");
            assert_eq!(hosts.reach(WEB, "10.77.1.1", port)["outcome"], "timed-out");
            assert_eq!(hosts.reach(WEB, "fd77:1::1", port)["outcome"], "timed-out");

            let removal = hosts
                .firewall(&server, home.path(), &["--tool", tool, "--remove"])
                .output()
                .unwrap();
            pipe(run(), &text(&removal.stdout));
            assert_eq!(
                hosts.ruleset(),
                before,
                "{tool}: the removal leaves what was there, byte for byte"
            );
            pipe(run(), &text(&removal.stdout));
            assert_eq!(hosts.outcomes(port), ALL_ANSWER);
        }
    }
}

#[test]
fn a_limit_counts_the_connections_of_each_address() {
    let Some(hosts) = Hosts::new() else { return };
    let home = tempfile::tempdir().unwrap();
    let Some(program) = programs().into_iter().next() else { return };
    let server = hosts.start(&program, &[("bind_address", "*")]);
    let port = server.sandbox.target().port();
    for tool in ["nft", "iptables"] {
        let arguments = ["--tool", tool, "--allow", "10.77.0.0/16", "--limit", "2"];
        let rules = hosts.firewall(&server, home.path(), &arguments).output().unwrap();
        let run = || if tool == "nft" { hosts.nft() } else { hosts.on_server("sh") };
        pipe(run(), &text(&rules.stdout));
        let held = hosts
            .inside_of(WEB, || [0; 2].map(|_| TcpStream::connect(("10.77.1.1", port)).unwrap()));
        assert_eq!(
            hosts.reach(WEB, "10.77.1.1", port)["outcome"],
            "timed-out",
            "{tool}: the third"
        );
        assert_eq!(
            hosts.reach(NET, "10.77.3.1", port)["outcome"],
            "answers",
            "{tool}: another's first"
        );
        drop(held);
        let removal =
            hosts.firewall(&server, home.path(), &["--tool", tool, "--remove"]).output().unwrap();
        pipe(run(), &text(&removal.stdout));
    }
}

#[test]
fn unless_confirmed_everything_goes_back_even_when_mytls_is_killed() {
    let Some(hosts) = Hosts::new() else { return };
    rules_of_the_host(&hosts);
    let home = tempfile::tempdir().unwrap();
    let Some(program) = programs().into_iter().next() else { return };
    let server = hosts.start(&program, &[("bind_address", "*")]);
    let port = server.sandbox.target().port();
    for tool in ["nft", "iptables"] {
        let before = hosts.ruleset();
        let load = |allow: &str, within: &str| -> Child {
            hosts
                .firewall(
                    &server,
                    home.path(),
                    &["--tool", tool, "--allow", allow, "--apply", "--confirm-within", within],
                )
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let loaded = || hosts.ruleset() != before;

        // killed
        let mut child = load("10.77.1.2", "4");
        until("the rules are loaded", loaded);
        let _ = child.kill();
        child.wait().unwrap();
        assert!(loaded(), "{tool}: they stay until the time is over");
        assert_eq!(hosts.reach(OTHER, "10.77.2.1", port)["outcome"], "timed-out");
        until("the rules went back", || !loaded());
        assert_eq!(hosts.reach(OTHER, "10.77.2.1", port)["outcome"], "answers");

        // nobody says anything
        let child = load("10.77.1.2", "2");
        let output = child.wait_with_output_open();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("is back"), "{}", text(&output.stderr));
        until("the rules went back", || !loaded());

        // yes
        let mut child = load("10.77.1.2", "60");
        child.stdin.take().unwrap().write_all(b"yes\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let kept = hosts.ruleset();
        assert_ne!(kept, before);

        // others in their place, not confirmed: those of before come back, not none
        let mut child = load("10.77.2.2", "12"); // longer than a busy machine takes to come to the next
        until("the other rules are loaded", || hosts.ruleset() != kept);
        let second = load("10.77.3.2", "2").wait_with_output_open();
        assert_eq!(second.status.code(), Some(3));
        assert!(text(&second.stderr).contains("another change waits"), "{}", text(&second.stderr));
        let _ = child.kill();
        child.wait().unwrap();
        until("those of before are back", || hosts.ruleset() == kept);

        // from another session, and taken back by the journal's word
        let mut child = load("10.77.2.2", "60");
        until("the other rules are loaded", || hosts.ruleset() != kept);
        ok(&mut hosts.firewall(&server, home.path(), &["--confirm"]));
        let status = child.wait().unwrap();
        assert!(status.success(), "it says that it was confirmed elsewhere");
        let journal = home.path().join(".local/state/mytls/journal.jsonl");
        for (entry, back_to) in journal::read(&journal).unwrap().iter().rev().zip([&kept, &before])
        {
            let undo = &entry.applied.undo[0];
            pipe(hosts.on_server("sh"), undo);
            assert_eq!(&hosts.ruleset(), back_to, "{undo}");
        }
        let nothing = hosts.firewall(&server, home.path(), &["--confirm"]).output().unwrap();
        assert!(text(&nothing.stderr).contains("nothing waits"), "{}", text(&nothing.stderr));
    }
}

#[test]
fn who_connects_is_the_proposal_and_reports_from_outside_are_held_against_the_set() {
    let Some(hosts) = Hosts::new() else { return };
    let home = tempfile::tempdir().unwrap();
    for program in programs() {
        let server = hosts.start(&program, &[("bind_address", "*")]);
        let port = server.sandbox.target().port();
        server.sql("CREATE USER watcher@'10.77.%' IDENTIFIED BY 'Watch-0ne!'").unwrap();
        let mut session = hosts
            .on(WEB, lab::client())
            .args(["--no-defaults", "-h", "10.77.1.1", "-P", &port.to_string(), "-u", "watcher"])
            .args(["-e", "SELECT SLEEP(60)"])
            .env("MYSQL_PWD", "Watch-0ne!")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the client is connected", || {
            let seen = server.sql("SELECT user FROM information_schema.processlist").unwrap();
            seen.contains("watcher")
        });
        let said = hosts
            .firewall(&server, home.path(), &["--from-server", "--format", "json"])
            .output()
            .unwrap();
        let json: Value = serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|_| panic!("{}", text(&said.stderr)));
        assert_eq!(json["allow"], serde_json::json!(["10.77.1.2"]), "{}", program.series);
        assert_eq!(json["ports"], serde_json::json!([port]));

        let said = hosts.firewall(&server, home.path(), &["--format", "json"]).output().unwrap();
        let json: Value = serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|_| panic!("{}", text(&said.stderr)));
        let listener = &json["listeners"]["read"][0];
        assert!(listener["address"].as_str().unwrap().ends_with(&format!(":{port}")), "{json}");
        assert_eq!(listener["port"], "classic");
        assert!(listener["program"].is_string(), "{json}");
        let pick = hosts.firewall(&server, home.path(), &[]).output().unwrap();
        assert_eq!((pick.status.code(), pick.stdout.len()), (Some(2), 0));
        assert!(text(&pick.stderr).contains("10.77.1.2"), "{}", text(&pick.stderr));

        let left_out =
            hosts.firewall(&server, home.path(), &["--allow", "10.77.3.2"]).output().unwrap();
        assert!(
            text(&left_out.stderr).contains("watcher is connected from 10.77.1.2"),
            "{}",
            text(&left_out.stderr)
        );
        let _ = session.kill();
        let _ = session.wait();

        // the same reports before the rules and after
        let report = |host: u8| -> PathBuf {
            let file = home.path().join(format!("host{host}.json"));
            let said = hosts.reach(host, &format!("10.77.{host}.1"), port);
            std::fs::write(&file, said.to_string()).unwrap();
            file
        };
        let judge = || {
            let (web, other) = (report(WEB), report(OTHER));
            let files = [web.to_str().unwrap(), other.to_str().unwrap()];
            let arguments = ["--allow", "10.77.1.2", "--reach", files[0], "--reach", files[1]];
            hosts.firewall(&server, home.path(), &arguments).output().unwrap()
        };
        let open = judge();
        assert_eq!(open.status.code(), Some(1), "{}", text(&open.stdout));
        assert!(
            text(&open.stdout).contains("10.77.2.2 is not allowed and gets through"),
            "{}",
            text(&open.stdout)
        );
        let rules =
            hosts.firewall(&server, home.path(), &["--allow", "10.77.1.2"]).output().unwrap();
        pipe(hosts.nft(), &text(&rules.stdout));
        let closed = judge();
        assert!(closed.status.success(), "{}", text(&closed.stdout));
        let removal = hosts.firewall(&server, home.path(), &["--remove"]).output().unwrap();
        pipe(hosts.nft(), &text(&removal.stdout));
    }
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_changed() {
    let Some(hosts) = Hosts::new() else { return };
    let home = tempfile::tempdir().unwrap();
    let mytls = env!("CARGO_BIN_EXE_mytls");
    let before = hosts.ruleset();
    let said = |command: &mut Command, code: i32| {
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(hosts.ruleset(), before);
        said
    };
    let apply = ["firewall", "--allow", "10.77.1.2", "--apply", "--confirm-within", "5"];

    // a folder with nothing in it but ip
    let empty = tempfile::tempdir().unwrap();
    for (tool, package) in [("nft", "nftables"), ("iptables", "iptables")] {
        let mut command = hosts.on_server("env");
        command
            .arg(format!("PATH={}", empty.path().display()))
            .arg(mytls)
            .args(apply)
            .args(["--tool", tool]);
        let why = said(&mut command, 3);
        assert!(
            why.contains("is not here") && why.contains(&format!("install {package}")),
            "{why}"
        );
    }
    for tool in ["nft", "iptables"] {
        let mut command = hosts.on_server("setpriv");
        command
            .args(["--reuid", "65534", "--clear-groups", mytls])
            .args(apply)
            .args(["--tool", tool]);
        command.env("HOME", home.path());
        let why = said(&mut command, 3);
        assert!(why.contains("only root may change the firewall"), "{why}");
    }
    for (odd, word) in
        [("db1.example", "no address"), ("10.0.0.0/33", "no prefix"), ("fe80::1%eth0", "interface")]
    {
        let why = said(hosts.on_server(mytls).args(["firewall", "--allow", odd]), 2);
        assert!(why.contains(word) && !why.contains("panicked"), "{odd}: {why}");
    }
    let why = said(
        hosts
            .on_server(mytls)
            .args(["firewall", "--allow", "10.0.0.1", "--tool", "ufw", "--apply"]),
        3,
    );
    assert!(why.contains("| sh"), "{why}");
    let why =
        said(hosts.on_server(mytls).args(["firewall", "--allow", "10.0.0.1", "--ports", "0"]), 2);
    assert!(why.contains("none of them 0"), "{why}");
    let broken = home.path().join("broken.json");
    std::fs::write(&broken, "{\"schema\": 1}").unwrap();
    let file = broken.to_str().unwrap();
    let why =
        said(hosts.on_server(mytls).args(["firewall", "--allow", "10.0.0.1", "--reach", file]), 3);
    assert!(why.contains("no report of mytls reach"), "{why}");

    if let Some(program) = programs().into_iter().next() {
        let server = hosts.start(&program, &[("skip_networking", "ON")]);
        let why = said(&mut hosts.firewall(&server, home.path(), &["--allow", "10.0.0.1"]), 2);
        assert!(why.contains("skip_networking"), "{why}");
    }
}

impl Hosts {
    fn nft(&self) -> Command {
        let mut command = self.on_server("nft");
        command.args(["-f", "-"]);
        command
    }

    /// As [`Hosts::inside`], on another host.
    fn inside_of<T: Send>(&self, host: u8, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(self.host(host))).unwrap();
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }
}

/// Waits for its end with its standard input open: nobody types anything.
trait WaitOpen {
    fn wait_with_output_open(self) -> Output;
}

impl WaitOpen for Child {
    fn wait_with_output_open(mut self) -> Output {
        let open = self.stdin.take();
        let output = self.wait_with_output().unwrap();
        drop(open);
        output
    }
}
