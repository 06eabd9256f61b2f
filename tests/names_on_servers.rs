//! The same string as the server's, always: certificates with odd names, the statement of
//! `mytls grant` for each through the real client program, then logins: the right certificate gets
//! in, one that differs in a byte does not.

mod common;
#[path = "common/names.rs"]
mod names;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use common::lab::{self, Program, Server, side_by_side};
use mytls::facts::{Flavor, Version};
use mytls::remedy::statement::reload;
use mytls::sandbox::{Fault, Series};
use mytls::secret::Secret;
use mytls::wire::{ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust, WireError, login};
use mytls::x509::{Certificate, OneLine, pem};
use names::{Issuer, Pair, subject};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;

const NAMES: usize = 540;
/// What a session may be set to, and the client program started with: each for its part of the names.
const SETTINGS: [(&str, &str); 6] = [
    ("STRICT_TRANS_TABLES", "utf8mb4"),
    ("ANSI_QUOTES", "latin1"),
    ("NO_BACKSLASH_ESCAPES", "gbk"),
    ("ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "sjis"),
    ("PIPES_AS_CONCAT,IGNORE_SPACE", "big5"),
    ("", "cp932"),
];

#[test]
fn names_are_written_as_libcrypto_writes_them() {
    let pairs = Issuer::new(ec).pairs(NAMES, OneLine::OpenSsl3);
    let certificates: Vec<&X509> = pairs.iter().map(|pair| &pair.right).collect();
    let theirs = side_by_side(&certificates, |certificate| oneline_of_openssl(certificate));
    for (certificate, theirs) in certificates.iter().zip(theirs) {
        let ours = Certificate::from_openssl(certificate).subject.oneline(OneLine::OpenSsl3);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn the_right_certificate_gets_in_and_its_neighbour_does_not() {
    for program in lab::servers() {
        if program.series == Series::MySql56 {
            on_yassl();
        } else {
            prove(&program);
        }
    }
}

/// OpenSSL refuses to speak with yaSSL unless its configuration says otherwise, and reads that once:
/// so this test is run again, in a process that has it.
fn on_yassl() {
    const AGAIN: &str = "yassl_by_the_configuration_of_its_time";
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/tls1.cnf");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", AGAIN, "--ignored", "--nocapture"]).env("OPENSSL_CONF", settings);
    let said = run(&mut command, "");
    let line = said.lines().find(|line| line.contains("names proven")).expect(AGAIN);
    println!("{line}");
}

#[test]
#[ignore = "the test above runs it, with an OPENSSL_CONF"]
fn yassl_by_the_configuration_of_its_time() {
    let servers = lab::servers();
    prove(servers.iter().find(|program| program.series == Series::MySql56).unwrap());
}

fn prove(program: &Program) {
    let shop = Shop::open(program);
    let pairs = shop.issuer.pairs(NAMES, shop.library());
    let written = shop.write_statements(&pairs);
    let refused = written.iter().filter(|one| one.is_err()).count();
    shop.create_accounts(&written);
    shop.apply(&written);
    // so that what counts is what was stored, and not what the statement left in memory
    shop.server.sql("FLUSH PRIVILEGES").unwrap();
    let numbered: Vec<(usize, &Pair)> = pairs.iter().enumerate().collect();
    let misses = side_by_side(&numbered, |(at, pair)| shop.try_pair(*at, pair, &written[*at]));
    let misses: Vec<String> = misses.into_iter().flatten().collect();
    let proven = pairs.len() - refused;
    println!(
        "{}: {proven} names proven, {refused} refused with their reason, {} misses",
        shop.server.sandbox.server(),
        misses.len()
    );
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    let least = if shop.library() == OneLine::YaSsl { 200 } else { 500 };
    assert!(proven >= least, "{proven}");
}

/// A server that trusts the CA with the odd name.
struct Shop {
    server: Server,
    series: Series,
    issuer: Issuer,
    files: tempfile::TempDir,
}

/// The statement of an account, or why there is none.
type Statement = Result<String, String>;

impl Shop {
    fn open(program: &Program) -> Self {
        let server = program.start(&Fault::named("none").unwrap());
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let series = server.sandbox.series();
        let issuer = Issuer::new(if series == Series::MySql56 { rsa } else { ec });
        let trusted = server.dir().join("tls/ca.pem");
        let own = String::from_utf8(issuer.certificate.to_pem().unwrap()).unwrap();
        let before = fs::read_to_string(&trusted).unwrap();
        fs::write(&trusted, before + &own).unwrap();
        let (flavor, version) = match series {
            Series::MySql97 => (Flavor::MySql, Version(9, 7, 0)),
            Series::MySql56 => (Flavor::MySql, Version(5, 6, 24)),
            Series::MariaDb1011 => (Flavor::MariaDb, Version(10, 11, 0)),
            Series::MariaDb118 => (Flavor::MariaDb, Version(11, 8, 0)),
        };
        match reload(flavor, version) {
            Some(reload) => drop(server.sql(reload).unwrap()),
            None => server.sandbox.restart().unwrap(),
        }
        Self { server, series, issuer, files: tempfile::tempdir().unwrap() }
    }

    fn library(&self) -> OneLine {
        if self.series == Series::MySql56 { OneLine::YaSsl } else { OneLine::OpenSsl3 }
    }

    /// By the program, a process for each; every tenth asks the server, the others name it.
    fn write_statements(&self, pairs: &[Pair]) -> Vec<Statement> {
        let files: Vec<_> = (0..pairs.len())
            .map(|at| {
                let file = self.files.path().join(format!("{at}.pem"));
                fs::write(&file, pairs[at].right.to_pem().unwrap()).unwrap();
                file
            })
            .collect();
        // those that ask need the account
        let asked: Vec<usize> = (0..pairs.len()).step_by(10).collect();
        let sql: Vec<String> =
            asked.iter().map(|at| format!("CREATE USER {}", account(*at))).collect();
        self.server.sql(&sql.join(";")).unwrap();
        side_by_side(&files, |file| {
            let at: usize = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let (user, cert) = (account(at), file.to_str().unwrap());
            let library = if self.library() == OneLine::YaSsl { "yassl" } else { "openssl-3" };
            let output = if at.is_multiple_of(10) {
                self.server.mytls("grant", &["--cert", cert, "--user", &user])
            } else {
                let server = ["--dialect", self.series.name(), "--tls-library", library];
                lab::mytls()
                    .args(["grant", "--cert", cert, "--user", &user])
                    .args(server)
                    .output()
                    .unwrap()
            };
            statement(&output)
        })
    }

    fn create_accounts(&self, written: &[Statement]) {
        let missing = (0..written.len()).filter(|at| at % 10 != 0);
        let sql: Vec<String> = missing.map(|at| format!("CREATE USER {};", account(at))).collect();
        self.pipe(&sql.join("\n"), "utf8mb4");
    }

    fn apply(&self, written: &[Statement]) {
        let part = written.len().div_ceil(SETTINGS.len());
        for ((mode, charset), part) in SETTINGS.iter().zip(written.chunks(part)) {
            self.server.sql(&format!("SET GLOBAL sql_mode = '{mode}'")).unwrap();
            let sql: String = part.iter().flatten().map(String::as_str).collect();
            self.pipe(&sql, charset);
        }
        self.server.sql("SET GLOBAL sql_mode = ''").unwrap();
    }

    /// Through the server's own client program where that is here.
    fn pipe(&self, sql: &str, charset: &str) {
        let name = if self.series == Series::MySql97 { "usr/bin/mysql" } else { "usr/bin/mariadb" };
        let own = lab::program_of(self.series.name(), name);
        let words = own.unwrap_or_else(|| vec![lab::client().into()]);
        let mut client = Command::new(&words[0]);
        client.args(&words[1..]);
        client.arg(format!("--defaults-file={}", self.server.dir().join("client.cnf").display()));
        client.arg(format!("--default-character-set={charset}")).arg("--batch");
        run(&mut client, sql);
    }

    /// What went wrong.
    fn try_pair(&self, at: usize, pair: &Pair, written: &Statement) -> Option<String> {
        let mut line = subject(&pair.right, self.library());
        let wide = line.len() + line.matches(['\\', '"']).count();
        if wide > 1024 && self.series != Series::MySql97 && self.library() != OneLine::YaSsl {
            line.clear(); // more than a MariaDB keeps
        }
        match written {
            Err(said) => {
                // what may be refused is what has no text of its own
                let reasoned = line.is_empty() && said.contains(": use a certificate");
                return (!reasoned).then(|| format!("{at} {line:?}: refused: {said}"));
            }
            Ok(_) if line.is_empty() => return Some(format!("{at}: it should have been refused")),
            Ok(_) => {}
        }
        let right = self.try_login(at, &pair.right);
        let let_in =
            matches!(&right, Ok(Outcome::LetIn { account, .. }) if *account == format!("n{at}@%"));
        if !let_in {
            return Some(format!("{at} {line:?}: {right:?}"));
        }
        let other = pair.neighbour.as_ref()?;
        let refused = self.try_login(at, other);
        let by_account = matches!(refused, Ok(Outcome::Refused { code: 1045, .. }));
        (!by_account).then(|| {
            format!("{at} {line:?}, not {:?}: {refused:?}", subject(other, self.library()))
        })
    }

    fn try_login(&self, at: usize, certificate: &X509) -> Result<Outcome, WireError> {
        let trust = fs::read(self.server.sandbox.target().ssl_ca.unwrap()).unwrap();
        let trust = Trust::Only(pem::certificates(&trust).unwrap());
        let key = self.issuer.leaf_key.clone();
        let identity = ClientIdentity { chain: vec![certificate.clone()], key };
        let tls = Tls { identity: Some(&identity), ..Tls::new(&trust) };
        let (user, password) = (format!("n{at}"), Secret::new(""));
        let how = Login { user: &user, password: &password, tls: Some(tls) };
        let endpoint = Endpoint::new("127.0.0.1", self.server.sandbox.target().port());
        login(&endpoint, &how, Limits::default())
    }
}

fn account(at: usize) -> String {
    format!("'n{at}'@'%'")
}

fn statement(output: &Output) -> Statement {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(2) => Err(text(&output.stderr)),
        code => panic!("{code:?}: {}", text(&output.stderr)),
    }
}

/// `X509_NAME_oneline`, as the `openssl` command calls it for `-nameopt compat`.
fn oneline_of_openssl(certificate: &X509) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-subject", "-nameopt", "compat"]);
    let said = run(&mut command, &String::from_utf8(certificate.to_pem().unwrap()).unwrap());
    said.strip_prefix("subject=").and_then(|text| text.strip_suffix('\n')).unwrap().to_owned()
}

fn run(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // it may stop reading at an error, of which it then says more
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn ec() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}
