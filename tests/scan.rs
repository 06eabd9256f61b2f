//! The scan against real servers in many set-ups, held against `openssl s_client`; that it shuts nobody out;
//! and servers that mean no good.
//!
//! Without a server these tests fail under `CI=true`, and say elsewhere that they were skipped.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mytls::sandbox::{Fault, Series};
use mytls::scan::{How, Protocol, Scan, scan};
use mytls::wire::{Endpoint, Limits, Trust};

#[path = "common/lab.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod lab;

#[path = "scan/command.rs"]
mod command;
#[path = "scan/hostile.rs"]
mod hostile;

/// A scan of this host's loopback, with the fast probes.
fn look(endpoint: &Endpoint, seconds: u64) -> Result<Scan, String> {
    let limits = Limits { connect: Duration::from_secs(2), total: Duration::from_secs(seconds) };
    let how = How {
        trust: &Trust::Unverified,
        limits,
        polite: false,
        at_a_time: 8,
        give_up: &|_, _| 8,
        login: None,
        told: &|_| (),
    };
    scan(endpoint, &how, &AtomicBool::new(false)).map_err(|error| error.to_string())
}

fn found(scan: &Scan, protocol: Protocol) -> BTreeSet<String> {
    let version = scan.tls.as_ref().and_then(|tls| tls.version(protocol));
    let version = version.unwrap_or_else(|| panic!("{protocol:?} was not asked about"));
    assert!(version.complete, "{protocol:?}: {:?}", scan.left_out);
    version.suites.iter().map(|suite| suite.name.clone()).collect()
}

/// Every suite that this host's OpenSSL could agree on with some server, in its own names.
fn of_openssl(tls13: bool) -> Vec<String> {
    let list = "ALL:@SECLEVEL=0:!aNULL:!PSK:!SRP:!DSS";
    let output = Command::new("openssl").args(["ciphers", "-v", list]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let is = |line: &&str| line.contains(" TLSv1.3 ") == tls13;
    let mut names: Vec<String> =
        text.lines().filter(is).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    if tls13 {
        names.extend(["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"].map(str::to_owned));
    }
    names
}

/// What `openssl s_client` finds, one suite at a time.
fn by_hand(port: u16, protocol: Protocol, names: Vec<String>) -> BTreeSet<String> {
    let tls13 = protocol == Protocol::Tls13;
    let version = match protocol {
        Protocol::Tls13 => "-tls1_3",
        Protocol::Tls12 => "-tls1_2",
        Protocol::Tls11 => "-tls1_1",
        Protocol::Tls10 => "-tls1",
        Protocol::Ssl3 => panic!("no OpenSSL of today speaks it"),
    };
    let agrees = |name: &String| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-starttls", "mysql", version, "-legacy_server_connect"]);
        command.args(["-connect", &format!("127.0.0.1:{port}")]);
        if tls13 {
            command.args(["-ciphersuites", name]);
        } else {
            command.args(["-cipher", &format!("{name}:@SECLEVEL=0")]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().any(|line| {
            let chosen = line.split_once("Cipher is ").map(|(_, chosen)| chosen);
            chosen.is_some_and(|chosen| name.split(':').any(|one| one == chosen))
        })
    };
    let taken = lab::side_by_side(&names, agrees);
    names.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(name, _)| name).collect()
}

fn key(kind: &str) -> Fault {
    let path = format!("{}/assets/healthy/key-{kind}.toml", env!("CARGO_MANIFEST_DIR"));
    Fault::from_toml(kind, &fs::read_to_string(path).unwrap()).unwrap()
}

/// Lines for `[mysqld]`, and what they have to come to where they name it: the versions.
fn set_ups(series: Series) -> &'static [(&'static str, &'static [Protocol])] {
    use Protocol::{Tls10, Tls11, Tls12, Tls13};
    match series {
        Series::MariaDb1011 | Series::MariaDb118 => &[
            ("", &[Tls12, Tls13]),
            ("tls_version=TLSv1.3", &[Tls13]),
            (
                "tls_version=TLSv1.2\nssl_cipher=ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:AES256-SHA",
                &[Tls12],
            ),
            (
                "tls_version=TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3\nssl_cipher=ALL:@SECLEVEL=0",
                &[Tls10, Tls11, Tls12, Tls13],
            ),
        ],
        Series::MySql97 => &[
            ("", &[Tls12, Tls13]),
            ("tls_version=TLSv1.3", &[Tls13]),
            (
                "tls_version=TLSv1.2\nssl_cipher=ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256",
                &[Tls12],
            ),
            ("tls_ciphersuites=TLS_CHACHA20_POLY1305_SHA256", &[Tls12, Tls13]),
        ],
        Series::MySql56 => &[
            ("", &[Tls10]),
            ("ssl_cipher=AES256-SHA:AES128-SHA", &[Tls10]),
            ("ssl_cipher=DES-CBC3-SHA", &[Tls10]),
            ("ssl_cipher=DHE-RSA-AES256-SHA:AES128-SHA", &[Tls10]),
            ("ssl_cipher=AES256-SHA", &[Tls10]),
            ("ssl_cipher=RC4-SHA:AES128-SHA", &[Tls10]),
        ],
    }
}

