//! Sessions over TCP: on real servers, and with one who stands in between.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::lab::{Server, mytls, server};
use mysql::prelude::Queryable as _;
use mytls::facts::Target;
use mytls::facts::session::{self, Route, Tls};
use mytls::wire::Trust;
use mytls::x509::pem;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use serde_json::Value;

/// `mytls check` over TCP alone, as this option file says.
fn check(server: &Server, account: &str, arguments: &[&str]) -> Value {
    let output = mytls()
        .arg("check")
        .arg("--defaults-file")
        .arg(server.dir().join(format!("{account}.cnf")))
        .args(["-h", "127.0.0.1", "-P", &server.sandbox.target().port().to_string()])
        .arg("--ssl-ca")
        .arg(server.dir().join("client/ca.pem"))
        .args(["--format", "json", "--with-facts"])
        .args(arguments)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

#[test]
fn every_account_gets_its_session_over_tcp() {
    let Some(server) = server("none") else { return };
    // caching_sha2_password forgets what it remembered: the password itself has to be sent
    server.sql("FLUSH PRIVILEGES").unwrap();
    let root = check(&server, "client", &[]);
    let text = root.to_string();
    assert!(text.contains("root@127.0.0.1"), "{text}");

    let client = server.dir().join("client");
    let certificate = client.join("app-cert.pem").display().to_string();
    let key = client.join("app-key.pem").display().to_string();
    let identity = ["--ssl-cert", &certificate, "--ssl-key", &key];
    for _ in 0..2 {
        let app = check(&server, "app", &identity);
        let text = app.to_string();
        assert!(text.contains("\"app@%\"") && text.contains("TLSv1."), "{text}");
    }
    let options = std::fs::read_to_string(server.dir().join("app.cnf")).unwrap();
    let bare: Vec<&str> = options
        .lines()
        .filter(|line| !line.starts_with("ssl-cert") && !line.starts_with("ssl-key"))
        .collect();
    std::fs::write(server.dir().join("bare.cnf"), bare.join("\n")).unwrap();
    let text = check(&server, "bare", &[]).to_string();
    assert!(!text.contains("\"app@%\""), "it REQUIREs its certificate: {text}");
    assert!(text.contains("app was refused: Access denied"), "{text}");
}

fn root(server: &Server) -> (Target, Route) {
    let ca = server.dir().join("client/ca.pem");
    let target = Target { ssl_ca: Some(ca.clone()), ..server.sandbox.target() };
    let trust = Trust::Only(pem::certificates(&std::fs::read(ca).unwrap()).unwrap());
    let tls = Tls::Verified { trust, check_host: true };
    let route = Route::Tcp { host: "127.0.0.1".to_owned(), port: target.port(), tls };
    (target, route)
}

#[test]
fn a_session_carries_much_and_says_why_it_is_refused() {
    let Some(server) = server("none") else { return };
    let (target, route) = root(&server);
    let mut session = session::open(&target, &route).unwrap();
    let cipher: Option<(String, String)> =
        session.query_first("SHOW SESSION STATUS LIKE 'Ssl_cipher'").unwrap();
    assert!(!cipher.unwrap().1.is_empty());
    let part = "SELECT REPEAT('x', 1000000)";
    for _ in 0..3 {
        let rows: Vec<String> =
            session.query(format!("{part} UNION ALL {part} UNION ALL {part}")).unwrap();
        assert_eq!(rows.iter().map(String::len).sum::<usize>(), 3_000_000);
    }
    let long = "y".repeat(700_000);
    let length: Option<usize> = session.query_first(format!("SELECT LENGTH('{long}')")).unwrap();
    assert_eq!(length, Some(700_000));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(session.query_first::<u8, _>("SELECT 1").unwrap(), Some(1));
    let refused = session.query_drop("SELECT nonsense").unwrap_err();
    assert!(refused.to_string().contains("nonsense"), "{refused}");
    drop(session);

    let wrong = Target { password: Some(mytls::secret::Secret::new("wrong")), ..target };
    let denied = session::open(&wrong, &route).err().unwrap();
    assert!(matches!(denied, session::SessionError::Denied { code: 1045, .. }), "{denied}");
    let left = server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'").unwrap();
    assert!(left.ends_with("\t0"), "every session said goodbye: {left}");
    let folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let prefix = format!("mytls-{}-", std::process::id());
    let mine: Vec<_> =
        folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).collect();
    assert!(mine.is_empty(), "{mine:?}");
}

/// The server to the first who comes; to the second somebody whose CA the whole system trusts.
#[test]
fn the_systems_cas_do_not_open_a_session_when_another_was_given() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["own", "public"] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1", "-subj"])
            .arg(format!("/CN={name}"))
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let acceptor = |name: &str| {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        let file = |end| folder.path().join(format!("{name}.{end}"));
        builder.set_certificate_file(file("pem"), SslFiletype::PEM).unwrap();
        builder.set_private_key_file(file("key"), SslFiletype::PEM).unwrap();
        builder.build()
    };
    let faces = [acceptor("own"), acceptor("public")];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for (tcp, face) in listener.incoming().zip(&faces) {
            let mut tcp: TcpStream = tcp.unwrap();
            let mut greeting =
                b"\x0a8.4.0\0\x07\0\0\0abcdefgh\0\x01\xaa\x2d\x02\0\x08\0\x15".to_vec();
            greeting.extend([0; 10]);
            greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
            let length = u8::try_from(greeting.len()).unwrap();
            tcp.write_all(&[&[length, 0, 0, 0], greeting.as_slice()].concat()).unwrap();
            tcp.read_exact(&mut [0; 36]).unwrap();
            let Ok(mut stream) = face.accept(tcp) else { continue };
            let mut sent = vec![0; 4096];
            let count = stream.read(&mut sent).unwrap_or(0);
            let _ = stream.write_all(b"\x0f\0\0\x03\xff\x15\x04#28000Denied");
            sender.send(sent[..count].to_vec()).unwrap();
        }
    });
    let output = mytls()
        .args(["check", "-h", "127.0.0.1", "-P", &port.to_string(), "-u", "app", "--ssl-ca"])
        .arg(folder.path().join("own.pem"))
        .args(["--format", "json"])
        .env("SSL_CERT_FILE", folder.path().join("public.pem"))
        .env("MYSQL_PWD", "correct horse")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!received.recv_timeout(Duration::from_secs(20)).unwrap().is_empty(), "the look");
    let second = received.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(second.is_empty(), "a login was sent to a stranger: {second:?}");
    assert!(text.contains("is not trusted"), "{text}");
}
