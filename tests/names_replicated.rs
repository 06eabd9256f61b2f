//! Accounts whose names are odd, on a source with a replica: what `mytls grant` prints arrives byte
//! for byte, and replication goes on, when one does what it says.

mod common;
#[path = "common/names.rs"]
mod names;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::lab::{self, Server, side_by_side};
use mytls::sandbox::{Fault, Series};
use names::Issuer;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;

/// An account and the common name of its certificate; what the shell would do to them is not asked.
const ACCOUNTS: [(&str, &str); 8] = [
    ("plain", "plain"),
    ("Jörg", "Jörg"),
    (r"back\slash\", r"back\slash\"),
    ("o'hara", "A/B + C"),
    ("tick`quote\"", "\"x\" `y`; -- "),
    ("new\nline", "new\nline"),
    ("neil", "o'neil"),
    (r"o'\both", r"o'\both 漢"),
];

#[test]
fn names_arrive_byte_for_byte_and_replication_goes_on() {
    for program in lab::servers() {
        if !matches!(program.series, Series::MySql97 | Series::MariaDb1011) {
            continue;
        }
        let servers = side_by_side(&[1, 2], |id| {
            let server = program.start(&Fault::named("none").unwrap()).unwrap();
            let file = server.dir().join("my.cnf");
            let text = fs::read_to_string(&file).unwrap().replace("loose_disable_log_bin\n", "");
            let gtid = match program.series {
                Series::MySql97 => "gtid_mode = ON\nenforce_gtid_consistency = ON\n",
                _ => "",
            };
            fs::write(&file, format!("{text}server_id = {id}\nlog_bin = bin\n{gtid}")).unwrap();
            server.sandbox.restart().unwrap();
            server
        });
        let [source, replica] = <[Server; 2]>::try_from(servers).ok().unwrap();
        follow(&replica, &source);
        let issuer = Issuer::new(|| {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        });
        let mut by_hand = 0;
        for (user, name) in ACCOUNTS {
            let quoted = format!("'{}'@'%'", user.replace('\\', r"\\").replace('\'', "''"));
            let typed = format!("'{}'@'%'", user.replace('\'', "''"));
            pipe(&source, &format!("CREATE USER {quoted};"));
            catch_up(&replica, &source);
            let cert = source.dir().join("odd.pem");
            fs::write(&cert, issuer.plain(name).to_pem().unwrap()).unwrap();
            let output =
                source.mytls("grant", &["--cert", cert.to_str().unwrap(), "--user", &typed]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{user}: {said}");
            let sql = String::from_utf8(output.stdout).unwrap();
            pipe(&source, &sql);
            if said.contains("run the same statements on every replica") {
                pipe(&replica, &sql);
                by_hand += 1;
            }
            catch_up(&replica, &source);
            let (there, here) = (stored(&source, &quoted), stored(&replica, &quoted));
            assert!(there.contains("SPECIFIED"), "{user}: {there}");
            assert_eq!(there, here, "{user}: {sql}\n{said}");
        }
        let apostrophes = if program.series == Series::MySql97 { 2 } else { 0 };
        assert_eq!(by_hand, apostrophes);
        a_dump_is_as_it_was_said_to_be(&source, &replica);
        println!(
            "{}: {} accounts replicated, {by_hand} of them as told",
            source.sandbox.server(),
            ACCOUNTS.len()
        );
    }
}

/// SHOW CREATE USER of a name with backslashes, run again with and without what the warning says.
fn a_dump_is_as_it_was_said_to_be(source: &Server, replica: &Server) {
    let account = "'Jörg'@'%'";
    let before = stored(source, account);
    let dump = pipe(source, &format!("SHOW CREATE USER {account};"));
    let again = |first: &str| {
        pipe(source, &format!("DROP USER {account}; {first}{dump};"));
        stored(source, account)
    };
    let told = again("SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); ");
    let plain = again("");
    if source.sandbox.series() == Series::MySql97 {
        assert_eq!(told, before);
        assert_ne!(plain, before, "the warning is not needed any more");
    } else {
        assert_eq!(plain, before, "it escapes what it shows, so nothing is warned of");
    }
    catch_up(replica, source);
}

fn follow(replica: &Server, source: &Server) {
    let target = source.sandbox.target();
    let (port, password) = (target.port.unwrap(), target.password.unwrap());
    let password = password.expose();
    pipe(
        replica,
        &match source.sandbox.series() {
            Series::MySql97 => format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, SOURCE_USER = \
             'root', SOURCE_PASSWORD = '{password}', SOURCE_SSL = 1, SOURCE_AUTO_POSITION = 1; \
             START REPLICA;"
            ),
            _ => format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'root', \
             MASTER_PASSWORD = '{password}', MASTER_SSL = 1, MASTER_USE_GTID = slave_pos; START SLAVE;"
            ),
        },
    );
}

/// Waits until the replica has what the source has; panics when it stopped.
fn catch_up(replica: &Server, source: &Server) {
    let mysql = source.sandbox.series() == Series::MySql97;
    let (position, status) = if mysql {
        ("SELECT @@GLOBAL.gtid_executed", "SHOW REPLICA STATUS")
    } else {
        ("SELECT @@GLOBAL.gtid_current_pos", "SHOW ALL SLAVES STATUS")
    };
    let wanted = pipe(source, position);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = if mysql {
            pipe(
                replica,
                &format!(
                    "SELECT GTID_SUBSET('{}', @@GLOBAL.gtid_executed)",
                    wanted.replace('\n', "")
                ),
            )
        } else {
            let reached = format!("SELECT MASTER_GTID_WAIT('{wanted}', 1)");
            if pipe(replica, &reached) == "0" { "1".to_owned() } else { "0".to_owned() }
        };
        if found == "1" {
            return;
        }
        let status = pipe(replica, status);
        assert!(!status.contains("1064") && Instant::now() < deadline, "{status}");
        sleep(Duration::from_millis(50));
    }
}

/// What the table holds of an account, in hexadecimal.
fn stored(server: &Server, account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap();
    pipe(
        server,
        &format!(
            "SELECT ssl_type, HEX(x509_subject), HEX(x509_issuer), HEX(ssl_cipher) FROM mysql.user \
             WHERE user = {user} AND host = {host};"
        ),
    )
}

/// Statements from a pipe, as root over the socket; what came of them, as it is.
fn pipe(server: &Server, sql: &str) -> String {
    let mysql = server.sandbox.series() == Series::MySql97;
    let own = lab::program_of(
        server.sandbox.series().name(),
        if mysql { "usr/bin/mysql" } else { "usr/bin/mariadb" },
    );
    let words = own.unwrap_or_else(|| vec![lab::client().into()]);
    let mut client = Command::new(&words[0]);
    client.args(&words[1..]);
    client.arg(format!("--defaults-file={}", server.dir().join("client.cnf").display()));
    client.args(["--default-character-set=utf8mb4", "--batch", "--raw", "--skip-column-names"]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}