#[test]
fn what_is_found_is_what_is_set_and_what_openssl_finds_suite_by_suite() {
    for program in lab::servers() {
        let keys: &[&str] = if program.series == Series::MySql56 {
            &["rsa2048"]
        } else {
            &["rsa2048", "p256", "ed25519"]
        };
        for kind in keys {
            let server = program.start(&key(kind)).unwrap();
            let config = server.dir().join("my.cnf");
            let whole = fs::read_to_string(&config).unwrap();
            // what is set is looked through with one kind of key: the others change the suites alone
            let all = set_ups(program.series);
            let some = if *kind == "rsa2048" { all } else { &all[..1] };
            for (lines, versions) in some {
                let what = format!("{} with {kind}: {lines}", program.series.name());
                if !lines.is_empty() {
                    fs::write(&config, format!("{whole}\n[mysqld]\n{lines}\n")).unwrap();
                    server.sandbox.restart().unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                matches_by_hand(&server, versions, &what);
                eprintln!("{what}: the same");
            }
        }
    }
}

fn matches_by_hand(server: &lab::Server, versions: &[Protocol], what: &str) {
    let port = server.sandbox.target().port.unwrap();
    let scan =
        look(&Endpoint::new("127.0.0.1", port), 10).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert_eq!(scan.left_out, Vec::<String>::new(), "{what}");
    let tls = scan.tls.as_ref().unwrap();
    let mut offered: Vec<Protocol> = tls
        .versions
        .iter()
        .filter(|version| version.offered)
        .map(|version| version.protocol)
        .collect();
    offered.sort();
    assert_eq!(offered, versions, "{what}");
    for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol > Protocol::Ssl3) {
        let suites = of_openssl(protocol == Protocol::Tls13);
        // where nothing is offered, one question with everything says so
        let each: Vec<String> =
            if versions.contains(&protocol) { suites } else { vec![suites.join(":")] };
        let (mut found, by_hand) = (found(&scan, protocol), by_hand(port, protocol, each));
        let named: BTreeSet<String> = of_openssl(protocol == Protocol::Tls13).into_iter().collect();
        // what OpenSSL does not have, and a prime too short for it, it cannot find
        let weak = tls.dh_bits.is_some_and(|bits| bits < 1024);
        found.retain(|name| named.contains(name) && !(weak && name.starts_with("DHE-")));
        assert_eq!(found, by_hand, "{what}: {protocol:?}");
    }
}

