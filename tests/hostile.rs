//! Whatever a certificate, a server, a file, a file's name or whoever typed it says: nothing of it
//! moves a cursor, and nothing of it makes mytls wait or fill the memory.

mod common;

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use common::lab::mytls;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;

/// Clears the screen, sets the clipboard, begins a line of its own, and turns what follows around.
const HOSTILE: &str = "evil\x1b[2J\x1b]52;c;Z290Y2hh\x07\nroot\u{9b}31m\u{202e}";
/// The same where a line end would end it.
const ONE_LINE: &str = "evil\x1b[2J\x1b]52;c;Z290Y2hh\x07root\u{9b}31m\u{202e}";

/// Nothing but text and line ends, on either stream, and no exit by panic or signal.
#[track_caller]
fn tame(output: &Output) -> String {
    let code = output.status.code().expect("no signal ended it");
    assert!((0..=3).contains(&code), "{code}");
    let mut said = String::new();
    for stream in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(stream).expect("UTF-8");
        let wild = |c: &char| {
            (c.is_control() && *c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert_eq!(text.chars().find(wild), None, "{text:?}");
        said += text;
    }
    assert!(!said.lines().any(|line| line.starts_with("root")), "a line of its own: {said}");
    said
}

/// As text, then as JSON.
#[track_caller]
fn both(arguments: &[&str]) -> [String; 2] {
    [&["--format", "text"], &["--format", "json"]]
        .map(|format| tame(&mytls().args(arguments).args(format).output().unwrap()))
}

struct Pair {
    key: PKey<Private>,
    certificate: X509,
}

/// A certificate whose names all are hostile.
fn pair() -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    for kind in [Nid::COMMONNAME, Nid::ORGANIZATIONNAME] {
        name.append_entry_by_nid(kind, HOSTILE).unwrap();
    }
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    let san = openssl::x509::extension::SubjectAlternativeName::new()
        .dns("evil\x1b[2J\x07.example")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(san).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    Pair { key, certificate: builder.build() }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> String {
    fs::write(path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// --- servers ---

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [low, high, ..] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[low, high, 0, sequence], payload].concat()
}

fn greeting(tls: bool) -> Vec<u8> {
    let flags: u32 = 0x0008_a201 | if tls { 0x800 } else { 0 };
    let [a, b, c, d] = flags.to_le_bytes();
    let version = format!("8.0.36-{ONE_LINE}\0");
    let parts: [&[u8]; 6] = [
        b"\x0a",
        version.as_bytes(),
        b"\x07\0\0\0abcdefgh\0",
        &[a, b, 45, 2, 0, c, d, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        b"ijklmnopqrst\0mysql_native_password",
        ONE_LINE.as_bytes(),
    ];
    packet(0, &[parts.concat(), vec![0]].concat())
}

fn serve(play: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(play));
    port
}

/// A payload of whatever the client sends next.
fn receive(stream: &mut impl std::io::Read) -> Option<u8> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; usize::from(u16::from_le_bytes([header[0], header[1]]))];
    stream.read_exact(&mut payload).ok()?;
    Some(header[3])
}

fn refusal() -> Vec<u8> {
    [b"\xff\x15\x04#28000Access denied for ", HOSTILE.as_bytes()].concat()
}

#[test]
fn a_server_that_says_hostile_things_is_quoted_harmlessly() {
    let refuses = serve(|mut stream| {
        let _ = stream.write_all(&greeting(false));
        if let Some(sequence) = receive(&mut stream) {
            let _ = stream.write_all(&packet(sequence + 1, &refusal()));
        }
    });
    let blocks = serve(|mut stream| {
        let message = [b"\xff\x6a\x04", HOSTILE.as_bytes()].concat();
        let _ = stream.write_all(&packet(0, &message));
    });
    let switches = serve(|mut stream| {
        let _ = stream.write_all(&greeting(false));
        while let Some(sequence) = receive(&mut stream) {
            let payload = [b"\xfe", ONE_LINE.as_bytes(), b"\0nonce"].concat();
            let _ = stream.write_all(&packet(sequence + 1, &payload));
        }
    });
    let stranger = serve(|mut stream| drop(stream.write_all(HOSTILE.as_bytes())));
    for (port, quoted) in [
        (&refuses, "MySQL 8.0.36"),
        (&blocks, "evil\\x1B[2J"),
        (&switches, "MySQL 8.0.36"),
        (&stranger, "evil\\x1B[2J"),
    ] {
        for more in [&[][..], &["--insecure-login"]] {
            let arguments = ["check", "-h", "127.0.0.1", "-P", port, "-u", "root"];
            let [text, _] = both(&[&arguments, more].concat());
            assert!(text.contains(quoted), "{text}");
        }
    }
}

