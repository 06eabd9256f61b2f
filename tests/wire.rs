//! The wire and the login matrix against a real server: what it presents, what an account really
//! requires, and that looking does no harm.
//!
//! Without a server these tests fail under `CI=true`, and say elsewhere that they were skipped.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mytls::ca::Store;
use mytls::facts::{AccountName, Flavor, Require};
use mytls::prove::{self, Case, Expected, Happened, Matrix, Subject, Witness};
use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions};
use mytls::secret::Secret;
use mytls::wire::{
    self, ClientIdentity, Endpoint, Handshake, Limits, TlsOffer, Trust, WireError, WireFacts,
};
use mytls::x509::chain::VerifyFault;
use mytls::x509::{Certificate, OneLine, pem};

fn start(fault: &str, base: &Path) -> Option<Sandbox> {
    let options = SandboxOptions {
        fault: Fault::named(fault).unwrap(),
        server: std::env::var_os("MYTLS_TEST_SERVER").map(PathBuf::from),
        keep: false,
        base_dir: Some(base.to_owned()),
    };
    match Sandbox::start(&options, &mut |_| ()) {
        Ok(sandbox) => Some(sandbox),
        Err(SandboxError::NoServer) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("skipped: there is no MariaDB or MySQL server here; make setup installs one");
            None
        }
        Err(error) => panic!("{fault}: {error}"),
    }
}

/// A base folder that the server's user may pass through.
fn base() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let base = tempfile::Builder::new().prefix("wi").tempdir_in("/tmp").unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    base
}

fn endpoint(sandbox: &Sandbox) -> Endpoint {
    let target = sandbox.target();
    Endpoint::new(target.host.clone().unwrap(), target.port())
}

fn trust(sandbox: &Sandbox) -> Trust {
    let ca = fs::read(sandbox.dir().join("client/ca.pem")).unwrap();
    Trust::Only(pem::certificates(&ca).unwrap())
}

fn identity(sandbox: &Sandbox) -> ClientIdentity {
    let client = sandbox.dir().join("client");
    ClientIdentity::load(&client.join("app-cert.pem"), &client.join("app-key.pem")).unwrap()
}

/// What `app@%` REQUIREs in a healthy sandbox.
fn app_require(sandbox: &Sandbox) -> Require {
    let leaf = Certificate::from_openssl(&identity(sandbox).chain[0]);
    let line = |name: &mytls::x509::Name| name.oneline(OneLine::OpenSsl3);
    let (subject, issuer) = (line(&leaf.subject), line(&leaf.issuer));
    Require::Specified { subject, issuer, cipher: String::new() }
}

fn probe(sandbox: &Sandbox) -> WireFacts {
    wire::probe(&endpoint(sandbox), &trust(sandbox), Limits::default(), &mut |_| ()).unwrap()
}

fn handshake(sandbox: &Sandbox) -> Handshake {
    match probe(sandbox).tls {
        TlsOffer::Established(handshake) => handshake,
        other => panic!("{other:?}"),
    }
}

fn matrix(sandbox: &Sandbox, user: &str, require: &Require, enforced: bool) -> Matrix {
    let accounts = sandbox.accounts();
    let (account, password) =
        accounts.iter().find(|(account, _)| account.user == user).expect("the sandbox's account");
    let store = Store::open(&sandbox.target().ca_dir.unwrap()).unwrap();
    let authority = store.authority();
    let subject = Subject {
        endpoint: endpoint(sandbox),
        flavor: sandbox.flavor(),
        dialect: None,
        crls: Vec::new(),
        old_tls: false,
        around: prove::Around::default(),
        account: account.clone(),
        password: Some(password),
        require,
        transport_enforced: enforced,
        trust: trust(sandbox),
        identity: identity(sandbox),
        ca: Some((authority.certificate.clone(), authority.key.clone())),
    };
    let mut told = Vec::new();
    let matrix =
        prove::matrix(&subject, &mut Witness::deaf(""), &mut |row| told.push(row.clone()), &|| {
            false
        });
    assert_eq!(told, matrix.rows, "every row is told as it comes");
    matrix
}