/// `SUM_CONNECT_ERRORS` of 127.0.0.2.
fn counted(server: &lab::Server) -> u64 {
    let asked = "SELECT SUM_CONNECT_ERRORS FROM performance_schema.host_cache WHERE IP='127.0.0.2'";
    server.sql(asked).unwrap().parse().unwrap_or(0)
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A port that leads to this one, from an address that is not exempt from being counted.
fn from_127_0_0_2(port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let lane = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
            socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
            let server = TcpStream::from(socket);
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    lane
}

/// A login with the client program through that port.
fn log_in(lane: u16, ca: &Path) {
    let output = Command::new(lab::client())
        .arg("--no-defaults")
        .args(["--protocol=tcp", "-h127.0.0.1", "-uwatch", &format!("-P{lane}")])
        .arg(format!("--ssl-ca={}", ca.display()))
        .args(["--batch", "--skip-column-names", "-e", "SELECT USER()"])
        .env("MYSQL_PWD", "Wat-ch3r")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(said, "watch@127.0.0.2", "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a login is told beside what the wire shows.
fn in_force_is_what_the_wire_shows(scan: &Scan, program: &lab::Program) {
    let in_force = scan.in_force.as_ref().expect("there was a login");
    let none: [String; 0] = [];
    assert_eq!(in_force.differences, none, "{:?}", program.series);
    assert_eq!(in_force.unseen, none, "{:?}", program.series);
    assert!(in_force.variables.contains_key("tls_version"), "{:?}", in_force.variables);
    assert_eq!(in_force.plain_sessions.as_deref(), Some(&[][..]), "performance_schema is on");
    assert_eq!(in_force.session_version, "TLSv1.3");
    assert!(in_force.cipher_list.contains(&in_force.session_cipher));
}

#[test]
fn ten_scans_in_a_row_shut_nobody_out() {
    for program in lab::servers().into_iter().filter(|one| one.series != Series::MySql56) {
        let server = program.start(&key("p256")).unwrap();
        let config = server.dir().join("my.cnf");
        let text = fs::read_to_string(&config).unwrap().replace("skip_name_resolve\n", "");
        fs::write(&config, format!("{text}\n[mysqld]\nperformance_schema=ON\n")).unwrap();
        server.sandbox.restart().unwrap();
        let mariadb = program.series.name().starts_with("mariadb");
        let monitor = if mariadb { ", SLAVE MONITOR" } else { "" };
        for host in ["127.0.0.1", "127.0.0.2", "localhost"] {
            server
                .sql(&format!(
                    "CREATE USER watch@'{host}' IDENTIFIED BY 'Wat-ch3r'; \
                     GRANT PROCESS, REPLICATION CLIENT{monitor} ON *.* TO watch@'{host}'; \
                     GRANT SELECT ON performance_schema.* TO watch@'{host}'"
                ))
                .unwrap();
        }
        let (target, home) = (server.sandbox.target(), tempfile::tempdir().unwrap());
        let at = format!("127.0.0.1:{}", target.port.unwrap());
        let scan = |arguments: &[&str]| -> Scan {
            let output = lab::mytls()
                .env("HOME", home.path())
                .env("XDG_STATE_HOME", home.path())
                .env("MYSQL_PWD", "Wat-ch3r")
                .args(["scan", &at, "--bind", "127.0.0.2", "--format", "json", "--ssl-ca"])
                .arg(target.ssl_ca.as_ref().unwrap())
                .args(arguments)
                .output()
                .unwrap();
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
        };
        let lane = from_127_0_0_2(target.port.unwrap());
        let log_in = || log_in(lane, target.ssl_ca.as_deref().unwrap());
        in_force_is_what_the_wire_shows(&scan(&["-u", "watch"]), &program);
        for limit in [100, 10] {
            server.sql(&format!("SET GLOBAL max_connect_errors={limit}")).unwrap();
            for login in [&[][..], &["-u", "watch"]] {
                let (most, over) = (AtomicU64::new(0), AtomicBool::new(false));
                thread::scope(|scope| {
                    // also where something fails below: nobody waits for what is not told to end
                    let _end = AtEnd(&over);
                    scope.spawn(|| {
                        while !over.load(Ordering::Relaxed) {
                            most.fetch_max(counted(&server), Ordering::Relaxed);
                            thread::sleep(Duration::from_millis(50));
                        }
                    });
                    for number in 0..10 {
                        let scan = scan(login);
                        let whole = scan.left_out.is_empty();
                        assert!(whole || login.is_empty(), "{:?}", scan.left_out);
                        // two whole scans of a MariaDB are within what is given up without a login
                        let first = if mariadb { number < 2 } else { number == 0 };
                        assert!(whole || !first || limit == 10, "{:?}", scan.left_out);
                        if number == 5 && !login.is_empty() {
                            log_in();
                        }
                    }
                });
                let (most, what) =
                    (most.into_inner(), format!("{} {limit} {login:?}", program.series.name()));
                eprintln!("{what}: at most {most}, {} in the end", counted(&server));
                // with a login nothing stays counted for longer than a look takes
                let seen = most > 0 || !login.is_empty();
                assert!(seen, "{what}: nothing is counted here, so nothing is shown");
                assert!(most < limit, "{what}: {most}");
                if !login.is_empty() {
                    assert_eq!(counted(&server), 0, "{what}");
                }
                log_in();
            }
        }
    }
}
