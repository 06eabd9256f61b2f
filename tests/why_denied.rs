//! Accounts that are locked out on purpose, each in one way, on real servers: the reason has to be
//! named, and what mends it, run as it is printed, has to let the account in.

mod common;

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::lab::{self, Program, Server};
use mytls::ca::crl::{Edition, Reason, RevokedSerial};
use mytls::ca::{Authority, AuthoritySpec, KeyKind, Store};
use mytls::facts::Flavor;
use mytls::sandbox::{Fault, Series};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::ExtendedKeyUsage;
use openssl::x509::{X509, X509NameRef};
use serde_json::Value;

/// A server with revocation lists, that looks up who comes.
const SET_UP: &str = r#"
title = "a server with revocation lists"
description = ""
[[changes]]
do = "write-crls"
file = "crl.pem"
crls = [{ of = "issuing" }, { of = "root" }]
[[changes]]
do = "set-option"
name = "ssl_crl"
value = "../tls/crl.pem"
[[changes]]
do = "remove-options"
names = ["skip_name_resolve"]
"#;

/// One way to be locked out.
struct Lockout {
    name: &'static str,
    /// The reason that has to be named first.
    kind: &'static str,
    /// Statements that do it; `{as_it_was}` is the clause that lets the account in.
    sql: String,
    /// What the client has, when it is not what it should be.
    client: Client,
    /// Whether something can be run that lets it in.
    cured: bool,
    /// What makes the server as it was.
    after: &'static str,
}

#[derive(Clone)]
enum Client {
    Right,
    NoTls,
    NoCertificate,
    WrongPassword,
    NoPassword,
    /// This certificate and key.
    Shows(PathBuf, PathBuf),
    From(&'static str),
}

#[test]
fn every_lock_out_is_led_back_to_its_reason_on_mysql() {
    lock_out(Series::MySql97);
}

#[test]
fn every_lock_out_is_led_back_to_its_reason_on_mariadb() {
    lock_out(Series::MariaDb1011);
}

fn lock_out(series: Series) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let lab = Lab::start(&program);
    let mut failures = Vec::new();
    let lockouts = lab.lockouts();
    let mut cured = 0;
    for lockout in &lockouts {
        match lab.run(lockout) {
            Ok(()) => cured += usize::from(lockout.cured),
            Err(why) => failures.push(format!("{}: {why}", lockout.name)),
        }
    }
    let named = lockouts.len() - failures.len();
    println!("{}: {named} of {} lock-outs named, {cured} mended", series, lockouts.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(lockouts.len() >= 20);
    lab.without_a_password();
    lab.what_the_server_did_not_say();
    lab.beside_others_who_listen();
    lab.two_reasons_at_once();
    lab.roles_and_rights_of_others();
    lab.a_host_is_not_shut_out();
}

struct Lab {
    server: Server,
    password: String,
    as_it_was: String,
}

impl Lab {
    fn start(program: &Program) -> Self {
        let server = program.start(&Fault::from_toml("lists", SET_UP).unwrap()).unwrap();
        let accounts = server.sandbox.accounts();
        let password = accounts[0].1.expose().to_owned();
        let as_it_was = "REQUIRE SUBJECT '/O=mytls sandbox/CN=app' \
                         AND ISSUER '/O=mytls sandbox/CN=mytls sandbox issuing CA'";
        Self { server, password, as_it_was: as_it_was.to_owned() }
    }

    fn mysql(&self) -> bool {
        self.server.sandbox.flavor() == Flavor::MySql
    }

    /// Every account of app as the sandbox made it.
    fn reset(&self) {
        let (password, clause) = (&self.password, &self.as_it_was);
        self.server
            .sql(&format!(
                "DROP USER IF EXISTS 'app'@'%', 'app'@'localhost', 'app'@'10.0.%', ''@'localhost', \
                 'app'@'127.0.0.2'; CREATE USER 'app'@'%' IDENTIFIED BY '{password}' {clause}"
            ))
            .unwrap();
    }

