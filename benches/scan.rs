//! `mytls scan` beside `sslscan`, `nmap` and `testssl.sh` on one server, near and at 20 ms of round trip: time, CPU,
//! connections, peak memory; and what each leaves in the server's books. Then lists of 10, 100 and 1,000 servers.
//!
//! All meet the same server, one after the other; each figure is the median, with the least and the most beside it. The
//! server counts the connections itself. The round trip is made by a proxy ([`proxy`]); what comes through
//! it reaches the server from 127.0.0.2, which is not exempt from `max_connect_errors`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;
use mytls::facts::session::{self, Route};
use mytls::sandbox::{Fault, Sandbox, SandboxOptions};
use nix::sys::resource::{UsageWho, getrusage};

#[path = "scan/many.rs"]
mod many;
#[path = "scan/proxy.rs"]
mod proxy;

/// An RSA key, as the servers make it themselves, and hosts that are looked up: without that nobody is
/// ever blocked.
const SET_UP: &str = "title = \"\"\ndescription = \"\"\n\
    [[changes]]\ndo = \"issue-server\"\nkey = \"rsa2048\"\n\
    [[changes]]\ndo = \"remove-options\"\nnames = [\"skip_name_resolve\"]\n\
    [[changes]]\ndo = \"set-option\"\nname = \"performance_schema\"\nvalue = \"ON\"\n";
const MYTLS: &str = env!("CARGO_BIN_EXE_mytls");
/// Told from this the program runs what follows on its command line and says what it used.
const MEASURE: &str = "MYTLS_BENCH_MEASURE";
const PASSWORD: &str = "Wat-ch3r";

fn main() {
    if std::env::var_os(MEASURE).is_some() {
        return measured();
    }
    let servers = std::env::var("MYTLS_SERVERS").unwrap_or("/var/cache/mytls/servers".to_owned());
    for (name, program) in [("mariadb-10.11", "mariadbd"), ("mysql-9.7", "mysqld")] {
        let path = Path::new(&servers).join(name).join(program);
        if path.is_file() {
            one_server(name, path);
        } else {
            println!("\nscan of {name}: not here; scripts/servers brings it");
        }
    }
}

struct Server {
    sandbox: Sandbox,
    session: session::Session,
    port: u16,
}

fn one_server(name: &str, program: PathBuf) {
    let fault = Fault::from_toml("bench", SET_UP).expect("it is written above");
    let options = SandboxOptions { fault, server: Some(program), keep: false, base_dir: None };
    let sandbox = Sandbox::start(&options, &mut |_| ()).expect("a server of scripts/servers");
    let target = sandbox.target();
    let socket = Route::Socket(target.socket.clone().expect("of the sandbox"));
    let mut session = session::open(&target, &socket).expect("root over the socket");
    for host in ["127.0.0.1", "127.0.0.2", "localhost"] {
        let create = format!("CREATE USER scan@'{host}' IDENTIFIED BY '{PASSWORD}'");
        session.query_drop(create).expect("root may");
    }
    let port = target.port.expect("of the sandbox");
    let mut server = Server { sandbox, session, port };
    let near = proxy::start(port, Duration::ZERO);
    let far = proxy::start(port, Duration::from_millis(20));
    beside_peers(&mut server, name, far);
    harm(&mut server, name, near);
    if name.starts_with("mariadb") {
        many::measure(server.sandbox.dir(), port);
    }
}

/// A scanner, and how it is started on a port.
struct Peer {
    name: &'static str,
    command: fn(u16) -> Vec<String>,
    runs: [usize; 2],
}

const PEERS: [Peer; 4] = [
    Peer { name: "mytls scan", command: mytls, runs: [15, 7] },
    Peer { name: "sslscan --starttls-mysql", command: sslscan, runs: [7, 3] },
    Peer { name: "nmap -sV --script ssl-enum-ciphers", command: nmap, runs: [7, 3] },
    Peer { name: "testssl.sh -p -E -t mysql", command: testssl, runs: [1, 0] },
];