fn happened(matrix: &Matrix, case: Case) -> &Happened {
    &matrix.row(case).unwrap().happened
}

#[test]
fn an_account_is_proven_to_need_its_certificate() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };

    let app = matrix(&sandbox, "app", &app_require(&sandbox), true);
    assert!(app.proved(), "{app:#?}");
    assert_eq!(app.summary(), "Proved: app@% needs its certificate.");
    assert!(app.rows.iter().all(|row| row.was_tried() && row.holds()), "{app:#?}");
    let refused = |reason: &str| Happened::HandshakeRefused { reason: reason.to_owned() };
    assert_eq!(*happened(&app, Case::OtherCa), refused("unknown ca"));
    assert_eq!(*happened(&app, Case::Expired), refused("certificate expired"));
    assert!(matches!(happened(&app, Case::OtherSubject), Happened::Refused { code: 1045, .. }));
    let account = "app@%".to_owned();
    assert!(
        matches!(happened(&app, Case::RightCertificate), Happened::LetIn { account: a, .. } if *a == account)
    );

    let web = matrix(&sandbox, "web", &Require::X509, true);
    assert_eq!(web.summary(), "Proved: web@% needs a certificate; any of this CA will do.");

    // MySQL writes it at log_error_verbosity 3 only.
    let log = fs::read_to_string(sandbox.dir().join("error.log")).unwrap();
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    if sandbox.flavor() == Flavor::MariaDb {
        let read = |line: &String| prove::Mismatch::read(line.as_bytes(), None);
        let mismatch = lines.iter().rev().find_map(read).unwrap();
        assert_eq!(mismatch.server_saw, "/CN=mytls proof of another subject");
        assert!(mismatch.account_says.starts_with('/'), "{mismatch:?}");
    }
}

#[test]
fn what_the_server_does_not_enforce_is_not_proved() {
    let base = base();
    let Some(sandbox) = start("account-without-require", base.path()) else { return };
    let promised = matrix(&sandbox, "app", &app_require(&sandbox), false);
    assert!(!promised.proved());
    for case in [Case::NoTls, Case::NoCertificate, Case::OtherSubject] {
        let row = promised.row(case).unwrap();
        assert_eq!(row.expected, Expected::Refused);
        assert!(matches!(row.happened, Happened::LetIn { .. }) && !row.holds(), "{row:?}");
    }
    assert!(promised.summary().starts_with("Not proved: the login to app@% with no TLS"));
    let as_it_is = matrix(&sandbox, "app", &Require::None, false);
    assert!(as_it_is.proved(), "{as_it_is:#?}");
    assert_eq!(as_it_is.summary(), "As its REQUIRE NONE says: app@% is let in without TLS.");
}

#[test]
fn nothing_is_proved_with_a_wrong_password() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    let (password, require) = (Secret::new("wrong"), app_require(&sandbox));
    let subject = Subject {
        endpoint: endpoint(&sandbox),
        flavor: sandbox.flavor(),
        dialect: None,
        crls: Vec::new(),
        old_tls: false,
        around: prove::Around::default(),
        account: AccountName::new("app", "%"),
        password: Some(&password),
        require: &require,
        transport_enforced: true,
        trust: trust(&sandbox),
        identity: identity(&sandbox),
        ca: None,
    };
    let matrix = prove::matrix(&subject, &mut Witness::deaf(""), &mut |_| (), &|| false);
    assert!(!matrix.proved());
    assert!(matches!(happened(&matrix, Case::RightCertificate), Happened::Refused { .. }));
    let tried = matrix.rows.iter().filter(|row| row.was_tried()).count();
    assert_eq!(tried, 1, "no account is locked by wrong passwords in a row");

    let cancelled = prove::matrix(&subject, &mut Witness::deaf(""), &mut |_| (), &|| true);
    assert!(cancelled.rows.iter().all(|row| !row.was_tried()));
}