    fn run(&self, lockout: &Lockout) -> Result<(), String> {
        self.reset();
        let before = self.why(&Client::Right);
        if before["let_in"] != true {
            return Err(format!("it was not let in before: {before:#}"));
        }
        let sql = lockout.sql.replace("{as_it_was}", &self.as_it_was);
        let sql = sql.replace("{password}", &self.password);
        self.server.sql(&sql).map_err(|why| format!("{sql}: {why}"))?;
        if lockout.kind == "locked-by-failures" || lockout.kind == "connection-limit" {
            let first = match lockout.kind {
                "connection-limit" => Client::Right,
                _ => Client::WrongPassword,
            };
            self.why(&first);
        }
        if lockout.kind == "host-blocked" {
            self.give_up_early();
        }
        let denial = self.why(&lockout.client);
        let result = self.judge(lockout, &denial);
        if !lockout.after.is_empty() {
            self.server.sql(lockout.after).unwrap();
        }
        result
    }

    fn judge(&self, lockout: &Lockout, denial: &Value) -> Result<(), String> {
        let kind = &denial["causes"][0]["kind"];
        if *kind != lockout.kind {
            return Err(format!("{} instead of {}: {denial:#}", kind, lockout.kind));
        }
        let remedies = denial["causes"][0]["remedies"].as_array().unwrap();
        let Some(remedy) = remedies.first() else {
            return if lockout.cured {
                Err(format!("nothing mends it: {denial:#}"))
            } else {
                Ok(())
            };
        };
        if !lockout.cured {
            return Ok(());
        }
        let mut client = lockout.client.clone();
        for action in remedy["actions"].as_array().unwrap() {
            let text = action["text"].as_str().unwrap();
            match action["kind"].as_str().unwrap() {
                "sql" => drop(self.server.sql(text)?),
                "file" => fs::write(action["file"].as_str().unwrap(), text).unwrap(),
                "shell" => {
                    shell(text)?;
                    if let Some((_, folder)) = text.split_once("--out ") {
                        let file = |name| Path::new(folder).join(name);
                        client = Client::Shows(file("client-cert.pem"), file("client-key.pem"));
                    }
                }
                other => return Err(format!("an action of the kind {other}")),
            }
        }
        let after = self.why(&client);
        if after["let_in"] == true {
            Ok(())
        } else {
            Err(format!("not mended by {remedy:#}: {after:#}"))
        }
    }

    /// `mytls why-denied --format json`, parsed.
    fn why(&self, client: &Client) -> Value {
        self.why_of("app", client)
    }

    fn why_of(&self, user: &str, client: &Client) -> Value {
        let target = self.server.sandbox.target();
        let dir = self.server.dir();
        let mut command = lab::mytls();
        command
            .args(["why-denied", "--user", user, "--format", "json", "-h", "127.0.0.1", "-P"])
            .arg(target.port().to_string())
            .arg("--defaults-file")
            .arg(dir.join("client.cnf"))
            .arg("-S")
            .arg(target.socket.unwrap())
            .arg("--ssl-ca")
            .arg(target.ssl_ca.unwrap())
            .arg("--server-config")
            .arg(target.server_config.unwrap())
            .arg("--ca-dir")
            .arg(target.ca_dir.unwrap())
            .env("HOME", self.server.base())
            .env("MYTLS_ACCOUNT_PASSWORD", &self.password);
        let right = (dir.join("client/app-cert.pem"), dir.join("client/app-key.pem"));
        let shown = match client {
            Client::NoTls | Client::NoCertificate => None,
            Client::Shows(certificate, key) => Some((certificate.clone(), key.clone())),
            Client::Right | Client::WrongPassword | Client::NoPassword | Client::From(_) => {
                Some(right)
            }
        };
        if let Some((certificate, key)) = shown {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        match client {
            Client::NoTls => drop(command.arg("--no-tls")),
            Client::NoPassword => drop(command.env_remove("MYTLS_ACCOUNT_PASSWORD")),
            Client::WrongPassword => drop(command.env("MYTLS_ACCOUNT_PASSWORD", "wrong")),
            Client::From(address) => drop(command.args(["--bind-address", address])),
            _ => {}
        }
        let output = command.output().unwrap();
        let denial: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        });
        let let_in = denial["let_in"] == true;
        assert_eq!(output.status.success(), let_in, "{denial:#}");
        assert!(!denial.to_string().contains(&self.password), "the password is shown");
        denial
    }

