//! The server's options changed on real servers: off, on, rotated, a broken file, a reload that is
//! refused, recovered, and taken back, with a client over TLS all the time.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::lab::{self, Program, Server};
use mysql::prelude::Queryable as _;
use mytls::apply::config::{carry_out, edit};
use mytls::apply::journal;
use mytls::facts::Target;
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::session::{self, Route, Session, Tls};
use mytls::sandbox::{Fault, Series};
use mytls::wire::{self, Endpoint, Limits, TlsOffer, Trust};
use mytls::x509::pem;

/// A client that works all the time: over sessions that stay, and, once there is TLS, over a new one
/// at each turn. Restarts are announced to it; at anything else that it loses, the test fails.
struct Client {
    state: Arc<State>,
    thread: Option<thread::JoinHandle<()>>,
}

struct State {
    target: Target,
    ca: PathBuf,
    over_tls: AtomicBool,
    restarting: AtomicBool,
    aside: AtomicBool,
    ended: AtomicBool,
    turns: AtomicUsize,
    opened: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl State {
    fn connect(&self) -> Result<Session, String> {
        let tls = if self.over_tls.load(Ordering::SeqCst) {
            let ca = pem::certificates(&fs::read(&self.ca).unwrap()).unwrap();
            Tls::Verified { trust: Trust::Only(ca), check_host: true }
        } else {
            Tls::Off
        };
        let port = self.target.port.unwrap();
        let route = Route::Tcp { host: "127.0.0.1".into(), port, tls };
        session::open(&self.target, &route).map_err(|error| error.to_string())
    }

    fn work(&self) {
        let mut kept = Vec::new();
        while !self.ended.load(Ordering::SeqCst) {
            if self.restarting.load(Ordering::SeqCst) {
                kept.clear();
                self.aside.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            self.aside.store(false, Ordering::SeqCst);
            if let Err(why) = self.turn(&mut kept) {
                self.lost.lock().unwrap().push(why);
                kept.clear();
            }
            self.turns.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn turn(&self, kept: &mut Vec<Session>) -> Result<(), String> {
        let over_tls = self.over_tls.load(Ordering::SeqCst);
        // one from before there was TLS, as long as it lasts, and one over TLS
        while kept.len() < 1 + usize::from(over_tls) {
            kept.push(self.connect()?);
            self.opened.fetch_add(1, Ordering::SeqCst);
        }
        for conn in kept {
            let one: Option<u8> = conn.query_first("SELECT 1").map_err(|e| format!("kept: {e}"))?;
            assert_eq!(one, Some(1));
        }
        if over_tls {
            let mut new = self.connect().map_err(|why| format!("new: {why}"))?;
            let row: Option<(String, String)> = new
                .query_first("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
                .map_err(|e| format!("new: {e}"))?;
            assert!(row.is_some_and(|(_, cipher)| !cipher.is_empty()));
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
    }
}

impl Client {
    fn start(server: &Server) -> Self {
        let state = Arc::new(State {
            target: server.sandbox.target(),
            ca: server.dir().join("client/ca.pem"),
            over_tls: AtomicBool::new(false),
            restarting: AtomicBool::new(false),
            aside: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            lost: Mutex::default(),
        });
        let its = Arc::clone(&state);
        let client = Self { state, thread: Some(thread::spawn(move || its.work())) };
        client.turns_more(2);
        client
    }

    /// Waits until it has worked so many times more.
    fn turns_more(&self, more: usize) {
        let from = self.state.turns.load(Ordering::SeqCst);
        while self.state.turns.load(Ordering::SeqCst) < from + more {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn announce(&self) {
        self.state.restarting.store(true, Ordering::SeqCst);
        while !self.state.aside.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn all_clear(&self) {
        self.state.restarting.store(false, Ordering::SeqCst);
    }

    fn goes_over_tls(&self) {
        self.state.over_tls.store(true, Ordering::SeqCst);
        self.turns_more(3);
    }

    /// Nothing was lost so far.
    fn is_well(&self) {
        self.turns_more(3);
        assert_eq!(*self.state.lost.lock().unwrap(), Vec::<String>::new());
    }

    fn end(mut self) -> usize {
        self.state.ended.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        assert_eq!(*self.state.lost.lock().unwrap(), Vec::<String>::new());
        self.state.opened.load(Ordering::SeqCst)
    }
}

struct Lab {
    server: Server,
    program: PathBuf,
}

impl Lab {
    fn start(program: &Program, fault: &str) -> Self {
        let server = program.start(&Fault::named(fault).unwrap()).unwrap();
        Self { server, program: program.path() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.dir().join(name)
    }

    fn command(&self, words: &[&str], arguments: &[&str]) -> Command {
        let target = self.server.sandbox.target();
        let mut command = lab::mytls();
        command
            .args(words)
            .arg("--defaults-file")
            .arg(self.path("client.cnf"))
            .args(["-h", "127.0.0.1", "-P", &target.port.unwrap().to_string()])
            .arg("-S")
            .arg(target.socket.unwrap())
            .arg("--server-config")
            .arg(self.path("my.cnf"))
            .arg("--system-root")
            .arg(self.path("system"))
            .args(arguments)
            .env("XDG_STATE_HOME", self.server.base().join("state"));
        command
    }

    /// What it printed; on stderr as well.
    #[track_caller]
    fn says(&self, words: &[&str], arguments: &[&str], status: i32) -> (String, String) {
        said(&self.command(words, arguments).output().unwrap(), status)
    }

    /// With the server's program named, where it is tried.
    #[track_caller]
    fn tried(&self, word: &str, arguments: &[&str], status: i32) -> (String, String) {
        let program = self.program.display().to_string();
        let arguments = [arguments, &["--server", &program]].concat();
        self.says(&["config", word], &arguments, status)
    }

    fn option_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = vec![self.path("my.cnf")];
        let folder = fs::read_dir(self.path("conf.d"));
        all.extend(folder.into_iter().flatten().map(|entry| entry.unwrap().path()));
        all.sort();
        all.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// The leaf that is shown; `None` without TLS.
    fn served(&self) -> Option<String> {
        let port = self.server.sandbox.target().port.unwrap();
        let endpoint = Endpoint::new("127.0.0.1".to_owned(), port);
        let seen =
            wire::probe(&endpoint, &Trust::Unverified, Limits::default(), &mut |_| ()).unwrap();
        match seen.tls {
            TlsOffer::Established(handshake) => Some(handshake.chain[0].sha256.clone()),
            _ => None,
        }
    }

    /// New key and certificate of the same CA.
    fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let out = self.server.base().join(name);
        let ca = self.server.sandbox.target().ca_dir.unwrap();
        let output = lab::mytls()
            .args(["ca", "server", "--san", "127.0.0.1,localhost", "--key", "p256", "--ca-dir"])
            .arg(ca)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        said(&output, 0);
        let read = |name| fs::read(out.join(name)).unwrap();
        (read("server-cert.pem"), read("server-key.pem"))
    }

    /// What the server's variables say of its key.
    fn key_variable(&self) -> String {
        self.server.sql("SELECT @@GLOBAL.ssl_key").unwrap()
    }
}

#[track_caller]
fn said(output: &Output, status: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    (out, err)
}

/// What `patch` makes of the option files as they are, by the diff, in another folder.
fn patched(lab: &Lab, diff: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let copy = tempfile::tempdir().unwrap();
    let own = lab.server.dir().display().to_string();
    for (path, text) in lab.option_files() {
        let to = copy.path().join(path.strip_prefix(lab.server.dir()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }
    let head = |sign: &str| (format!("{sign} {own}/"), format!("{sign} "));
    let [from, to] = [head("---"), head("+++")];
    let diff = diff.replace(&from.0, &from.1).replace(&to.0, &to.1);
    fs::write(copy.path().join("x.diff"), diff).unwrap();
    let output = Command::new("patch")
        .args(["--binary", "--batch", "-p0", "-i", "x.diff"])
        .current_dir(copy.path())
        .output()
        .unwrap();
    said(&output, 0);
    let mut all = vec![copy.path().join("my.cnf")];
    all.extend(fs::read_dir(copy.path().join("conf.d")).unwrap().map(|e| e.unwrap().path()));
    all.sort();
    let home = |path: &Path| lab.path("").join(path.strip_prefix(copy.path()).unwrap());
    all.iter().map(|path| (home(path), fs::read(path).unwrap())).collect()
}

/// A restart that a command asks for: the command waits until the test has made it.
fn with_restarts(lab: &Lab, client: &Client, run: impl FnOnce(&str)) {
    let please = lab.server.base().join("please");
    let command = format!(
        "touch '{0}'; while test -e '{0}'; do sleep 0.02; done; ! test -e '{0}.failed'",
        please.display()
    );
    let failed = please.with_extension("failed");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                if please.exists() {
                    client.announce();
                    let _ = fs::remove_file(&failed);
                    if lab.server.sandbox.restart().is_err() {
                        fs::write(&failed, "").unwrap();
                    } else {
                        // the next login is over TLS: without it, it would be refused from now on
                        client.state.over_tls.store(true, Ordering::SeqCst);
                        client.all_clear();
                    }
                    fs::remove_file(&please).unwrap();
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        // also when a check fails in it
        let _end = AtTheEnd(&done);
        run(&command);
    });
}

struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn story(program: &Program) {
    let mysql = program.series == Series::MySql97;
    let lab = Lab::start(program, "no-tls");
    // a setting with a comment, an indentation and line ends of its own, in a folder that is included
    let main = lab.path("my.cnf");
    let folder = lab.path("conf.d");
    fs::create_dir(&folder).unwrap();
    let own = folder.join("50-own.cnf");
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = "# ours\r\n[mysqld]\r\n\ttls-version  =  TLSv1.2   # old clients\r\n\r\nmax_connections=55\r\n";
    let admin = format!("loose_admin_address = 127.0.0.1\r\nloose_admin_port = {admin}\r\n");
    fs::write(&own, format!("{text}{admin}")).unwrap();
    let before = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{before}\n!includedir {}\n", folder.display())).unwrap();
    let before = lab.option_files();
    let client = Client::start(&lab.server);
    assert_eq!(lab.served(), None);

    turned_on(&lab, &client, mysql, &before);
    let (key, other_key) = rotated(&lab, &client);
    let rotated = lab.served();
    fs::write(lab.path("tls/server-key.pem"), &key).unwrap();
    lab.says(&["config", "reload"], &["--untried"], 0);
    assert_eq!(lab.served(), rotated, "recovered");
    named_broken(&lab, &client, mysql, &other_key);

    // and the next start is as it should be, with nothing done
    client.announce();
    lab.server.sandbox.restart().unwrap();
    client.all_clear();
    assert_eq!(lab.served(), rotated);
    client.is_well();
    // one in the clear, then one over TLS besides, and two after each restart
    let opened = client.end();
    assert_eq!(opened, if mysql { 1 + 1 + 2 } else { 1 + 2 + 2 + 2 });

    replication_is_secured(&lab);
    if mysql {
        kept_by_the_server(&lab);
        the_other_port_has_its_own(&lab);
    }
    policy_is_met(&lab, mysql);

    // every byte comes back
    let (out, err) = lab.says(&["undo"], &["--yes"], 0);
    assert_eq!(lab.option_files(), before, "{out}{err}");
    if mysql {
        assert_eq!(lab.served(), None, "{out}{err}");
    }
    lab.server.sandbox.restart().unwrap();
    assert_eq!(lab.served(), None);
    let (out, err) = lab.says(&["undo"], &["--yes"], 0);
    assert!(format!("{out}{err}").contains("nothing to do"), "{out}{err}");
}

/// Off -> on.
fn turned_on(lab: &Lab, client: &Client, mysql: bool, before: &[(PathBuf, Vec<u8>)]) {
    let tls = lab.path("tls").display().to_string();
    let wish = [
        "--files",
        &tls,
        "--set",
        "tls_version=TLSv1.2,TLSv1.3",
        "--set",
        "require_secure_transport=ON",
    ];
    let (diff, _) = lab.says(&["config", "plan"], &wish, 0);
    assert_eq!(lab.option_files(), before, "a plan writes nothing");
    assert!(diff.contains("\ttls-version  =  TLSv1.2,TLSv1.3   # old clients\r\n"), "{diff}");
    let expected = patched(lab, &diff);
    let yes = [&wish[..], &["--yes"]].concat();
    if mysql {
        let (out, err) = lab.tried("apply", &yes, 0);
        assert!(out.contains("shows the certificate of"), "{out}{err}");
        for how in ["rules: good", "validate-config: good", "dry-start: good"] {
            assert!(err.contains(how), "{how}: {err}");
        }
    } else {
        with_restarts(lab, client, |command| {
            let yes = [&yes[..], &["--restart", command]].concat();
            let (out, err) = lab.tried("apply", &yes, 0);
            assert!(out.contains("restarted\n"), "{out}{err}");
            assert!(err.contains("dry-start: good"), "{err}");
        });
    }
    same(&lab.option_files(), &without_backups(&expected, lab), "as the diff said");
    client.is_well();
    assert!(lab.served().is_some());
    let off = lab.server.sql("SELECT @@GLOBAL.require_secure_transport").unwrap();
    assert_eq!(off, "1");
    client.goes_over_tls();
    let (out, _) = lab.tried("apply", &yes, 0);
    assert_eq!(out, "", "it is so already");
}

/// On -> rotated -> a broken file. The key that is right, and the one that lies there now.
fn rotated(lab: &Lab, client: &Client) -> (Vec<u8>, Vec<u8>) {
    let first = lab.served();
    let (certificate, key) = lab.issue("second");
    let (cert_file, key_file) = (lab.path("tls/server-cert.pem"), lab.path("tls/server-key.pem"));
    fs::write(&cert_file, &certificate).unwrap();
    fs::write(&key_file, &key).unwrap();
    assert_eq!(lab.served(), first, "on the disk alone");
    let (out, err) = lab.tried("reload", &[], 0);
    assert!(out.contains("shows the certificate of"), "{out}{err}");
    let second = lab.served();
    assert!(second != first && second.is_some());
    client.is_well();

    // rotated -> a broken file: mytls sees it, and so does the server
    let (_, other_key) = lab.issue("third");
    fs::write(&key_file, &other_key).unwrap();
    let (_, err) = lab.tried("reload", &[], 1);
    assert!(err.contains("rules: BAD") && err.contains("dry-start: BAD"), "{err}");
    assert!(err.contains("the server was not asked"), "{err}");
    let (_, err) = lab.tried("reload", &["--untried"], 1);
    assert!(err.contains("the certificate it has stays in use"), "{err}");
    assert_eq!(lab.served(), second);
    client.is_well();
    (key, other_key)
}

/// An option that is to name a broken file: refused by the trial, and by the server.
fn named_broken(lab: &Lab, client: &Client, mysql: bool, other_key: &[u8]) {
    let key_file = lab.path("tls/server-key.pem");
    let shown = lab.served();
    let broken = lab.path("tls/broken-key.pem");
    fs::write(&broken, other_key).unwrap();
    fs::set_permissions(&broken, fs::metadata(&key_file).unwrap().permissions()).unwrap();
    std::os::unix::fs::chown(&broken, None, Some(group(&key_file))).unwrap();
    let set = format!("ssl_key={}", broken.display());
    let now = lab.option_files();
    let (_, err) = lab.tried("apply", &["--set", &set, "--yes"], 1);
    assert!(err.contains("BAD") && err.contains("nothing was changed"), "{err}");
    assert_eq!(lab.option_files(), now);
    let variable = lab.key_variable();
    if mysql {
        let (out, err) = lab.tried("apply", &["--set", &set, "--yes", "--untried"], 1);
        assert!(err.contains("everything is as it was before"), "{out}{err}");
        assert!(err.contains("Unable to get private key"), "{err}");
    } else {
        with_restarts(lab, client, |command| {
            let all = ["--set", &set, "--yes", "--untried", "--restart", command];
            let (out, err) = lab.tried("apply", &all, 1);
            assert!(out.contains("put back as it was"), "{out}{err}");
            assert!(err.contains("is up again as it was before"), "{err}");
        });
    }
    assert_eq!(lab.option_files(), now, "with no backup left over");
    assert_eq!(lab.key_variable(), variable);
    assert_eq!(lab.served(), shown);
    client.is_well();
}

/// A source in the clear: what is printed makes it encrypted and verified, word for word.
fn replication_is_secured(lab: &Lab) {
    let mysql = lab.server.sandbox.series() == Series::MySql97;
    let source = if mysql {
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 9, SOURCE_USER = 'r', \
         SOURCE_SSL = 0 FOR CHANNEL 'c''1'"
    } else {
        "CHANGE MASTER 'c''1' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 9, MASTER_USER = 'r', \
         MASTER_SSL = 0"
    };
    lab.server.sql(source).unwrap();
    let json = |status| -> serde_json::Value {
        let (out, _) = lab.says(&["config", "channels"], &["--format", "json"], status);
        serde_json::from_str(&out).unwrap()
    };
    let seen = json(1);
    let channel = &seen["channels"][0];
    assert_eq!(
        (&channel["encrypted"], &channel["verifies"]),
        (&"no".into(), &"no".into()),
        "{seen}"
    );
    for statement in channel["statements"].as_array().unwrap() {
        let statement = statement.as_str().unwrap();
        // there is no source to be reached: it is not started
        if !statement.starts_with("START") {
            lab.server.sql(statement).unwrap();
        }
    }
    let seen = json(0);
    assert_eq!(seen["channels"][0]["verifies"], "yes", "{seen}");
    assert_eq!(seen["channels"][0]["statements"].as_array().unwrap().len(), 0);
    let reset = if mysql { "RESET REPLICA ALL" } else { "RESET SLAVE 'c''1' ALL" };
    lab.server.sql(reset).unwrap();
}

/// With SET PERSIST no file is written, and what was kept is taken out again.
fn kept_by_the_server(lab: &Lab) {
    let kept = "SELECT COUNT(*) FROM performance_schema.persisted_variables";
    let value = || lab.server.sql("SELECT @@GLOBAL.tls_version").unwrap();
    let before = (lab.option_files(), value(), lab.server.sql(kept).unwrap());
    let set = ["--set", "tls_version=TLSv1.3", "--persist", "--untried", "--yes"];
    let (out, err) = lab.tried("apply", &set, 0);
    assert!(err.contains("SET PERSIST tls_version = 'TLSv1.3';"), "{out}{err}");
    assert_eq!((value(), lab.server.sql(kept).unwrap()), ("TLSv1.3".into(), "1".into()));
    assert_eq!(lab.option_files(), before.0);
    // what is kept goes before the files, and so it is kept again
    let again = ["--set", "tls_version=TLSv1.2", "--untried", "--yes"];
    let (_, err) = lab.tried("apply", &again, 0);
    assert!(err.contains("was kept with SET PERSIST"), "{err}");
    assert_eq!(lab.server.sql(kept).unwrap(), "1");
    lab.says(&["undo"], &["--yes"], 0);
    assert_eq!(value(), "TLSv1.3");
    lab.says(&["undo"], &["--yes"], 0);
    assert_eq!((lab.option_files(), value(), lab.server.sql(kept).unwrap()), before);
}

/// The port for administration gets another certificate than the one for everybody.
fn the_other_port_has_its_own(lab: &Lab) {
    let (certificate, key) = lab.issue("admin");
    let names = ["tls/admin-cert.pem", "tls/admin-key.pem"].map(|name| lab.path(name));
    for (path, bytes) in names.iter().zip([&certificate, &key]) {
        fs::write(path, bytes).unwrap();
        std::os::unix::fs::chown(path, None, Some(group(&lab.path("tls/server-key.pem")))).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let before = lab.option_files();
    let set = names.map(|path| path.display().to_string());
    let [certificate, key] = ["cert", "key"].map(|name| format!("admin_ssl_{name}="));
    let (certificate, key) = (certificate + &set[0], key + &set[1]);
    let alone = ["--set", &certificate, "--set", &key, "--untried", "--yes"];
    let (_, err) = lab.tried("apply", &alone, 1);
    assert!(
        err.contains("admin_ssl_ca is not set") && err.contains("Invalid certificates"),
        "{err}"
    );
    assert_eq!(lab.option_files(), before);
    let ca = format!("admin_ssl_ca={}", lab.path("tls/ca.pem").display());
    let all = [&alone[..], &["--set", &ca]].concat();
    let (out, err) = lab.tried("apply", &all, 0);
    let shown = format!("shows the certificate of {}", set[0]);
    assert!(out.contains(&shown), "{shown}: {out}{err}");
    assert!(out.contains("tls/server-cert.pem"), "and the other port its own: {out}");
    lab.says(&["undo"], &["--yes"], 0);
    assert_eq!(lab.option_files(), before);
}

/// What a policy wants is not so, is written, and is so.
fn policy_is_met(lab: &Lab, mysql: bool) {
    let before = lab.option_files();
    let policy = ["--policy", "mozilla-intermediate"];
    let (out, _) = lab.says(&["config", "show"], &policy, 1);
    assert!(out.contains("NOT MET: of TLS 1.2, suites"), "{out}");
    let (snippet, _) = lab.says(&["config", "plan"], &[&policy[..], &["--snippet"]].concat(), 0);
    assert!(snippet.starts_with("[mysqld]\n") && snippet.contains("ssl_cipher = "), "{snippet}");
    lab.tried("apply", &[&policy[..], &["--untried", "--yes"]].concat(), 0);
    if !mysql {
        lab.server.sandbox.restart().unwrap();
    }
    let (out, _) = lab.says(&["config", "show"], &policy, 0);
    assert!(!out.contains("NOT MET"), "{out}");
    let (undone, err) = lab.says(&["undo"], &["--yes"], 0);
    assert_eq!(lab.option_files(), before, "{undone}{err}");
}

/// Backups lie beside what was replaced until it is taken back; they are no option files.
fn without_backups(expected: &[(PathBuf, Vec<u8>)], lab: &Lab) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = expected.to_vec();
    all.extend(lab.option_files().into_iter().filter(|(path, _)| is_backup(path)));
    all.sort();
    all
}

#[track_caller]
fn same(one: &[(PathBuf, Vec<u8>)], other: &[(PathBuf, Vec<u8>)], what: &str) {
    let shown = |all: &[(PathBuf, Vec<u8>)]| -> Vec<String> {
        let line = |(path, text): &(PathBuf, Vec<u8>)| {
            format!("{}: {}", path.display(), String::from_utf8_lossy(text))
        };
        all.iter().map(line).collect()
    };
    assert_eq!(shown(one), shown(other), "{what}");
}

fn is_backup(path: &Path) -> bool {
    path.to_string_lossy().contains(".bak-")
}

fn group(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).unwrap().gid()
}

#[test]
fn a_server_is_led_through_its_changes_and_back_and_no_session_is_lost() {
    let programs: Vec<Program> = lab::servers()
        .into_iter()
        .filter(|program| matches!(program.series, Series::MySql97 | Series::MariaDb1011))
        .collect();
    lab::side_by_side(&programs, story);
}

/// A key that only root may read: what is printed puts it where the server may, word for word.
fn placed_where_it_is_read(lab: &Lab) {
    let from = lab.server.base().join("own-key.pem");
    fs::copy(lab.path("tls/server-key.pem"), &from).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).unwrap();
    let (from, to) = (from.display().to_string(), lab.path("placed").display().to_string());
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        return; // the server runs as ourselves, and reads it
    }
    let arguments = [from.as_str(), "--to", &to];
    let (commands, err) = lab.says(&["config", "place"], &arguments, 1);
    assert!(err.contains("may not read"), "{err}");
    let output = Command::new("sh").args(["-e", "-c", &commands]).output().unwrap();
    said(&output, 0);
    let placed = format!("{to}/own-key.pem");
    let (nothing, err) = lab.says(&["config", "place"], &[&placed], 0);
    assert!(nothing.is_empty() && err.contains("may read it"), "{nothing}{err}");
    let mode = fs::metadata(&placed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

/// A file system that is taken away again.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_goes_wrong_with_the_files_is_said_and_leaves_nothing_behind() {
    let wanted = Series::MariaDb1011;
    let Some(program) = lab::servers().into_iter().find(|one| one.series == wanted) else { return };
    let lab = Lab::start(&program, "none");
    let main = lab.path("my.cnf");
    let sound = fs::read_to_string(&main).unwrap();
    let set = ["--set", "tls_version=TLSv1.3", "--yes", "--untried"];
    let refused = |text: &str, words: &str| {
        fs::write(&main, text).unwrap();
        let (out, err) = lab.says(&["config", "apply"], &set, 1);
        assert!(err.contains(words), "{words}: {out}{err}");
        assert_eq!(fs::read_to_string(&main).unwrap(), text, "{words}");
    };
    refused(&format!("{sound}[mysqld\n"), "this is no line of an option file");
    refused(&format!("port = 1\n{sound}"), "before the first group");
    refused(&format!("{sound}!include {}\n", main.display()), "includes itself");
    refused(&format!("{sound}!includedir /no/such\n"), "there is no folder /no/such");
    fs::write(&main, "[client]\nport = 1\n").unwrap();
    let (_, err) = lab.says(&["config", "apply"], &set, 3);
    assert!(err.contains("no option stands under [mysqld]"), "{err}");

    // changed by somebody else between the look and the write
    fs::write(&main, &sound).unwrap();
    let facts = gather(&lab.server.sandbox.target(), &Cancel::default(), &mut |_| ());
    let wish = vec![("tls_version".to_owned(), "TLSv1.3".to_owned())];
    let edit = edit(&facts, &wish, false).unwrap();
    let theirs = format!("{sound}max_connections = 44\n");
    fs::write(&main, &theirs).unwrap();
    let file = lab.server.base().join("journal.jsonl");
    let done = carry_out(&edit, None, &facts, &file, &mut |_| ());
    assert!(done.error.unwrap().contains("was changed by somebody else since it was read"));
    assert_eq!(fs::read_to_string(&main).unwrap(), theirs);
    let noted = journal::read(&file).unwrap();
    assert!(noted.iter().all(|entry| entry.state == Some(journal::State::Undone)), "{noted:?}");

    // a link stays one, and what it leads to is written
    let real = lab.path("real.cnf");
    fs::write(&real, &sound).unwrap();
    fs::remove_file(&main).unwrap();
    std::os::unix::fs::symlink("real.cnf", &main).unwrap();
    let (_, err) = lab.says(&["config", "apply"], &set, 0);
    assert!(err.contains("is a link and stays one"), "{err}");
    assert!(fs::symlink_metadata(&main).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("tls_version = TLSv1.3"));
    lab.says(&["undo"], &["--yes"], 0);
    assert_eq!(fs::read_to_string(&real).unwrap(), sound);
    fs::remove_file(&main).unwrap();
    fs::write(&main, &sound).unwrap();

    placed_where_it_is_read(&lab);

    // marked read-only, and on a disk that is full
    let mode = |mode| fs::set_permissions(&main, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o444);
    let (_, err) = lab.says(&["config", "apply"], &set, 1);
    assert!(err.contains("marked read-only") && err.contains("chmod u+w"), "{err}");
    mode(0o644);
    let disk = lab.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&disk)
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let _disk = Disk(disk.clone());
    fs::write(&main, format!("{sound}!includedir {}\n", disk.display())).unwrap();
    let _ = fs::write(disk.join("filler"), vec![0; 64 << 10]);
    let now = fs::read_to_string(&main).unwrap();
    // one file that can be written and one that cannot: neither is
    let both = [&set[..], &["--set", "ssl_ca=/etc/ssl/ca.pem"]].concat();
    let (out, err) = lab.says(&["config", "apply"], &both, 1);
    assert!(err.contains("the disk is full"), "{out}{err}");
    assert_eq!(fs::read_to_string(&main).unwrap(), now);
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["filler"]);
}

#[test]
fn each_help_fits_one_screen_and_has_an_example() {
    for command in ["show", "plan", "apply", "reload", "place", "channels"] {
        let output = lab::mytls().args(["config", command, "--help"]).output().unwrap();
        let (help, _) = said(&output, 0);
        assert!(help.lines().count() <= 40, "{command}: {}", help.lines().count());
        assert!(help.contains("Example") && help.contains("Exit status"), "{command}");
    }
}
