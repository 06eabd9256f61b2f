//! What accounts of a real server require, changed as `mytls accounts require` does it: noted in the journal, looked
//! at again before each statement, sent, read back; beside it the same statements sent and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mysql::prelude::Queryable as _;
use mytls::apply::accounts::{apply, plan, raw};
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::session::{self, Route};
use mytls::facts::{AccountName, Require};
use mytls::sandbox::{Fault, Sandbox, SandboxOptions};

/// Changed at a time.
const CHANGED: usize = 1_000;
const ALL: usize = 100_000;
const ROUNDS: usize = 3;

pub fn measure() {
    let servers = std::env::var("MYTLS_SERVERS").unwrap_or("/var/cache/mytls/servers".to_owned());
    println!("\n{CHANGED} accounts are made to require something else, and back, {ROUNDS} times");
    for (name, program) in [("mariadb-10.11", "mariadbd"), ("mysql-9.7", "mysqld")] {
        let path = Path::new(&servers).join(name).join(program);
        if path.is_file() {
            on(name, path);
        } else {
            println!("  {name}: not here; scripts/servers brings it");
        }
    }
}

fn on(name: &str, server: PathBuf) {
    let options =
        SandboxOptions { fault: Fault::none(), server: Some(server), keep: false, base_dir: None };
    let sandbox = Sandbox::start(&options, &mut |_| ()).expect("a server of scripts/servers");
    let target = sandbox.target();
    let socket = Route::Socket(target.socket.clone().expect("of the sandbox"));
    let mut conn = session::open(&target, &socket).expect("root");
    conn.query_drop("CREATE USER 'u0'@'%'").expect("a name of its own");
    for from in [CHANGED, ALL] {
        fill(&mut conn, name, from);
        let facts = gather(&target, &Cancel::default(), &mut |_| ());
        let names: Vec<AccountName> = (0..CHANGED)
            .map(|at| AccountName::new(format!("u{}", at * (from / CHANGED)), "%"))
            .collect();
        let journal = tempfile::tempdir().expect("a folder");
        let journal = journal.path().join("journal.jsonl");
        let (mut whole, mut bare) = (Vec::new(), Vec::new());
        for require in [Require::Ssl, Require::None].iter().cycle().take(2 * ROUNDS) {
            let orders: Vec<_> = names.iter().map(|name| (name.clone(), require.clone())).collect();
            let started = Instant::now();
            let plan = plan(&facts, &orders).expect("they are there");
            let done = apply(&plan, Some(&journal), &[], &mut |_| ()).expect("it may");
            whole.push(started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(done.applied.len(), CHANGED, "{done:?}");
            // the very same once more, and nothing around it
            let started = Instant::now();
            plan.statements.iter().for_each(|sql| conn.query_drop(sql).expect("it did before"));
            bare.push(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("  {name}, of {from} accounts");
        line("plan, journal, look, send, read back", &mut whole);
        line("floor: the statements alone", &mut bare);
        let refs: Vec<&AccountName> = names.iter().collect();
        let mut looked = |together: usize| -> Vec<f64> {
            let all = (0..2 * ROUNDS).map(|_| {
                let started = Instant::now();
                for names in refs.chunks(together) {
                    assert_eq!(raw::some(&mut conn, names).expect("root").len(), names.len());
                }
                started.elapsed().as_secs_f64() * 1e3
            });
            all.collect()
        };
        let (mut by_fifty, mut one_by_one) = (looked(50), looked(1));
        line("of that: looked at again, 50 at a time", &mut by_fifty);
        line("as it would be one by one", &mut one_by_one);
        let all: BTreeSet<&AccountName> = names.iter().collect();
        let mut read = (0..2 * ROUNDS)
            .map(|_| {
                let started = Instant::now();
                assert_eq!(raw::read(&mut conn, &all).expect("root").len(), CHANGED);
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect::<Vec<_>>();
        line("of that: all accounts of the server, read once", &mut read);
    }
}

/// So many accounts, as they are stored.
fn fill(conn: &mut mysql::Conn, name: &str, all: usize) {
    let columns = "Host, ssl_cipher, x509_issuer, x509_subject, plugin, authentication_string";
    let sql = if name.starts_with("mariadb") {
        format!(
            "INSERT IGNORE INTO mysql.global_priv SELECT '%', CONCAT('u', seq), Priv \
             FROM mysql.seq_1_to_{all}, mysql.global_priv WHERE User = 'u0'"
        )
    } else {
        format!(
            "INSERT IGNORE INTO mysql.user (User, {columns}) WITH RECURSIVE seq (n) AS \
             (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {all}) \
             SELECT CONCAT('u', n), {columns} FROM seq, mysql.user WHERE User = 'u0'"
        )
    };
    if !name.starts_with("mariadb") {
        conn.query_drop(format!("SET SESSION cte_max_recursion_depth = {all}")).expect("it may");
    }
    conn.query_drop(sql).expect("root");
    conn.query_drop("FLUSH PRIVILEGES").expect("root");
}

fn line(what: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let (low, middle, high) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("    {what:<48} {middle:>9.1} ms  ({low:.1} to {high:.1}, {} runs)", times.len());
}