    /// Whoever gives no password costs the account none of its failures.
    fn without_a_password(&self) {
        self.reset();
        if self.mysql() {
            self.server
                .sql("ALTER USER 'app'@'%' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1")
                .unwrap();
        }
        for _ in 0..2 {
            let denial = self.why(&Client::NoPassword);
            assert_eq!(denial["causes"].as_array().unwrap().len(), 0, "{denial:#}");
            assert!(denial["open"].to_string().contains("no password was given"), "{denial:#}");
        }
        assert_eq!(self.why(&Client::Right)["let_in"], true, "it was locked by this program");
        self.server.sql("ALTER USER 'app'@'%' REQUIRE SUBJECT '/CN=other'").unwrap();
        assert_eq!(self.why(&Client::NoPassword)["causes"][0]["kind"], "subject");
        self.server.sql("ALTER USER 'app'@'%' ACCOUNT LOCK").unwrap();
        assert_eq!(self.why(&Client::NoPassword)["causes"][1]["kind"], "locked");
        self.server.sql("RENAME USER 'app'@'%' TO 'app'@'10.0.%'").unwrap();
        assert_eq!(self.why(&Client::NoPassword)["causes"][0]["kind"], "host-pattern");
    }

    /// No word of the server's is taken for what it never said.
    fn what_the_server_did_not_say(&self) {
        self.reset();
        let alter = |clause: &str| {
            self.server.sql(&format!("ALTER USER 'app'@'%' REQUIRE {clause}")).unwrap();
        };
        alter("SUBJECT '/CN=x'' but is ''y'");
        let denial = self.why(&Client::Right);
        assert_eq!(denial["causes"][0]["kind"], "subject", "{denial:#}");
        let statement = denial["causes"][0]["remedies"][0]["actions"][0]["text"].to_string();
        assert!(!statement.contains("but is"), "{statement}");
        alter("SUBJECT '/O=mytls sandbox/CN=app' AND CIPHER 'ECDHE-RSA-AES256-GCM-SHA384'");
        let denial = self.why(&Client::NoCertificate);
        let kinds = [0, 1].map(|at| denial["causes"][at]["kind"].clone());
        assert_eq!(kinds, ["cipher", "certificate-missing"], "{denial:#}");
        if !self.mysql() {
            return;
        }
        alter("SUBJECT '/O=mytls sandbox/CN=apq'");
        let heard = self.why(&Client::Right);
        assert!(heard["log"].to_string().contains("mismatch"), "{heard:#}");
        self.server.sql("SET GLOBAL log_error_suppression_list = 'MY-010291'").unwrap();
        let denial = self.why(&Client::Right);
        assert_eq!(denial["causes"][0]["kind"], "subject", "{denial:#}");
        assert!(denial["open"].to_string().contains("log_error_suppression_list"), "{denial:#}");
        self.server.sql("SET GLOBAL log_error_suppression_list = ''").unwrap();

        // a certificate of a stranger counts as an error of the host
        let stranger =
            Authority::create(&AuthoritySpec::named(&"Stranger".parse().unwrap())).unwrap();
        let denial = self.why(&self.make("counted", &stranger, [-1, 30], false));
        assert_eq!(denial["causes"][0]["kind"], "certificate-untrusted", "{denial:#}");
        if self.server.sql("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'").is_ok() {
            let password = &self.password;
            self.server
                .sql(&format!(
                    "DROP USER 'app'@'%'; CREATE USER 'app'@'%' IDENTIFIED BY '{password}' \
                     AND IDENTIFIED WITH auth_socket"
                ))
                .unwrap();
            let denial = self.why(&Client::Right);
            assert_eq!(denial["causes"][0]["kind"], "plugin", "{denial:#}");
            println!("a second factor was tried");
        }
    }

