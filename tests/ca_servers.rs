//! The private CA on real servers: a rotation with clients connecting all the time, revocation, a CA
//! that somebody else made, and every kind of key.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use common::lab::{self, Program, Server, side_by_side};
use mytls::apply::register;
use mytls::ca::Catalog;
use mytls::ca::crl::Reason;
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::{AccountName, Flavor, Require, Target, Version};
use mytls::remedy::statement::{Dialect, Form};
use mytls::sandbox::{Fault, Series};
use mytls::secret::Secret;
use mytls::wire::{ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust, login};
use mytls::x509::{Certificate, OneLine, pem};
use serde_json::Value;

/// The servers of these series, each started without a fault.
fn started(series: &[Series]) -> Vec<Program> {
    let mut servers = lab::servers();
    servers.retain(|program| series.contains(&program.series));
    servers
}

fn start(program: &Program) -> Server {
    program.start(&Fault::none()).unwrap_or_else(|error| panic!("{}: {error}", program.series))
}

/// `mytls` with a home of its own, where it keeps its journal.
fn mytls(server: &Server, arguments: &[&str]) -> Command {
    let mut command = lab::mytls();
    command.env("HOME", server.base()).env_remove("XDG_STATE_HOME").args(arguments);
    if server.sandbox.series() == Series::MariaDb118 {
        command.env("MYTLS_CA_PASSPHRASE", "correct horse");
    }
    command
}

