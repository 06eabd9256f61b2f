//! A thousand client certificates: in one batch of mytls, against the bare cost of a thousand key
//! generations and signatures. `make bench` runs it, and `benches/ca-loop.sh` beside it.

use std::time::Instant;

use mytls::ca::batch::{Row, parse};
use mytls::ca::{Authority, AuthoritySpec, Catalog, KeyKind, Store};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;

const CERTIFICATES: usize = 1000;
const MANY: usize = 10_000;
const RUNS: usize = 7;

fn main() {
    let scratch = std::env::temp_dir().join("ca-bench");
    std::fs::create_dir_all(&scratch).expect("TMPDIR is there and writable");
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let name = "Example CA".parse().expect("a plain name");
    let ca = Authority::create(&AuthoritySpec::named(&name)).expect("OpenSSL makes keys");
    let table = rows(CERTIFICATES);
    let rows_of = table.iter().collect::<Vec<&Row>>();

    println!("\n{CERTIFICATES} client certificates, EC P-256, in one process");
    let floor = median(bare);
    line("floor: as many key generations and signatures", floor, None);
    let memory = median(|| {
        let made = ca.prepare_clients(&rows_of, KeyKind::P256, 397, now);
        assert_eq!(made.expect("plain names").len(), CERTIFICATES);
    });
    line("mytls: issued, as PEM, in memory", memory, Some(floor));
    let mut run = 0;
    let whole = median(|| {
        run += 1;
        let dir = scratch.join(format!("ca{run}"));
        let store = Store::install(&dir, ca.clone()).expect("an empty folder");
        let batch = store.issue_clients(&table, KeyKind::P256, 397, now).expect("it is writable");
        assert_eq!(batch.issued.len(), CERTIFICATES);
    });
    line("mytls: the same and 4 files each, on the disk", whole, Some(floor));

    let dir = scratch.join("many");
    let store = Store::install(&dir, ca).expect("an empty folder");
    let many = rows(MANY);
    store.issue_clients(&many, KeyKind::P256, 397, now).expect("it is writable");
    let list = median(|| {
        let catalog = Catalog::read(&dir).expect("it was just written");
        assert_eq!(catalog.entries.len(), MANY);
    });
    line(&format!("a list of {MANY} read"), list, None);
}

fn rows(count: usize) -> Vec<Row> {
    let table: Vec<String> = (0..count).map(|n| format!("app{n}")).collect();
    parse(&table.join("\n")).expect("plain names")
}

/// What cannot be saved: a key and a signature for each.
fn bare() {
    let ca = KeyKind::P256.generate().expect("OpenSSL makes keys");
    for _ in 0..CERTIFICATES {
        let key = KeyKind::P256.generate().expect("OpenSSL makes keys");
        let mut signer = Signer::new(MessageDigest::sha256(), &ca).expect("it signs");
        let signature = signer.sign_oneshot_to_vec(&[7; 300]).expect("it signs");
        std::hint::black_box((key, signature));
    }
}

/// Milliseconds of CPU and of the clock; the run in the middle by CPU.
#[derive(Clone, Copy)]
struct Cost {
    user: f64,
    system: f64,
    clock: f64,
}

fn median(mut work: impl FnMut()) -> Cost {
    let mut costs: Vec<Cost> = (0..RUNS)
        .map(|_| {
            let (user, system) = cpu();
            let since = Instant::now();
            work();
            let clock = since.elapsed().as_secs_f64() * 1000.0;
            let (user_now, system_now) = cpu();
            Cost { user: user_now - user, system: system_now - system, clock }
        })
        .collect();
    costs.sort_by(|a, b| (a.user + a.system).total_cmp(&(b.user + b.system)));
    costs[RUNS / 2]
}

/// Milliseconds of CPU used so far, by this program and by the system for it.
fn cpu() -> (f64, f64) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("Linux says so");
    #[allow(clippy::cast_precision_loss)] // microseconds of minutes
    let milliseconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1000.0;
    (milliseconds(usage.user_time()), milliseconds(usage.system_time()))
}

fn line(what: &str, cost: Cost, beside: Option<Cost>) {
    let total = cost.user + cost.system;
    let ratio = beside.map(|floor| format!("  {:.2}x", total / (floor.user + floor.system)));
    println!(
        "  {what:<48} {total:>7.1} ms CPU ({:.1} user, {:.1} system), {:.1} ms by the clock{}",
        cost.user,
        cost.system,
        cost.clock,
        ratio.unwrap_or_default()
    );
}