    /// A lock shows once the password is right; who may look at the account is told both at once.
    fn two_reasons_at_once(&self) {
        self.reset();
        self.server.sql("ALTER USER 'app'@'%' ACCOUNT LOCK").unwrap();
        let denial = self.why(&Client::WrongPassword);
        let kinds = [0, 1].map(|at| denial["causes"][at]["kind"].clone());
        assert_eq!(kinds, ["password", "locked"], "{denial:#}");
        assert_eq!(self.why(&Client::Right)["causes"][0]["kind"], "locked");
    }

    fn roles_and_rights_of_others(&self) {
        self.reset();
        let password = &self.password;
        self.server.sql("CREATE ROLE clerks; GRANT clerks TO 'app'@'%'").unwrap();
        let denial = self.why_of("clerks", &Client::Right);
        // MySQL's is an account that is locked and has no password: this one is not right
        let causes = denial["causes"].to_string();
        assert!(
            causes.contains("\"role\"") && causes.contains("nobody logs in as one"),
            "{denial:#}"
        );
        assert!(!causes.contains("ACCOUNT UNLOCK"), "{denial:#}");
        self.server.sql("DROP ROLE clerks").unwrap();
        if !self.mysql() {
            return; // a plugin that maps accounts would be needed
        }
        self.server
            .sql(&format!(
                "SET GLOBAL check_proxy_users = ON; SET GLOBAL caching_sha2_password_proxy_users = ON; \
                 CREATE USER 'back'@'%' IDENTIFIED BY '{password}-' REQUIRE SUBJECT '/CN=another'; \
                 GRANT PROXY ON 'back'@'%' TO 'app'@'%'"
            ))
            .unwrap();
        let denial = self.why_of("app@%", &Client::Right);
        assert_eq!(denial["causes"][0]["kind"], "subject", "{denial:#}");
        assert!(denial["notes"][0].as_str().unwrap().contains("rights of back@%"), "{denial:#}");
        let remedy = denial["causes"][0]["remedies"][0]["actions"][0]["text"].as_str().unwrap();
        assert!(remedy.contains("'back'@'%'") && !remedy.contains("'app'"), "{remedy}");
        self.server.sql(remedy).unwrap();
        let denial = self.why_of("app@%", &Client::Right);
        assert_eq!(
            (&denial["let_in"], &denial["answer"]),
            (&true.into(), &"let in, as back@%".into())
        );
        // its own REQUIRE is none of the server's business then, and its lock is
        self.server.sql("ALTER USER 'app'@'%' REQUIRE SUBJECT '/CN=nobody'").unwrap();
        assert_eq!(self.why_of("app@%", &Client::Right)["let_in"], true);
        self.server.sql("ALTER USER 'back'@'%' ACCOUNT LOCK").unwrap();
        assert_eq!(self.why_of("app@%", &Client::Right)["let_in"], true);
        self.server.sql("ALTER USER 'app'@'%' ACCOUNT LOCK").unwrap();
        assert_eq!(self.why_of("app@%", &Client::Right)["causes"][0]["kind"], "locked");
        self.server
            .sql(
                "DROP USER 'back'@'%'; SET GLOBAL check_proxy_users = OFF; \
                 SET GLOBAL caching_sha2_password_proxy_users = OFF",
            )
            .unwrap();
    }

