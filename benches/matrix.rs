//! The full login matrix of one account on every server that `scripts/servers` brought, from an
//! address that is not exempt from `max_connect_errors`; beside it as many logins with the `mysql`
//! client of this host, in a loop.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use mytls::apply::Plan;
use mytls::ca::Store;
use mytls::facts::gather::{Cancel, gather};
use mytls::prove::{Subject, Witness, matrix};
use mytls::sandbox::{Fault, Sandbox, SandboxOptions};
use mytls::wire::ClientIdentity;

const RUNS: usize = 15;
/// Looks up who comes: without that nobody is ever blocked.
const SET_UP: &str = "title = \"\"\ndescription = \"\"\n\
    [[changes]]\ndo = \"remove-options\"\nnames = [\"skip_name_resolve\"]\n";

fn main() {
    println!("\nthe login matrix of one account, six logins with their reasons, from 127.0.0.2");
    let servers = std::env::var("MYTLS_SERVERS").unwrap_or("/var/cache/mytls/servers".to_owned());
    for (name, program) in
        [("mariadb-10.11", "mariadbd"), ("mariadb-11.8", "mariadbd"), ("mysql-9.7", "mysqld")]
    {
        let path = Path::new(&servers).join(name).join(program);
        if path.is_file() {
            measure(name, path);
        } else {
            println!("  {name}: not here; scripts/servers brings it");
        }
    }
}

fn measure(name: &str, server: PathBuf) {
    let fault = Fault::from_toml("bench", SET_UP).expect("it is written above");
    let options = SandboxOptions { fault, server: Some(server), keep: false, base_dir: None };
    let sandbox = Sandbox::start(&options, &mut |_| ()).expect("a server of scripts/servers");
    let facts = gather(&sandbox.target(), &Cancel::default(), &mut |_| ());
    let server = facts.server.read().expect("it runs");
    let accounts = server.accounts.read().expect("root may read them");
    let account = accounts.iter().find(|a| a.name.user == "app").expect("of the sandbox");
    let folder = sandbox.dir().join("client");
    let identity = ClientIdentity::load(&folder.join("app-cert.pem"), &folder.join("app-key.pem"));
    let identity = identity.expect("of the sandbox");
    let store =
        Store::open(facts.target.ca_dir.as_ref().expect("of the sandbox")).expect("as made");
    let ca = (store.authority().certificate.clone(), store.authority().key.clone());
    let password = &sandbox.accounts()[0].1;

    let (mut connections, mut errors) = (0, None);
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let (identity, ca) = (identity.clone(), Some(ca.clone()));
            let subject = Subject::of(&facts, account, Some(password), identity, ca);
            let mut subject = subject.expect("it answers");
            subject.endpoint.bind = Some([127, 0, 0, 2].into());
            let started = Instant::now();
            let mut witness = Witness::open(&facts, Plan::session_of(&facts).as_ref());
            let matrix = matrix(&subject, &mut witness, &mut |_| (), &|| false);
            drop(witness);
            let took = started.elapsed().as_secs_f64();
            assert!(matrix.proved(), "{matrix:#?}");
            (connections, errors) = (matrix.connections, matrix.connect_errors);
            took
        })
        .collect();
    let errors = errors.map_or_else(|| "?".to_owned(), |errors| errors.to_string());
    line(
        &format!("mytls, {name}: {connections} connections, {errors} errors counted after"),
        &mut times,
    );

    let options = sandbox.dir().join("app.cnf");
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            (0..connections).for_each(|_| log_in(&options));
            started.elapsed().as_secs_f64()
        })
        .collect();
    line(&format!("mysql, {name}: {connections} logins in a loop"), &mut times);
}

fn log_in(options: &Path) {
    let client = ["mariadb", "mysql"].into_iter().find(|name| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(name).is_file())
    });
    let status = Command::new(client.expect("a client is on PATH"))
        .arg(format!("--defaults-file={}", options.display()))
        .args(["-e", "SELECT CURRENT_USER()"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("it can be run").success());
}

fn line(what: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let of = |at: usize| times[at] * 1000.0;
    let (low, middle, high) = (of(0), of(times.len() / 2), of(times.len() - 1));
    println!("  {what:<62} {middle:>7.1} ms  ({low:.1} to {high:.1}, {} runs)", times.len());
}