fn ok(server: &Server, arguments: &[&str]) -> String {
    let output = mytls(server, arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a client has.
#[derive(Clone)]
struct Files {
    trust: PathBuf,
    /// The folder of `client-cert.pem` and `client-key.pem`.
    own: PathBuf,
}

impl Files {
    fn certificate(&self) -> PathBuf {
        self.own.join("client-cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.own.join("client-key.pem")
    }
}

/// One login over TCP, the server verified by its CA and its name.
fn attempt(
    server: &Server,
    user: &str,
    password: &Secret,
    files: &Files,
) -> Result<String, String> {
    if server.sandbox.series() == Series::MySql56 {
        return attempt_old(server, user, password, files);
    }
    let trust = Trust::Only(pem::certificates(&fs::read(&files.trust).unwrap()).unwrap());
    let identity = ClientIdentity::load(&files.certificate(), &files.key()).unwrap();
    let tls = Tls { identity: Some(&identity), ..Tls::new(&trust) };
    let endpoint = Endpoint::new("127.0.0.1", server.sandbox.target().port());
    match login(&endpoint, &Login { user, password, tls: Some(tls) }, Limits::default()) {
        Ok(Outcome::LetIn { account, tls: Some(_) }) => Ok(account),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// yaSSL speaks TLS 1.0 and nothing that today's OpenSSL would without being told to.
fn attempt_old(
    server: &Server,
    user: &str,
    password: &Secret,
    files: &Files,
) -> Result<String, String> {
    let lenient = server.base().join("lenient.cnf");
    fs::write(
        &lenient,
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\n\
         MinProtocol = TLSv1\nCipherString = AES256-SHA:@SECLEVEL=0\n\
         Options = UnsafeLegacyServerConnect\n",
    )
    .unwrap();
    let output = Command::new(lab::client())
        .args(["--no-defaults", "-h", "127.0.0.1", "--protocol=TCP", "--batch", "-N"])
        .args(["-u", user, "-P", &server.sandbox.target().port().to_string()])
        .args(["--ssl-verify-server-cert", "--tls-version=TLSv1.0", "-e", "SELECT CURRENT_USER()"])
        .arg(format!("--ssl-ca={}", files.trust.display()))
        .arg(format!("--ssl-cert={}", files.certificate().display()))
        .arg(format!("--ssl-key={}", files.key().display()))
        .env("OPENSSL_CONF", &lenient)
        .env("MYSQL_PWD", password.expose())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(text(&output.stdout).trim().to_owned());
    }
    Err(text(&output.stderr))
}

impl Server {
    fn password(&self, user: &str) -> Secret {
        let accounts = self.sandbox.accounts();
        accounts.into_iter().find(|(name, _)| name.user == user).unwrap().1
    }

    fn is_let_in(&self, user: &str, files: &Files) -> Result<(), String> {
        let account = attempt(self, user, &self.password(user), files)?;
        assert_eq!(account, format!("{user}@%"));
        Ok(())
    }

    /// Has it read its files again; the one that cannot is restarted.
    fn reload(&self) {
        let series = self.sandbox.series();
        let statement = match series {
            Series::MySql56 => return self.sandbox.restart().unwrap(),
            Series::MySql97 => "ALTER INSTANCE RELOAD TLS",
            Series::MariaDb1011 | Series::MariaDb118 => "FLUSH SSL",
        };
        self.sql(statement).unwrap_or_else(|error| panic!("{series}: {error}"));
    }

    fn tls(&self, name: &str) -> PathBuf {
        self.dir().join("tls").join(name)
    }

    /// Writes a file that the server reads.
    fn give(&self, name: &str, text: &str) -> PathBuf {
        let path = self.tls(name);
        fs::write(&path, text).unwrap();
        if !name.contains("key") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        path
    }
}

// --- rotation ---------------------------------------------------------------------------------

/// A client that connects anew all the time, with the files that it has at that moment.
struct Client {
    user: &'static str,
    files: RwLock<Files>,
    logins: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Client {
    fn run(&self, server: &Server, stop: &AtomicBool) {
        let password = server.password(self.user);
        while !stop.load(Ordering::Relaxed) {
            // read before the login, as a client does that has the old files in hand
            let files = self.files.read().unwrap().clone();
            if let Err(why) = attempt(server, self.user, &password, &files) {
                self.failures.lock().unwrap().push(why);
            }
            self.logins.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn switch(&self, change: impl FnOnce(&mut Files)) {
        change(&mut self.files.write().unwrap());
    }

    /// Waits until it has logged in with what it has now.
    fn settle(&self) {
        let from = self.logins.load(Ordering::Relaxed);
        while self.logins.load(Ordering::Relaxed) < from + 3 {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_rotation_locks_nobody_out_and_survives_being_killed() {
    let servers = started(&[Series::MariaDb1011, Series::MariaDb118, Series::MySql97]);
    side_by_side(&servers, |program| {
        let server = start(program);
        let counted = rotate_under_load(&server);
        eprintln!("{}: rotation: {counted}", program.series);
    });
}

fn rotate_under_load(server: &Server) -> String {
    let (old, new) = (server.dir().join("ca"), server.base().join("ca2"));
    let own = Files { trust: server.dir().join("client/ca.pem"), own: old.join("clients/app") };
    let client = |user| Client {
        user,
        files: RwLock::new(own.clone()),
        logins: AtomicUsize::new(0),
        failures: Mutex::default(),
    };
    // app needs just its subject and issuer, web any certificate of a CA that is trusted
    let clients = [client("app"), client("app"), client("web")];
    let stop = AtomicBool::new(false);
    let mut killed = 0;
    thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| client.run(server, &stop));
        }
        // the scope would wait for ever for clients that nobody stops
        let driven = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            clients[0].settle();
            killed = drive(server, &old, &new, &clients);
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = driven {
            std::panic::resume_unwind(panic);
        }
    });
    let failures: Vec<String> =
        clients.iter().flat_map(|client| client.failures.lock().unwrap().clone()).collect();
    let logins: usize = clients.iter().map(|client| client.logins.load(Ordering::Relaxed)).sum();
    assert!(failures.is_empty(), "{} of {logins}: {:?}", failures.len(), failures.first());

    let refused = server.is_let_in("web", &Files { trust: new.join("ca.pem"), ..own }).unwrap_err();
    assert!(refused.contains("HandshakeRefused"), "the old certificate: {refused}");
    let required = server.sql("SHOW CREATE USER 'app'@'%'").unwrap();
    assert!(required.contains("issuing CA 2") && required.contains("/CN=app"), "{required}");
    // issued once more by the new CA, an account keeps the subject that it is held to
    let again = server.base().join("again");
    let app = ["ca", "client", "--user", "app", "--ca-dir", shown(&new), "--out", shown(&again)];
    let said = ok(server, &app);
    assert!(said.contains("the subject is the one that its certificate had before"), "{said}");
    server.is_let_in("app", &Files { trust: new.join("ca.pem"), own: again }).unwrap();
    let journal = server.base().join(".local/state/mytls/journal.jsonl");
    assert!(read(&journal).contains("CA rotation"), "{}", read(&journal));
    format!("{logins} logins of {} clients, none failed; killed {killed} times", clients.len())
}

/// Goes from the first step to the last, with mytls killed in the midst of each; the people's part
/// is played. Returns how often it was killed.
fn drive(server: &Server, old: &Path, new: &Path, clients: &[Client]) -> usize {
    let to = ["--to", shown(new)];
    let defaults = server.dir().join("client.cnf");
    let target = server.sandbox.target();
    let port = target.port().to_string();
    let named = ["--defaults-file", shown(&defaults), "-h", "127.0.0.1", "-P", &port];
    let (socket, config) = (target.socket.unwrap(), target.server_config.unwrap());
    let more = ["-S", shown(&socket), "--server-config", shown(&config)];
    // one goes to a CA below a root, whose keys are under a passphrase
    let kind = match server.sandbox.series() {
        Series::MariaDb118 => "--intermediate",
        _ => "--no-passphrase",
    };
    let start =
        [&["ca", "rotate", "start", "--ca-dir", shown(old), kind], &to[..], &named, &more].concat();
    let plan = ok(server, &start);
    assert!(plan.contains("Nothing was done") && !new.exists(), "{plan}");
    ok(server, &[&start[..], &["--yes"]].concat());

    let status = || -> Value {
        let said = ok(server, &["ca", "rotate", "status", "--to", shown(new), "--format", "json"]);
        serde_json::from_str(&said).unwrap()
    };
    let next = |more: &[&'static str]| [&["ca", "rotate", "next"], &to[..], more].concat();
    let (mut killed, mut rounds) = (0, 0);
    while let Some(step) = status()["next"].as_str().map(str::to_owned) {
        rounds += 1;
        assert!(rounds < 40, "it does not get beyond {step}");
        if status()["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["step"] == step.as_str() && one["by_people"] == true)
        {
            play_people(&step, new, clients);
            let by_accident = mytls(server, &next(&["--yes"])).output().unwrap();
            assert_eq!(by_accident.status.code(), Some(1), "{step} takes --clients-ready");
            ok(server, &next(&["--clients-ready"]));
            continue;
        }
        let began = Instant::now();
        let shown = ok(server, &next(&[]));
        assert!(shown.contains("Nothing was done"), "{step}: {shown}");
        if ["accounts-bound", "server-drops-old"].contains(&step.as_str()) {
            // its client shows the certificate of app
            assert!(
                shown.contains("! web@% (REQUIRE X509) is in no list of the old CA"),
                "{shown}"
            );
        }
        let look = began.elapsed();
        // to do it takes the look that showing takes, then the work, then another look
        for percent in [[80, 110, 140], [95, 120, 150], [105, 130, 170]][rounds % 3] {
            let moment = look * percent / 100;
            killed += usize::from(kill_after(server, &next(&["--yes"]), moment));
            if status()["next"] != step.as_str() {
                break;
            }
        }
        if status()["next"] == step.as_str() {
            ok(server, &next(&["--yes"]));
        }
        clients.iter().for_each(Client::settle);
    }
    let over = ok(server, &next(&[]));
    assert!(over.contains("the rotation is over"), "{over}");
    killed
}

/// yaSSL reads its files when it starts: each step that is about the server ends with a restart, which
/// the DBA makes, and nobody is locked out between them.
#[test]
fn a_server_that_cannot_reload_is_rotated_with_restarts() {
    for program in started(&[Series::MySql56]) {
        let server = start(&program);
        let old = server.dir().join("ca");
        let files =
            Files { trust: server.dir().join("client/ca.pem"), own: old.join("clients/app") };
        let restarts = step_through(&server, &old, files, &["app", "web"]);
        assert!((2..=4).contains(&restarts), "{restarts} restarts");
        eprintln!("mysql-5.6: rotation: {restarts} restarts");
    }
}

/// A server with `ssl_crl` wants a list of every CA: those of the new one come with it, and those of the
/// old one go.
#[test]
fn lists_of_what_is_revoked_go_along_with_a_rotation() {
    let servers = started(&[Series::MariaDb1011, Series::MySql97]);
    side_by_side(&servers, |program| {
        let server = start(program);
        let own = own_ca(&server, &["app"]);
        let files = Files { trust: own.join("ca.pem"), own: server.base().join("app") };
        read_lists(&server, &own);
        let restarts = step_through(&server, &own, files, &["web"]);
        assert_eq!(restarts, 0);
        let lists = read(&server.tls("crl.pem"));
        assert_eq!(lists.matches("BEGIN X509 CRL").count(), 1, "the old CA's is gone");
    });
}

/// A CA of one's own, whose key is at hand, for the server and these clients.
fn own_ca(server: &Server, users: &[&str]) -> PathBuf {
    let ca = server.base().join("own");
    let dir = ["--ca-dir", shown(&ca)];
    ok(server, &[&["ca", "create"], &dir[..], &["--name", "Own CA", "--no-passphrase"]].concat());
    for user in users {
        let out = server.base().join(user);
        let client = ["ca", "client", "--user", user, "--out", shown(&out)];
        ok(server, &[&client[..], &dir].concat());
    }
    let [certificate, key, trusted] =
        ["server-cert.pem", "server-key.pem", "ca.pem"].map(|name| server.tls(name));
    let files = ["--cert-file", shown(&certificate), "--key-file", shown(&key)];
    let names = ["--ca-file", shown(&trusted), "--san", "127.0.0.1,localhost"];
    ok(server, &[&["ca", "server"], &dir[..], &files, &names].concat());
    ca
}

/// From here on the server reads the lists of this CA.
fn read_lists(server: &Server, ca: &Path) {
    ok(server, &["ca", "crl", "--ca-dir", shown(ca)]);
    let list = server.give("crl.pem", &read(&ca.join("crl.pem")));
    let config = server.dir().join("my.cnf");
    let lines = documented_lines().replace("/etc/mysql/tls/crl.pem", shown(&list));
    fs::write(&config, format!("{}\n{lines}", read(&config))).unwrap();
    server.sandbox.restart().unwrap();
}

/// What docs/ca.md says to write into the server's option file, to the letter.
fn documented_lines() -> String {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ca.md"));
    let block = page.split("```").find(|block| block.contains("ssl_crl = ")).unwrap();
    let lines = block.split_once('\n').unwrap().1.to_owned();
    assert_eq!(lines, "[mysqld]\nssl_crl = /etc/mysql/tls/crl.pem\n");
    lines
}

/// A rotation from its first step to its last, with a login of each user after every one; returns how
/// often the server had to be restarted.
fn step_through(server: &Server, old: &Path, mut files: Files, users: &[&str]) -> usize {
    let new = server.base().join("ca2");
    let (defaults, target) = (server.dir().join("client.cnf"), server.sandbox.target());
    let (socket, config) = (target.socket.unwrap(), target.server_config.unwrap());
    let to = ["--to", shown(&new)];
    let named = ["--defaults-file", shown(&defaults), "-S", shown(&socket), "--server-config"];
    let begin = ["ca", "rotate", "start", "--ca-dir", shown(old), "--no-passphrase", "--yes"];
    ok(server, &[&begin[..], &to, &named, &[shown(&config)]].concat());
    let before = files.own.clone();
    let (mut restarts, mut rounds) = (0, 0);
    loop {
        let status = [&["ca", "rotate", "status", "--format", "json"], &to[..]].concat();
        let status: Value = serde_json::from_str(&ok(server, &status)).unwrap();
        let Some(step) = status["next"].as_str() else { break };
        rounds += 1;
        assert!(rounds < 40, "it does not get beyond {step}");
        match step {
            "clients-trust-both" => files.trust = new.join("rotation/ca-both.pem"),
            "clients-switched" => files.own = new.join("clients/app"),
            "clients-drop-old" => files.trust = new.join("ca.pem"),
            _ => {}
        }
        let word = if step.starts_with("clients-") { "--clients-ready" } else { "--yes" };
        let next = [&["ca", "rotate", "next", word], &to[..]].concat();
        let output = mytls(server, &next).output().unwrap();
        if output.status.code() == Some(1) {
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains("restart"), "{}: {step}: {said}", server.sandbox.series());
            server.sandbox.restart().unwrap();
            restarts += 1;
        }
        for user in users {
            server.is_let_in(user, &files).unwrap_or_else(|why| panic!("{step}: {user}: {why}"));
        }
    }
    assert!(
        server.is_let_in("web", &Files { own: before, ..files }).is_err(),
        "the old certificate"
    );
    restarts
}

fn play_people(step: &str, new: &Path, clients: &[Client]) {
    let both = new.join("rotation/ca-both.pem");
    for client in clients {
        client.switch(|files| match step {
            "clients-trust-both" => files.trust.clone_from(&both),
            "clients-switched" => files.own = new.join("clients/app"),
            "clients-drop-old" => files.trust = new.join("ca.pem"),
            other => panic!("{other}"),
        });
        // one after the other, so that old and new are at work side by side
        clients.iter().for_each(Client::settle);
    }
}

/// Kills it some time after its start; `false` when it had ended by then.
fn kill_after(server: &Server, arguments: &[&str], moment: Duration) -> bool {
    let mut child = mytls(server, arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(moment);
    let ended = child.try_wait().unwrap().is_some();
    let _ = child.kill();
    child.wait().unwrap();
    !ended
}

// --- revocation -------------------------------------------------------------------------------

#[test]
fn who_is_revoked_is_refused_and_the_others_are_not() {
    let servers = started(&[Series::MariaDb1011, Series::MariaDb118, Series::MySql97]);
    side_by_side(&servers, |program| {
        let server = start(program);
        revoke(&server);
    });
}

fn revoke(server: &Server) {
    let series = server.sandbox.series();
    let ca = server.base().join("own");
    let dir = ["--ca-dir", shown(&ca)];
    // lists are needed of the root and of the CA below it
    let name = ["--name", "Own CA", "--intermediate", "--no-passphrase"];
    ok(server, &[&["ca", "create"], &dir[..], &name].concat());
    let [leaver, mover, retired, stayer] = ["leaver", "mover", "retired", "stayer"].map(|user| {
        let out = server.base().join(user);
        ok(
            server,
            &[&["ca", "client"], &dir[..], &["--user", user, "--out", shown(&out)]].concat(),
        );
        Files { trust: ca.join("ca.pem"), own: out }
    });
    // MySQL 9.7 looks at its own certificate, too, when it reloads: lists of its CA are needed
    let [certificate, key, trusted] =
        ["server-cert.pem", "server-key.pem", "ca.pem"].map(|name| server.tls(name));
    let files = ["--cert-file", shown(&certificate), "--key-file", shown(&key)];
    let names = ["--ca-file", shown(&trusted), "--san", "127.0.0.1"];
    ok(server, &[&["ca", "server"], &dir[..], &files, &names].concat());
    let list = server.tls("crl.pem");
    ok(server, &[&["ca", "crl"], &dir[..]].concat());
    server.give("crl.pem", &read(&ca.join("crl.pem")));
    if series == Series::MySql97 {
        server.sql(&format!("SET PERSIST ssl_crl = '{}'", list.display())).unwrap();
        server.reload();
    } else {
        // no variable of it can be set: it takes one restart, and reloads from then on
        let config = server.dir().join("my.cnf");
        fs::write(&config, format!("{}\nssl_crl = {}\n", read(&config), list.display())).unwrap();
        server.sandbox.restart().unwrap();
    }
    for files in [&leaver, &mover, &retired, &stayer] {
        server.is_let_in("web", files).unwrap_or_else(|why| panic!("{series}: before: {why}"));
    }

    ok(server, &[&["ca", "revoke"], &dir[..], &["leaver", "--reason", "key-compromise"]].concat());
    server.is_let_in("web", &leaver).unwrap_or_else(|why| panic!("{series}: not deployed: {why}"));
    let owner = |path: &Path| fs::metadata(path).map(|about| (about.uid(), about.mode())).unwrap();
    let before = owner(&list);
    ok(server, &[&["ca", "crl"], &dir[..], &["--deploy", shown(&list)]].concat());
    server.reload();
    let is_refused = |files| {
        assert_eq!(owner(&list), before, "{series}: the server can read it as before");
        let refused = server.is_let_in("web", files).unwrap_err();
        assert!(refused.contains("certificate revoked"), "{series}: {refused}");
        server.is_let_in("web", &stayer).unwrap_or_else(|why| panic!("{series}: the other: {why}"));
    };
    is_refused(&leaver);

    let said =
        ok(server, &[&["ca", "revoke", "retired"], &dir[..], &["--deploy", shown(&list)]].concat());
    assert!(said.contains(&format!("{} (before: ", list.display())), "{said}");
    server.reload();
    is_refused(&retired);

    // in the wizard: the plan lays the list into the server's own file, and has it read again
    server.is_let_in("web", &mover).unwrap_or_else(|why| panic!("{series}: not yet: {why}"));
    let target = Target { ca_dir: Some(ca.clone()), ..server.sandbox.target() };
    let facts = gather(&target, &Cancel::default(), &mut |_| ());
    let entries = Catalog::read(&ca).unwrap().entries;
    let entry = entries.iter().find(|entry| entry.names == ["mover"]).unwrap();
    let plan = register::revocation(&facts, &entry.serial, Reason::KeyCompromise).unwrap();
    assert!(plan.writes.iter().any(|write| write.path == list), "{series}: {:?}", plan.warnings);
    mytls::apply::run(&plan, Some(&server.sandbox), &mut |_| ()).unwrap();
    is_refused(&mover);
    is_refused(&retired);
    if series == Series::MySql97 {
        // what was set while it ran is there when it starts
        server.sandbox.restart().unwrap();
        is_refused(&mover);
    }
}

// --- the accounts of a server ----------------------------------------------------------------------

#[test]
fn every_account_of_a_server_gets_a_certificate_that_lets_it_in() {
    let servers = started(&Series::ALL);
    side_by_side(&servers, |program| {
        let server = start(program);
        accounts(&server);
    });
}

fn accounts(server: &Server) {
    let series = server.sandbox.series();
    let ca = server.dir().join("ca");
    let config = server.dir().join("client.cnf");
    let asked = ["ca", "clients", "--defaults-file", shown(&config), "--ca-dir", shown(&ca)];
    server.sql("CREATE USER 'o''neil'@'%' IDENTIFIED BY 'x'").unwrap();
    server.sql("CREATE USER 'batch'@'10.0.%' IDENTIFIED BY 'x'").unwrap();
    server.sql("CREATE USER 'net'@'10.1.0.0/255.255.0.0' IDENTIFIED BY 'x'").unwrap();
    let offered = ok(server, &asked);
    assert!(
        offered.contains("would get a certificate") && offered.contains("o'neil@%: "),
        "{offered}"
    );
    assert!(!ca.join("clients/web").exists(), "nothing is issued before it is said so");
    let out = server.base().join("all");
    let issued = ok(server, &[&asked[..], &["--yes", "--out", shown(&out)]].concat());
    // the account app had one from the beginning
    assert!(issued.contains("app has a certificate until"), "{series}: {issued}");
    for name in ["app", "web", "batch@10.0.%", "net@10.1.0.0_255.255.0.0"] {
        assert!(out.join(name).join("client-key.pem").exists(), "{series}: {name}: {issued}");
    }
    // yaSSL sends its own certificate and nothing of the chain: there clients need all of it
    let trust = server.dir().join("client/ca.pem");
    server.is_let_in("web", &Files { trust, own: out.join("web") }).unwrap();
    let again = ok(server, &[&asked[..], &["--yes"]].concat());
    assert!(again.contains("0 accounts got a certificate"), "{again}");
}

// --- a server's names, and its key for yaSSL --------------------------------------------------------

#[test]
fn a_server_is_asked_for_its_names_and_for_the_keys_it_can_use() {
    let servers = started(&[Series::MySql56, Series::MariaDb1011]);
    side_by_side(&servers, |program| {
        let server = start(program);
        let (ca, config) = (server.dir().join("ca"), server.dir().join("client.cnf"));
        let out = server.base().join("new");
        let asked = ["ca", "server", "--defaults-file", shown(&config), "--ca-dir", shown(&ca)];
        let said = ok(&server, &[&asked[..], &["--out", shown(&out)]].concat());
        assert!(
            said.contains("names taken from the server: ") && said.contains("localhost"),
            "{said}"
        );
        let key = read(&out.join("server-key.pem"));
        let yassl = server.sandbox.series() == Series::MySql56;
        assert_eq!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"), yassl, "{said}");
        let mut ed25519 = mytls(&server, &asked);
        let refused = ed25519.args(["--key", "ed25519", "--out", shown(&out)]).output().unwrap();
        assert_eq!(refused.status.success(), !yassl, "{}", text(&refused.stderr));
        if yassl {
            assert!(text(&refused.stderr).contains("yaSSL"), "{}", text(&refused.stderr));
            assert_eq!(read(&out.join("server-key.pem")), key, "nothing was written");
        }

        // a CA for it has a key that it can use, whether it is asked or not
        let own = server.base().join("asked");
        let create = ["ca", "create", "--no-passphrase", "--name", "Own CA"];
        let target = ["--defaults-file", shown(&config)];
        let made = ok(&server, &[&create[..], &target, &["--ca-dir", shown(&own)]].concat());
        assert!(made.contains(if yassl { "RSA 2048" } else { "EC P-256" }), "{made}");
        let curve = server.base().join("curve");
        ok(&server, &[&create[..], &["--ca-dir", shown(&curve)]].concat());
        for (ca, can) in [(&own, true), (&curve, !yassl)] {
            for command in ["server", "clients"] {
                let asked = ["ca", command, "--ca-dir", shown(ca), "--out", shown(&out)];
                let output = mytls(&server, &[&asked[..], &target].concat()).output().unwrap();
                let why = text(&output.stderr);
                assert_eq!(output.status.success(), can, "{command}: {why}");
                assert!(can || why.contains("ca create --for mysql-5.6"), "{command}: {why}");
            }
        }
        let (newer, out) =
            (["--for", "mysql-8.4"], ["--out", shown(&out), "--ca-dir", shown(&own)]);
        let said = ok(&server, &[&["ca", "server"], &target[..], &newer, &out].concat());
        assert!(said.contains("--for counts: the key is for MySQL 8.4"), "{said}");
    });
}

#[test]
fn what_yassl_reads_is_renewed_in_the_form_it_reads() {
    for program in started(&[Series::MySql56]) {
        let server = start(&program);
        let (ca, password) = (server.dir().join("ca"), server.password("web"));
        let (certificate, key) = (server.tls("server-cert.pem"), server.tls("server-key.pem"));
        let files = ["--cert-file", shown(&certificate), "--key-file", shown(&key)];
        let asked = ["ca", "server", "--ca-dir", shown(&ca), "--for", "mysql-5.6"];
        ok(&server, &[&asked[..], &files, &["--san", "127.0.0.1,localhost"]].concat());
        let cancel = Cancel::default();
        let facts = gather(&server.sandbox.target(), &cancel, &mut |_| ());
        let store = mytls::ca::Store::open(&ca).unwrap();
        let entries = store.list().unwrap();
        let server_entry = entries.iter().rfind(|entry| entry.kind == mytls::ca::Kind::Server);
        drop(store);
        let serial = &server_entry.unwrap().serial;
        let plan = register::renewal(&facts, serial, false).unwrap();
        mytls::apply::run(&plan, Some(&server.sandbox), &mut |_| ()).unwrap();
        assert!(read(&key).starts_with("-----BEGIN RSA PRIVATE KEY-----"));
        let (trust, own) =
            (server.dir().join("client/ca.pem"), server.dir().join("ca/clients/app"));
        attempt(&server, "web", &password, &Files { trust, own }).unwrap();
    }
}

// --- a CA that somebody else made ---------------------------------------------------------------

/// How the name of the CA is written: DC is always an IA5String.
const NAMES: [(&str, &str); 2] = [("UTF8String", "utf8only"), ("BMPString", "MASK:0x800")];

#[test]
fn what_an_imported_ca_issues_is_let_in_by_the_issuer_as_mytls_writes_it() {
    let servers = lab::servers();
    let results = side_by_side(&servers, |program| {
        let server = start(program);
        NAMES.map(|(kind, mask)| imported(&server, kind, mask))
    });
    for (program, [plain, wide]) in servers.iter().zip(results) {
        assert_eq!(plain, Ok(()), "{}", program.series);
        eprintln!("{}: issuer in BMPString: {wide:?}", program.series);
        assert_eq!(wide, Ok(()), "{}", program.series);
    }
}

fn imported(server: &Server, kind: &str, mask: &str) -> Result<(), String> {
    let base = server.base().join(kind);
    fs::create_dir(&base).unwrap();
    let at = |name: &str| base.join(name);
    let folder = base.display();
    let config = format!(
        "[req]\nstring_mask = {mask}\ndistinguished_name = name\nprompt = no\n\
         [name]\n1.DC = com\n2.DC = example\n1.OU = a\n2.OU = b\nCN = AD CA\n\
         [ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {folder}\ndatabase = {folder}/index\n\
         policy = any\nrand_serial = yes\ndefault_md = sha256\nx509_extensions = v3\n\
         [any]\ndomainComponent = optional\norganizationalUnitName = optional\n\
         commonName = supplied\n\
         [v3]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\n\
         subjectKeyIdentifier = hash\n"
    );
    fs::write(at("openssl.cnf"), config).unwrap();
    fs::write(at("index"), "").unwrap();
    let config = at("openssl.cnf");
    let config = shown(&config);
    let (key, request, certificate) = (at("ad-key.pem"), at("ad.csr"), at("ad.pem"));
    let (key_file, request) = (shown(&key), shown(&request));
    let new = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", config];
    openssl(&[&new[..], &["-keyout", key_file, "-out", request]].concat());
    // for long: yaSSL takes no certificate in the minute in which it begins
    let days = ["-startdate", "20260101000000Z", "-enddate", "20400101000000Z"];
    let sign = ["ca", "-selfsign", "-batch", "-notext", "-preserveDN"];
    let files = ["-config", config, "-keyfile", key_file, "-in", request];
    openssl(&[&sign[..], &days, &files, &["-out", shown(&certificate)]].concat());
    let name = openssl(&[
        "x509",
        "-in",
        shown(&certificate),
        "-noout",
        "-subject",
        "-nameopt",
        "show_type,sep_comma_plus",
    ]);
    assert!(name.contains(&format!("CN={}:AD CA", kind.to_uppercase())), "{name}");

    let ca = at("ca");
    let dir = ["--ca-dir", shown(&ca)];
    ok(
        server,
        &[&["ca", "import"], &dir[..], &["--cert", shown(&certificate), "--key", shown(&key)]]
            .concat(),
    );
    let out = at("adapp");
    let user = ["--user", "adapp", "--key", "rsa2048", "--out", shown(&out)];
    ok(server, &[&["ca", "client"], &dir[..], &user].concat());
    let files = Files { trust: server.dir().join("client/ca.pem"), own: out };
    openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        shown(&certificate),
        shown(&files.certificate()),
    ]);

    server.give("ca.pem", &(read(&server.tls("ca.pem")) + &read(&certificate)));
    server.reload();
    let leaf = pem::certificates(&fs::read(files.certificate()).unwrap()).unwrap().remove(0);
    let leaf = Certificate::from_openssl(&leaf);
    let dialect = dialect(server.sandbox.series());
    let issuer = leaf.issuer.oneline(dialect.names);
    let user = format!("ad{}", kind.to_lowercase());
    let password = Secret::new("ad-secret-1");
    let account = [AccountName::new(&user, "%")];
    server.sql(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{}'", password.expose())).unwrap();
    let require = |issuer: &str| {
        let issuer = issuer.to_owned();
        let require = Require::Specified { subject: String::new(), issuer, cipher: String::new() };
        server.sql(&dialect.require(&account, &require, Form::Alter).sql()).unwrap();
    };
    require("/CN=Another CA");
    let refused = attempt(server, &user, &password, &files).unwrap_err();
    assert!(refused.contains("1045"), "{refused}");
    require(&issuer);
    attempt(server, &user, &password, &files).map(drop).map_err(|why| format!("{issuer}: {why}"))
}

fn dialect(series: Series) -> Dialect {
    let (flavor, version, names) = match series {
        Series::MariaDb1011 => (Flavor::MariaDb, Version(10, 11, 0), OneLine::OpenSsl3),
        Series::MariaDb118 => (Flavor::MariaDb, Version(11, 8, 0), OneLine::OpenSsl3),
        Series::MySql97 => (Flavor::MySql, Version(9, 7, 0), OneLine::OpenSsl3),
        Series::MySql56 => (Flavor::MySql, Version(5, 6, 24), OneLine::YaSsl),
    };
    Dialect { flavor, version, names, names_known: true }
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

// --- kinds of keys ------------------------------------------------------------------------------

const KEYS: [&str; 6] = ["p256", "p384", "ed25519", "rsa2048", "rsa3072", "rsa4096"];

#[test]
fn every_kind_of_key_is_of_use_to_server_and_client() {
    let base = tempfile::tempdir().unwrap();
    // large keys take seconds: made once for all servers
    let made = side_by_side(&KEYS, |key| Kit::make(&base.path().join(key), key));
    side_by_side(&lab::servers(), |program| {
        let server = start(program);
        // yaSSL: RSA alone
        let all = program.series != Series::MySql56;
        for (kit, key) in made.iter().zip(KEYS).filter(|(_, key)| all || key.starts_with("rsa")) {
            kit.lay(&server);
            server.reload();
            let let_in = server.is_let_in("web", &kit.client);
            assert_eq!(let_in, Ok(()), "{} with {key}", program.series);
        }
    });
}

/// CA, server and client, all with keys of one kind.
struct Kit {
    server: PathBuf,
    client: Files,
}

impl Kit {
    fn make(base: &Path, key: &str) -> Self {
        let [ca, server, client] = ["ca", "server", "client"].map(|name| base.join(name));
        let run = |arguments: &[&str]| {
            let arguments = [&["ca"], arguments, &["--ca-dir", shown(&ca), "--key", key]].concat();
            let output = lab::mytls().args(&arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        };
        run(&["create", "--name", "Own CA", "--no-passphrase"]);
        run(&["server", "--san", "127.0.0.1", "--out", shown(&server)]);
        run(&["client", "--user", "web", "--out", shown(&client)]);
        Self { server, client: Files { trust: ca.join("ca.pem"), own: client } }
    }

    /// In the place of the server's files, which keep their owners and modes.
    fn lay(&self, server: &Server) {
        let from = |name: &str| self.server.join(name);
        for name in ["server-cert.pem", "ca.pem"] {
            server.give(name, &read(&from(name)));
        }
        let key = from("server-key.pem");
        let key = match server.sandbox.series() {
            // PKCS#1 alone
            Series::MySql56 => openssl(&["rsa", "-in", shown(&key), "-traditional"]),
            _ => read(&key),
        };
        server.give("server-key.pem", &key);
    }
}