fn mytls(port: u16) -> Vec<String> {
    words(&[MYTLS, "scan", &format!("127.0.0.1:{port}")])
}

fn sslscan(port: u16) -> Vec<String> {
    words(&["sslscan", "--no-colour", "--starttls-mysql", &format!("127.0.0.1:{port}")])
}

fn nmap(port: u16) -> Vec<String> {
    let scripts = "ssl-enum-ciphers,ssl-cert,mysql-info";
    words(&[
        "nmap",
        "-n",
        "-Pn",
        "-sT",
        "-sV",
        "-p",
        &port.to_string(),
        "--script",
        scripts,
        "127.0.0.1",
    ])
}

fn testssl(port: u16) -> Vec<String> {
    let program = if found("testssl") { "testssl" } else { "testssl.sh" };
    let at = format!("127.0.0.1:{port}");
    words(&[program, "--color", "0", "--warnings", "batch", "-p", "-E", "-t", "mysql", &at])
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.contains('/')
        || std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What one run took.
struct Run {
    wall: f64,
    cpu: f64,
    megabytes: f64,
    connections: u64,
    suites: usize,
}

fn beside_peers(server: &mut Server, name: &str, far: u16) {
    for (at, (port, trip)) in
        [(server.port, "loopback"), (far, "20 ms there and back")].iter().enumerate()
    {
        println!("\none scan of {name}, {trip}: wall, CPU, peak memory, connections, suites found");
        server.session.query_drop("SET GLOBAL max_connect_errors = 1000000").expect("root may");
        let mut own = None;
        for peer in &PEERS {
            let command = (peer.command)(*port);
            if peer.runs[at] == 0 {
                continue;
            }
            if !found(&command[0]) {
                println!("  {}: not here; scripts/peers offers to install it", peer.name);
                continue;
            }
            let mut runs: Vec<Run> = (0..peer.runs[at]).map(|_| run(server, &command)).collect();
            runs.sort_by(|one, other| one.wall.total_cmp(&other.wall));
            let middle = &runs[runs.len() / 2];
            let times = own.map(|own| format!("  {:.1}x", middle.wall / own)).unwrap_or_default();
            own.get_or_insert(middle.wall);
            println!(
                "  {:<36} {:>8.3} s  ({:.3} to {:.3}, {} runs)  CPU {:>6.3} s  {:>5.1} MB  {:>4}  {:>3}{times}",
                peer.name,
                middle.wall,
                runs[0].wall,
                runs[runs.len() - 1].wall,
                runs.len(),
                middle.cpu,
                middle.megabytes,
                middle.connections,
                middle.suites,
            );
        }
    }
}

fn run(server: &mut Server, command: &[String]) -> Run {
    let before = connections(server);
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    child.args(command).env(MEASURE, "1").env("HOME", server.sandbox.dir());
    let output = child.stdin(Stdio::null()).stderr(Stdio::piped()).output().expect("it starts");
    let used = String::from_utf8_lossy(&output.stderr);
    let used = used.lines().rev().find_map(|line| line.strip_prefix("used ")).unwrap_or_default();
    let numbers: Vec<f64> = used.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [wall, cpu, megabytes] = numbers[..] else { panic!("{command:?}: {used:?}") };
    // peers that end without having closed all: the server needs a moment to see it
    std::thread::sleep(Duration::from_millis(50));
    let text = String::from_utf8_lossy(&output.stdout);
    Run { wall, cpu, megabytes, connections: connections(server) - before, suites: suites(&text) }
}

/// Suites as each of them writes them: one a line.
fn suites(text: &str) -> usize {
    let is_suite = |line: &&str| {
        let line = line.trim();
        line.starts_with("Preferred ") // sslscan
            || line.starts_with("Accepted ")
            || (line.starts_with('|') && line.contains("TLS_") && line.contains(" - ")) // nmap
            || line.starts_with("xc") && line.contains("TLS_") // testssl
            || line.starts_with('x') && line.contains("_WITH_")
            || line.starts_with("x13")
            || (line.len() > 8 && line.split(' ').count() == 1 && !line.contains(':') // mytls
                && (line.starts_with("TLS_") || line.contains("-SHA") || line.contains("-POLY1305") || line.contains("CCM")))
    };
    text.lines().filter(is_suite).count()
}

fn connections(server: &mut Server) -> u64 {
    let row: Option<(String, u64)> =
        server.session.query_first("SHOW GLOBAL STATUS LIKE 'Connections'").expect("root may");
    row.expect("every server has it").1
}

/// The rest of the command line, run; on standard error what it used: seconds, seconds of CPU, MB.
fn measured() {
    let command: Vec<_> = std::env::args_os().skip(1).collect();
    let began = Instant::now();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env_remove(MEASURE)
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut said = String::new();
    let _ = child.stdout.take().expect("piped").read_to_string(&mut said);
    let _ = child.wait();
    let wall = began.elapsed().as_secs_f64();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is there");
    let seconds = |time: nix::sys::time::TimeVal| {
        f64::from(u32::try_from(time.tv_sec()).unwrap_or(0))
            + f64::from(u32::try_from(time.tv_usec()).unwrap_or(0)) / 1e6
    };
    let cpu = seconds(used.user_time()) + seconds(used.system_time());
    print!("{said}");
    eprintln!("used {wall} {cpu} {}", u32::try_from(used.max_rss()).unwrap_or(0) / 1024);
}

/// What each leaves in the server's books, seen from 127.0.0.2, with the default of 100.
fn harm(server: &mut Server, name: &str, near: u16) {
    println!(
        "\nwhat one scan of {name} leaves in its books, from 127.0.0.2 with max_connect_errors = 100"
    );
    let ca = server.sandbox.target().ssl_ca.expect("of the sandbox").display().to_string();
    let at = format!("127.0.0.1:{}", server.port);
    let own = |more: &[&str]| {
        let mut all = words(&[MYTLS, "scan", &at, "--bind", "127.0.0.2", "--ssl-ca", &ca]);
        all.extend(words(more));
        all
    };
    let mut rows = vec![("mytls scan", own(&[])), ("mytls scan -u scan", own(&["-u", "scan"]))];
    rows.extend(PEERS.iter().skip(1).map(|peer| (peer.name, (peer.command)(near))));
    for (what, command) in rows {
        if !found(&command[0]) {
            println!("  {what}: not here; scripts/peers offers to install it");
            continue;
        }
        server.session.query_drop("SET GLOBAL max_connect_errors = 100").expect("root may");
        let clear = "TRUNCATE TABLE performance_schema.host_cache";
        if server.session.query_drop(clear).is_err() {
            server.session.query_drop("FLUSH HOSTS").expect("root may");
        }
        let _ = Command::new(&command[0])
            .args(&command[1..])
            .env("HOME", server.sandbox.dir())
            .env("MYSQL_PWD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        std::thread::sleep(Duration::from_millis(50));
        let asked =
            "SELECT SUM_CONNECT_ERRORS FROM performance_schema.host_cache WHERE IP='127.0.0.2'";
        let counted: Option<u64> = server.session.query_first(asked).expect("root may");
        let after = if logs_in(server) { "a login works" } else { "shut out (1129)" };
        println!("  {what:<36} {:>4} counted, then {after}", counted.unwrap_or(0));
    }
}

fn logs_in(server: &Server) -> bool {
    use mytls::wire::{Endpoint, Limits, Login, Outcome, Tls, Trust, login};
    let mut endpoint = Endpoint::new("127.0.0.1", server.port);
    endpoint.bind = Some([127, 0, 0, 2].into());
    let ca = std::fs::read(server.sandbox.target().ssl_ca.expect("of the sandbox"));
    let ca = openssl::x509::X509::stack_from_pem(&ca.expect("it is there")).expect("it is PEM");
    let trust = Trust::Only(ca);
    let password = mytls::secret::Secret::new(PASSWORD);
    let login = login(
        &endpoint,
        &Login { user: "scan", password: &password, tls: Some(Tls::new(&trust)) },
        Limits::default(),
    );
    matches!(login, Ok(Outcome::LetIn { .. }))
}