    /// What is refused in the handshake and cannot be set back ends well before the server's limit.
    fn a_host_is_not_shut_out(&self) {
        self.reset();
        let stranger =
            Authority::create(&AuthoritySpec::named(&"Stranger".parse().unwrap())).unwrap();
        let Client::Shows(certificate, key) = self.make("strange", &stranger, [-1, 30], false)
        else {
            panic!("it is made to be shown")
        };
        let try_it = || {
            let target = self.server.sandbox.target();
            let output = lab::mytls()
                .args(["why-denied", "--user", "app", "-h", "127.0.0.1", "-P"])
                .arg(target.port().to_string())
                .args(["--bind-address", "127.0.0.2", "--ssl-ca"])
                .arg(target.ssl_ca.unwrap())
                .arg("--cert")
                .arg(&certificate)
                .arg("--key")
                .arg(&key)
                .env("HOME", self.server.base())
                .env("XDG_STATE_HOME", self.server.base().join("without-login"))
                .env("MYTLS_ACCOUNT_PASSWORD", &self.password)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let said: Vec<String> = (0..9).map(|_| try_it()).collect();
        let tried = said.iter().filter(|said| said.contains("refused in the handshake")).count();
        assert!((2..9).contains(&tried), "{tried}: {}", said[8]);
        assert!(said[8].contains("max_connect_errors"), "{}", said[8]);
        if self.mysql() {
            let count =
                "SELECT COALESCE(MAX(SUM_CONNECT_ERRORS), 0) FROM performance_schema.host_cache";
            let count: u32 = self.server.sql(count).unwrap().parse().unwrap();
            assert!((1..=8).contains(&count), "the server counts {count}");
        }
    }

    /// The log stays as loud as it is while somebody else listens to it; the last sets it back.
    fn beside_others_who_listen(&self) {
        if !self.mysql() {
            return;
        }
        self.reset();
        let verbosity = || self.server.sql("SELECT @@GLOBAL.log_error_verbosity").unwrap();
        self.server.sql("SET GLOBAL log_error_verbosity = 2").unwrap();
        self.why(&Client::Right);
        assert_eq!(verbosity(), "2");
        let state = self.server.base().join(".local/state/mytls");
        let lock = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        let lock = lock.into_iter().find(|path| path.extension().is_some_and(|e| e == "lock"));
        let file = fs::File::open(lock.expect("there is a lock")).unwrap();
        let other = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockShared).unwrap();
        self.why(&Client::Right);
        assert_eq!(verbosity(), "3", "the other one hears no more");
        drop(other);
        self.why(&Client::Right);
        assert_eq!(verbosity(), "2");
    }