#[test]
fn a_probe_sees_what_a_strict_client_sees() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    let facts = probe(&sandbox);
    assert_eq!(facts.greeting.flavor, sandbox.flavor());
    let seen = handshake(&sandbox);
    assert_eq!((seen.faults, seen.name_matches), (Some(vec![]), true));
    assert!(seen.version.starts_with("TLSv1.") && !seen.cipher.is_empty());
    assert!(seen.chain.len() >= 2, "the issuing CA is sent along");
}

#[test]
fn a_probe_finds_the_faults_of_the_sandbox() {
    let expired = |seen: &Handshake| {
        seen.faults.as_ref().unwrap().iter().any(|fault| fault.code == VerifyFault::HAS_EXPIRED)
    };
    let incomplete =
        |seen: &Handshake| seen.faults.as_ref().unwrap().iter().any(VerifyFault::is_incomplete);
    for fault in ["expired-server-certificate", "chain-incomplete"] {
        let base = base();
        let Some(sandbox) = start(fault, base.path()) else { return };
        let seen = handshake(&sandbox);
        let found = if fault == "chain-incomplete" { incomplete(&seen) } else { expired(&seen) };
        assert!(found, "{fault}: {:?}", seen.faults);
    }
    let base = base();
    let Some(sandbox) = start("no-tls", base.path()) else { return };
    // MySQL goes on with the certificates that it made for itself when its data folder was made.
    if sandbox.flavor() == Flavor::MariaDb {
        assert_eq!(probe(&sandbox).tls, TlsOffer::NotOffered);
    }
}

/// Loopback is exempt only as 127.0.0.1, and only where addresses are looked up; so this comes
/// from 127.0.0.2 to a server that does.
#[test]
fn looking_and_proving_do_not_get_the_host_blocked() {
    let base = base();
    let Some(sandbox) = start("none", base.path()) else { return };
    let config = sandbox.dir().join("my.cnf");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("skip_name_resolve\n", "max_connect_errors = 4\n");
    fs::write(&config, text).unwrap();
    sandbox.restart().unwrap();

    let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let endpoint = Endpoint { bind: Some(own), ..endpoint(&sandbox) };
    let look = || wire::probe(&endpoint, &trust(&sandbox), Limits::default(), &mut |_| ());
    for number in 1..=10 {
        assert!(look().is_ok(), "probe {number}: {:?}", look());
    }

    let accounts = sandbox.accounts();
    let require = app_require(&sandbox);
    let store = Store::open(&sandbox.target().ca_dir.unwrap()).unwrap();
    let authority = store.authority();
    let subject = Subject {
        endpoint: endpoint.clone(),
        flavor: sandbox.flavor(),
        dialect: None,
        crls: Vec::new(),
        old_tls: false,
        around: prove::Around::default(),
        account: accounts[0].0.clone(),
        password: Some(&accounts[0].1),
        require: &require,
        transport_enforced: true,
        trust: trust(&sandbox),
        identity: identity(&sandbox),
        ca: Some((authority.certificate.clone(), authority.key.clone())),
    };
    for number in 1..=5 {
        let matrix = prove::matrix(&subject, &mut Witness::deaf(""), &mut |_| (), &|| false);
        assert!(matrix.proved(), "matrix {number}: {matrix:#?}");
    }

    // That the server does block who gives up early shows that the above means something.
    let address = SocketAddr::from(([127, 0, 0, 1], endpoint.port));
    for _ in 0..6 {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect_timeout(&address.into(), Duration::from_secs(5)).unwrap();
        let _ = (&socket).read(&mut [0; 100]);
    }
    match look() {
        Err(WireError::Server { code: 1129, .. }) => {}
        other => panic!("the server blocks nobody, so nothing was shown: {other:?}"),
    }
}