#[test]
fn a_server_with_a_hostile_certificate_is_described_harmlessly() {
    let Pair { key, certificate } = pair();
    let ca = certificate.to_pem().unwrap();
    let port = serve(move |mut stream| {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        acceptor.set_private_key(&key).unwrap();
        let _ = stream.write_all(&greeting(true));
        if receive(&mut stream).is_none() {
            return;
        }
        let Ok(mut stream) = acceptor.build().accept(stream) else { return };
        if let Some(sequence) = receive(&mut stream) {
            let _ = stream.write_all(&packet(sequence + 1, &refusal()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca = write(&folder.path().join("ca.pem"), ca);
    for more in [&[][..], &["--ssl-ca", &ca], &["--insecure-login"]] {
        let arguments = ["check", "-h", "127.0.0.1", "-P", &port, "-u", ONE_LINE];
        let [text, _] = both(&[&arguments, more].concat());
        assert!(text.contains("evil\\x1B[2J"), "{text}");
    }
}

// --- files ---

/// A server that is down, of whose files every name and every content is hostile.
struct Down {
    folder: tempfile::TempDir,
    config: String,
}

impl Down {
    fn new(good_names: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| {
            let odd = if good_names { "" } else { ONE_LINE };
            folder.path().join(format!("{odd}{name}"))
        };
        let (one, two) = (pair(), pair());
        let key = write(&named("db-key.pem"), two.key.private_key_to_pem_pkcs8().unwrap());
        let certificate = write(&named("db-cert.pem"), one.certificate.to_pem().unwrap());
        let ca = write(&named("ca.pem"), two.certificate.to_pem().unwrap());
        write(&named("old.key"), one.key.private_key_to_pem_pkcs8().unwrap());
        let log = format!(
            "2026-11-22 [Note] mariadbd (server 10.11.19-MariaDB) starting as process 7 ...\n\
             [ERROR] SSL error: {ONE_LINE}\r\nroot [ERROR] Aborting\n"
        );
        let log = write(&named("error.log"), log);
        let persisted = format!(
            r#"{{"Version": 2, "mysql_dynamic_variables": {{"ssl_cipher": {{"Value": "{}"}}}}}}"#,
            "evil\\u001b[2J\\nroot\\u202e"
        );
        write(&folder.path().join("mysqld-auto.cnf"), persisted);
        let config = format!(
            "[mysqld]\nport = {}\nsocket = {}\nuser = {ONE_LINE}\ndatadir = {}\n\
             ssl_key = \"{key}\"\nssl_cert = {certificate}\nssl_ca = {ca}\nlog_error = {log}\n\
             tls_version = \"TLSv1.2\\nroot\x1b[2J\"\nssl_cipher = {ONE_LINE}\n\
             ssl_capath = /no/{ONE_LINE}\nssl_crl = /no/{ONE_LINE}\n{ONE_LINE} = {ONE_LINE}\n\
             bind_address = {ONE_LINE}\n[mysqld-{ONE_LINE}]\nssl_key = {ONE_LINE}\n\
             [mysqld-5.0]\nssl_ca = {ONE_LINE}\n!include /no/{ONE_LINE}\n!includedir /no/{ONE_LINE}\n",
            free_port(),
            named("no.sock").display(),
            folder.path().display(),
        );
        let config = write(&named("my.cnf"), config);
        Self { folder, config }
    }
}

#[test]
fn hostile_files_and_names_are_described_harmlessly() {
    for good_names in [true, false] {
        let down = Down::new(good_names);
        let [text, _] = both(&["check", "--server-config", &down.config]);
        assert!(text.contains("evil\\x1B[2J"), "{text}");
        let [text, json] = both(&["check", "--files", down.folder.path().to_str().unwrap()]);
        assert!(text.contains("does not belong to it"), "{text}");
        let pairs: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(pairs["together"][0]["subject"].as_str().unwrap().matches("\\x1B").count(), 4);
    }
}

#[test]
fn hostile_words_on_the_command_line_are_repeated_harmlessly() {
    for arguments in [
        &["explain", HOSTILE][..],
        &["explain", ONE_LINE],
        &["check", "-h", ONE_LINE],
        &["check", "-S", ONE_LINE],
        &["check", "--server-config", HOSTILE],
        &["check", "--defaults-file", HOSTILE],
        &["check", "--facts", HOSTILE],
        &["check", "--files", HOSTILE],
        &["check", "--ssl-ca", HOSTILE, "-h", "127.0.0.1", "-P", "1"],
        &["sandbox", "--fault", HOSTILE, "--headless"],
        &["ca", "list", "--ca-dir", HOSTILE],
        &["ca", "server", "--ca-dir", HOSTILE, "--san", "db1", "--out", HOSTILE],
        &["ca", "server", "--ca-dir", "/no", "--san", ONE_LINE, "--out", "/no"],
        &["check", "--format", ONE_LINE],
        &[ONE_LINE],
    ] {
        tame(&mytls().args(arguments).output().unwrap());
    }
}

/// Every text in saved facts, made hostile one after the other; those of which mytls makes a
/// choice are refused then, and that in harmless words.
#[test]
fn saved_facts_that_somebody_edited_are_shown_harmlessly() {
    let down = Down::new(true);
    let arguments = ["check", "--server-config", &down.config, "--format", "json", "--with-facts"];
    let output = mytls().args(arguments).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut texts = Vec::new();
    pointers(&report["facts"], &mut String::new(), &mut texts);
    assert!(texts.len() > 60, "{texts:#?}");
    let file = down.folder.path().join("facts.json");
    let mut taken = 0;
    for pointer in &texts {
        let mut facts = report["facts"].clone();
        let text = facts.pointer_mut(pointer).unwrap();
        *text = Value::String(format!("{}{HOSTILE}", text.as_str().unwrap()));
        let file = write(&file, facts.to_string());
        let output = mytls().args(["check", "--facts", &file]).output().unwrap();
        tame(&output);
        taken += usize::from(output.status.code() == Some(1));
    }
    assert!(taken > texts.len() / 2, "{taken} of {}", texts.len());
}

fn pointers(value: &Value, at: &mut String, texts: &mut Vec<String>) {
    let mut inner = |key: String, value: &Value| {
        let length = at.len();
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        pointers(value, at, texts);
        at.truncate(length);
    };
    match value {
        Value::String(_) => texts.push(at.clone()),
        Value::Array(all) => all.iter().enumerate().for_each(|(n, v)| inner(n.to_string(), v)),
        Value::Object(all) => all.iter().for_each(|(key, value)| inner(key.clone(), value)),
        _ => {}
    }
}

// --- what is no file, and what is too much of one ---

/// Runs it with little memory, and waits no longer than a person would.
#[track_caller]
fn soon(arguments: &[&str]) -> String {
    let started = Instant::now();
    let mut command = Command::new("sh");
    // kilobytes of address space, and seconds of work: a debug build, all threads' stacks included
    command.args(["-c", "ulimit -v 2000000 -t 60; exec timeout -s KILL 60 \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_mytls")).args(arguments);
    command.env("HOME", "/nonexistent").env("NO_COLOR", "1").env_remove("MYSQL_PWD");
    let said = tame(&command.output().unwrap());
    assert!(started.elapsed() < Duration::from_secs(40), "{arguments:?}: {:?}", started.elapsed());
    said
}

#[test]
fn pipes_devices_and_huge_files_are_neither_waited_for_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let shown = |path: PathBuf| path.to_str().unwrap().to_owned();
    nix::unistd::mkfifo(&path("pipe.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // ten gigabytes, none of them on the disk
    fs::File::create(path("huge.pem")).unwrap().set_len(10 << 30).unwrap();
    let (pipe, huge, zero) = (shown(path("pipe.pem")), shown(path("huge.pem")), "/dev/zero".into());
    let pair = pair();
    let key = write(&path("key.pem"), pair.key.private_key_to_pem_pkcs8().unwrap());
    let certificate = write(&path("cert.pem"), pair.certificate.to_pem().unwrap());
    for odd in [&pipe, &huge, &zero] {
        let defect = if *odd == huge { "larger than" } else { "neither a file nor" };
        for option in ["ssl_key", "ssl_cert", "ssl_ca", "ssl_crl", "ssl_capath", "log_error"] {
            let good = [("ssl_key", &key), ("ssl_cert", &certificate), ("ssl_ca", &certificate)];
            let good: String = good
                .iter()
                .filter(|(name, _)| *name != option)
                .flat_map(|(name, file)| [name, " = ", file, "\n"])
                .collect();
            let options = format!(
                "[mysqld]\nport = {}\nsocket = /no.sock\n{good}{option} = {odd}\n!include {odd}\n",
                free_port()
            );
            let config = write(&path("my.cnf"), options);
            let said = soon(&["check", "--server-config", &config]);
            let named = ["ssl_key", "ssl_cert", "ssl_ca"].contains(&option);
            assert!(!named || said.contains(defect), "{option} = {odd}: {said}");
        }
        let data = path("data");
        fs::create_dir_all(&data).unwrap();
        let _ = fs::remove_file(data.join("mysqld-auto.cnf"));
        std::os::unix::fs::symlink(odd, data.join("mysqld-auto.cnf")).unwrap();
        let text = format!("[mysqld]\nport = {}\ndatadir = {}\n", free_port(), data.display());
        let config = write(&path("my.cnf"), text);
        soon(&["check", "--server-config", &config]);
        let closed = free_port().to_string();
        let client = ["check", "-h", "127.0.0.1", "-P", &closed];
        for option in ["--server-config", "--defaults-file", "--ssl-ca"] {
            soon(&[&client, &[option, odd][..]].concat());
        }
        soon(&[&client, &["--ssl-cert", odd, "--ssl-key", odd][..]].concat());
        soon(&["check", "--facts", odd]);
    }
    let said = soon(&["check", "--files", folder.path().to_str().unwrap()]);
    assert!(said.contains("huge.pem: it is larger than"), "{said}");
}