    /// What gets a host blocked.
    fn give_up_early(&self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.server.sandbox.target().port()));
        for _ in 0..4 {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
            socket.connect_timeout(&address.into(), Duration::from_secs(5)).unwrap();
            let _ = (&socket).read(&mut [0; 100]);
        }
        std::thread::sleep(Duration::from_millis(200));
    }

    /// The list of the issuing CA, as it is to be, before that of the root; and the server reads it.
    fn write_list(&self, which: &str) {
        let path = self.server.dir().join("tls/crl.pem");
        let text = fs::read_to_string(&path).unwrap();
        let (_, root) = text.trim_end().rsplit_once("-----BEGIN").unwrap();
        let store = Store::open(&self.server.sandbox.target().ca_dir.unwrap()).unwrap();
        let now = now();
        let (from, until) = if which == "expired" {
            (now - 864_000, now - 86_400)
        } else {
            (now - 60, now + 864_000)
        };
        let edition = Edition { number: 7, this_update: from, next_update: until };
        let revoked = RevokedSerial {
            serial: self.app().serial_number().to_bn().unwrap().to_vec(),
            at: now - 60,
            reason: Reason::KeyCompromise,
        };
        let revoked = if which == "revoked" { vec![revoked] } else { Vec::new() };
        let list = store.authority().revocation_list(edition, &revoked).unwrap();
        let list = String::from_utf8(list.to_pem().unwrap()).unwrap();
        let list = if which == "missing" { String::new() } else { list };
        fs::write(&path, format!("{list}-----BEGIN{root}\n")).unwrap();
        if self.mysql() {
            // its reload refuses a list that its own certificate fails under; its start does not
            self.server.sandbox.restart().unwrap();
        } else {
            drop(self.server.sql("FLUSH SSL").unwrap());
        }
    }

    fn app(&self) -> X509 {
        let pem = fs::read(self.server.dir().join("client/app-cert.pem")).unwrap();
        X509::from_pem(&pem).unwrap()
    }

    /// A certificate for app that is wrong in something, with the CA that issued it below.
    fn make(&self, name: &str, by: &Authority, days: [i64; 2], server_only: bool) -> Client {
        let key = KeyKind::default().generate().unwrap();
        let subject = self.app();
        let leaf = certificate(subject.subject_name(), by, &key, days, server_only);
        let folder = self.server.base().join(name);
        fs::create_dir_all(&folder).unwrap();
        let (file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        let chain = [leaf.to_pem().unwrap(), by.certificate.to_pem().unwrap()].concat();
        fs::write(&file, chain).unwrap();
        fs::write(&key_file, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        Client::Shows(file, key_file)
    }

    /// The right certificate, without what belongs below it.
    fn alone(&self) -> Client {
        let file = self.server.base().join("alone.pem");
        fs::write(&file, self.app().to_pem().unwrap()).unwrap();
        Client::Shows(file, self.server.dir().join("client/app-key.pem"))
    }

    #[allow(clippy::too_many_lines, reason = "a table")]
    fn lockouts(&self) -> Vec<Lockout> {
        let store = Store::open(&self.server.sandbox.target().ca_dir.unwrap()).unwrap();
        let issuing = store.authority();
        let stranger =
            Authority::create(&AuthoritySpec::named(&"Stranger".parse().unwrap())).unwrap();
        let namesake = namesake(issuing);
        let of = |name, kind, sql: &str, client, cured| Lockout {
            name,
            kind,
            sql: sql.to_owned(),
            client,
            cured,
            after: "",
        };
        let right = || Client::Right;
        let alter = |clause: &str| format!("ALTER USER 'app'@'%' {clause}");
        let issuer = "ISSUER '/O=mytls sandbox/CN=mytls sandbox issuing CA'";
        let no = "DO 0";
        let mut all = vec![
            of("no certificate", "certificate-missing", no, Client::NoCertificate, true),
            of(
                "another CA",
                "certificate-untrusted",
                no,
                self.make("stranger", &stranger, [-1, 30], false),
                true,
            ),
            of(
                "a CA of the same name",
                "certificate-untrusted",
                no,
                self.make("namesake", &namesake, [-1, 30], false),
                true,
            ),
            of(
                "for servers only",
                "certificate-purpose",
                no,
                self.make("purpose", issuing, [-1, 30], true),
                true,
            ),
            of(
                "expired",
                "certificate-expired",
                no,
                self.make("expired", issuing, [-60, -30], false),
                true,
            ),
            of(
                "not yet valid",
                "certificate-not-yet-valid",
                no,
                self.make("future", issuing, [30, 60], false),
                true,
            ),
            of(
                "the root as issuer",
                "issuer",
                &alter(
                    "REQUIRE SUBJECT '/O=mytls sandbox/CN=app' AND ISSUER '/O=mytls sandbox/CN=mytls sandbox root'",
                ),
                right(),
                true,
            ),
            of(
                "a space at the end",
                "subject",
                &alter(&format!("REQUIRE SUBJECT '/O=mytls sandbox/CN=app ' AND {issuer}")),
                right(),
                true,
            ),
            of(
                "other capitals",
                "subject",
                &alter("REQUIRE SUBJECT '/O=mytls sandbox/CN=App'"),
                right(),
                true,
            ),
            of(
                "as openssl prints it",
                "subject",
                &alter("REQUIRE SUBJECT 'O = mytls sandbox, CN = app'"),
                right(),
                true,
            ),
            of(
                "a cipher of TLS 1.2",
                "cipher",
                &alter("{as_it_was} AND CIPHER 'ECDHE-RSA-AES256-GCM-SHA384'"),
                right(),
                true,
            ),
            of(
                "from elsewhere only",
                "host-pattern",
                "RENAME USER 'app'@'%' TO 'app'@'10.0.%'",
                right(),
                true,
            ),
            of("no such account", "no-such-account", "DROP USER 'app'@'%'", right(), false),
            of(
                "a more specific host",
                "other-account",
                "CREATE USER 'app'@'localhost' IDENTIFIED BY '{password}' REQUIRE SUBJECT '/CN=other'",
                right(),
                true,
            ),
            of(
                "an anonymous account",
                "anonymous-account",
                "CREATE USER ''@'localhost'",
                right(),
                true,
            ),
            of("a wrong password", "password", no, Client::WrongPassword, false),
            of(
                "a wrong password and a wrong subject",
                "password",
                &alter("REQUIRE SUBJECT '/CN=other'"),
                Client::WrongPassword,
                false,
            ),
            of("locked", "locked", &alter("ACCOUNT LOCK"), right(), true),
            of(
                "the password has expired",
                "password-expired",
                &alter("PASSWORD EXPIRE"),
                right(),
                false,
            ),
            of(
                "enough for this hour",
                "connection-limit",
                &alter("WITH MAX_CONNECTIONS_PER_HOUR 1"),
                right(),
                true,
            ),
            of(
                "no TLS, and the server insists",
                "transport-enforced",
                &alter("REQUIRE NONE"),
                Client::NoTls,
                false,
            ),
        ];
        all.push(Lockout {
            after: "SET GLOBAL require_secure_transport = ON",
            ..of(
                "no TLS, and the account insists",
                "tls-not-used",
                "SET GLOBAL require_secure_transport = OFF",
                Client::NoTls,
                false,
            )
        });
        all.push(Lockout {
            after: "SET GLOBAL max_connect_errors = 100",
            ..of(
                "a blocked host",
                "host-blocked",
                "SET GLOBAL max_connect_errors = 2",
                Client::From("127.0.0.2"),
                true,
            )
        });
        if self.mysql() {
            all.push(of(
                "a plugin that is not there",
                "plugin",
                "UPDATE mysql.user SET plugin = 'gone' WHERE user = 'app'; FLUSH PRIVILEGES",
                right(),
                false,
            ));
            all.push(of(
                "locked by failures",
                "locked-by-failures",
                &alter("FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1"),
                right(),
                true,
            ));
        } else {
            all.push(of(
                "a plugin for sockets",
                "plugin",
                &alter("IDENTIFIED VIA unix_socket"),
                right(),
                false,
            ));
            all.push(Lockout {
                after: "SET GLOBAL max_password_errors = 100; FLUSH PRIVILEGES",
                ..of(
                    "locked by failures",
                    "locked-by-failures",
                    "SET GLOBAL max_password_errors = 1",
                    right(),
                    true,
                )
            });
            all.push(of("the CA between is missing", "chain-incomplete", no, self.alone(), false));
        }
        all
    }
}

#[test]
fn revocation_is_led_back_to_the_list_or_to_the_certificate() {
    for program in lab::servers() {
        if program.series == Series::MySql56 {
            continue; // yaSSL reads no lists
        }
        let lab = Lab::start(&program);
        for (list, kind, cured) in [
            ("expired", "crl-expired", false),
            ("missing", "crl-missing", false),
            ("revoked", "certificate-revoked", true),
        ] {
            lab.write_list(list);
            let denial = lab.why(&Client::Right);
            let lockout = Lockout {
                name: list,
                kind,
                sql: String::new(),
                client: Client::Right,
                cured,
                after: "",
            };
            let judged = lab.judge(&lockout, &denial);
            assert!(judged.is_ok(), "{} {}", program.series, judged.unwrap_err());
            lab.write_list("good");
            let after = lab.why(&Client::Right);
            assert_eq!(after["let_in"], true, "{after:#}");
        }
    }
}

/// The same name, and another key.
fn namesake(ca: &Authority) -> Authority {
    let key = KeyKind::default().generate().unwrap();
    let mut other = Authority::create(&AuthoritySpec::named(&"Namesake".parse().unwrap())).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(ca.certificate.subject_name()).unwrap();
    builder.set_issuer_name(ca.certificate.subject_name()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_serial_number(&BigNum::from_u32(4).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    let constraints = openssl::x509::extension::BasicConstraints::new().critical().ca().build();
    builder.append_extension(constraints.unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    other.certificate = builder.build();
    other.key = key;
    other
}

fn certificate(
    subject: &X509NameRef,
    by: &Authority,
    key: &PKey<Private>,
    days: [i64; 2],
    server_only: bool,
) -> X509 {
    let day = |day: i64| Asn1Time::from_unix(now() + day * 86_400).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(by.certificate.subject_name()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&day(days[0])).unwrap();
    builder.set_not_after(&day(days[1])).unwrap();
    let mut usage = ExtendedKeyUsage::new();
    let usage = if server_only { usage.server_auth() } else { usage.client_auth() };
    builder.append_extension(usage.build().unwrap()).unwrap();
    builder.sign(&by.key, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

fn shell(text: &str) -> Result<(), String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_mytls")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", text]).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{text}\n{said}")) }
}
