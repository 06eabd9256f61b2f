//! Against servers that misbehave, each in one way.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::packet::capability;
use super::testing::{
    GREETING_CAPABILITIES, Random, acceptor, denied, expired, greet_with_tls, greeting, packet,
    receive, serve,
};
use super::*;
use crate::secret::Secret;
use crate::x509::testing::{self, Identity};

/// For whoever is not going to answer.
const SHORT: Limits =
    Limits { connect: Duration::from_millis(400), total: Duration::from_millis(400) };
/// For whoever is, on a machine that is busy.
const LONG: Limits = Limits { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

fn look(endpoint: &Endpoint) -> Result<WireFacts, WireError> {
    probe(endpoint, &Trust::Unverified, LONG, &mut |_| ())
}

fn look_shortly(endpoint: &Endpoint) -> Result<WireFacts, WireError> {
    let started = Instant::now();
    let result = probe(endpoint, &Trust::Unverified, SHORT, &mut |_| ());
    assert!(started.elapsed() < Duration::from_secs(3), "it took {:?}", started.elapsed());
    result
}

/// What the probe says to a server that sends this and then waits.
fn says(bytes: impl Into<Vec<u8>>) -> WireError {
    let bytes = bytes.into();
    look(&serve(move |mut stream| {
        stream.write_all(&bytes).unwrap();
        // holds the connection open until the other end leaves
        receive(&mut stream);
    }))
    .unwrap_err()
}

fn one_ca(ca: &Identity) -> Trust {
    Trust::Only(vec![ca.certificate.clone()])
}

#[test]
fn a_closed_port_and_an_unknown_name_were_never_reached() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = look(&Endpoint::new("127.0.0.1", port)).unwrap_err();
    assert!(matches!(closed, WireError::Refused { .. }) && closed.is_unreachable());
    assert!(closed.to_string().contains(&format!("127.0.0.1:{port} refuses connections")));

    let unknown = look(&Endpoint::new("no-such-host.invalid", 3306)).unwrap_err();
    assert!(unknown.is_unreachable(), "{unknown}");
    assert!(unknown.to_string().contains("no-such-host.invalid"), "{unknown}");
}

#[test]
fn a_server_that_says_nothing_or_too_slowly_is_left_in_time() {
    let silent = look_shortly(&serve(|mut stream| drop(receive(&mut stream)))).unwrap_err();
    assert!(matches!(silent, WireError::TimedOut { stage: Stage::Greeting, .. }), "{silent}");
    assert!(silent.to_string().contains("says nothing"), "{silent}");

    let drip = look_shortly(&serve(|mut stream| {
        for byte in packet(0, &greeting("8.4.0", GREETING_CAPABILITIES)) {
            thread::sleep(Duration::from_millis(50));
            if stream.write_all(&[byte]).is_err() {
                return;
            }
        }
    }));
    assert!(matches!(drip, Err(WireError::TimedOut { stage: Stage::Greeting, .. })), "{drip:?}");
}

#[test]
fn a_connection_closed_at_once_or_in_the_middle_is_said_so() {
    let closed = look(&serve(drop)).unwrap_err();
    assert!(matches!(closed, WireError::Closed { stage: Stage::Greeting, .. }), "{closed}");
    let half = look(&serve(|mut stream| {
        stream.write_all(&packet(0, &greeting("8.4.0", GREETING_CAPABILITIES))[..30]).unwrap();
    }));
    assert!(matches!(half, Err(WireError::Closed { stage: Stage::Greeting, .. })), "{half:?}");
}

#[test]
fn other_servers_are_recognised() {
    for (bytes, what) in [
        (&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], "an SSH server"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", "TLS from the first byte"),
        (b"220 mail.example ESMTP\r\n", "a mail or FTP server"),
        (b"\x05\0\0\0\x0b\x08\x05\x1a\0", "X Protocol"),
        (b"\xff\xff\xff\x00", "something else"),
        (b"\x04\0\0\0junk", "something else"),
    ] {
        let started = Instant::now();
        let error = says(bytes);
        assert!(started.elapsed() < Duration::from_secs(5), "no more of it was waited for");
        assert!(matches!(error, WireError::NotMySql { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let nasty = says(&b"\x1b]0;owned\x07\x1b[2J"[..]).to_string();
    assert!(!nasty.contains('\x1b') && nasty.contains("\\x1B]0;owned\\x07"), "{nasty}");
}

#[test]
fn an_error_in_place_of_the_greeting_says_what_to_do() {
    let blocked =
        says(packet(0, b"\xff\x69\x04Host 'h' is blocked because of many connection errors"));
    assert!(matches!(blocked, WireError::Server { code: 1129, .. }));
    assert!(blocked.to_string().contains("performance_schema.host_cache"), "{blocked}");
    let unknown = says(packet(0, b"\xff\x6a\x04Host 'h' is not allowed to connect"));
    assert!(matches!(unknown, WireError::Server { code: 1130, .. }));
    assert!(unknown.to_string().contains("create one for this host"), "{unknown}");
    let full = says(packet(0, b"\xff\x10\x04#08004Too many connections"));
    assert!(full.to_string().contains("error 1040: Too many connections"), "{full}");
}

#[test]
fn a_garbled_greeting_is_a_breach_of_the_protocol() {
    for end in [2, 10, 20, 40] {
        let cut = says(packet(0, &greeting("8.4.0", GREETING_CAPABILITIES)[..end]));
        assert!(matches!(cut, WireError::Protocol { .. }), "{end}: {cut}");
    }
}

/// A server without TLS that keeps what it is sent, and answers a login with these payloads.
fn plain(answers: &'static [&'static [u8]]) -> (Endpoint, mpsc::Receiver<Vec<u8>>) {
    let (sender, received) = mpsc::channel();
    let endpoint = serve(move |mut stream| {
        let text = "8.4.0\x1b[31m";
        let hello = greeting(text, GREETING_CAPABILITIES & !capability::SSL);
        stream.write_all(&packet(0, &hello)).unwrap();
        for (i, answer) in answers.iter().enumerate() {
            sender.send(receive(&mut stream)).unwrap();
            let sequence = u8::try_from(i).unwrap() * 2 + 2;
            if stream.write_all(&packet(sequence, answer)).is_err() {
                return;
            }
        }
    });
    (endpoint, received)
}

#[test]
fn without_tls_a_probe_ends_with_a_refused_login() {
    let (endpoint, received) =
        plain(&[b"\xfemysql_native_password\0abcdefghijklmnopqrst\0", b"\xff\x15\x04#28000Denied"]);
    let facts = look(&endpoint).unwrap();
    assert_eq!(facts.tls, TlsOffer::NotOffered);
    assert_eq!(facts.greeting.version_text, "8.4.0\\x1B[31m");
    let login = received.recv().unwrap();
    assert!(login.windows(12).any(|window| window == b"mytls-probe\0"), "{login:?}");
    assert_eq!(received.recv().unwrap(), b"", "the auth switch is answered, with nothing");
}

const CLEAR_PASSWORD: &str = "correct horse";

fn plain_login(endpoint: &Endpoint) -> Result<Outcome, WireError> {
    let password = Secret::new(CLEAR_PASSWORD);
    login(endpoint, &Login { user: "app", password: &password, tls: None }, LONG)
}

fn holds_password(bytes: &[u8]) -> bool {
    bytes.windows(CLEAR_PASSWORD.len()).any(|window| window == CLEAR_PASSWORD.as_bytes())
}

#[test]
fn the_password_itself_never_leaves_without_tls() {
    const DENIED: &[u8] = b"\xff\x15\x04#28000Denied";
    let tricks: [&'static [&'static [u8]]; 4] = [
        &[b"\xfemysql_clear_password\0", DENIED],
        &[b"\xfesha256_password\0abcdefghijklmnopqrst\0", DENIED],
        &[b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0", b"\x01\x04", DENIED],
        &[b"\xfedialog\0\x04Password: ", DENIED],
    ];
    for trick in tricks {
        let (endpoint, received) = plain(trick);
        let error = plain_login(&endpoint).unwrap_err();
        assert!(
            matches!(error, WireError::PasswordKept { .. } | WireError::Plugin { .. }),
            "{error}"
        );
        let sent: Vec<u8> = received.try_iter().flatten().collect();
        assert!(!sent.is_empty() && !holds_password(&sent), "{trick:?}");
    }
}

#[test]
fn a_login_in_the_clear_is_refused_or_let_in_and_asked_who_answered() {
    let (endpoint, _received) = plain(&[b"\xff\x15\x04#28000Access denied for \x1b[2J"]);
    let refused = Outcome::Refused { code: 1045, message: "Access denied for \\x1B[2J".to_owned() };
    assert_eq!(plain_login(&endpoint).unwrap(), refused);

    let endpoint = serve(|mut stream| {
        let hello = greeting("8.4.0", GREETING_CAPABILITIES & !capability::SSL);
        stream.write_all(&packet(0, &hello)).unwrap();
        receive(&mut stream);
        stream.write_all(&packet(2, b"\0\0\0\x02\0\0\0")).unwrap();
        assert_eq!(receive(&mut stream), b"\x03SELECT CURRENT_USER()");
        let set: [&[u8]; 5] =
            [b"\x01", b"\x03defcolumn", b"\xfe\0\0\0\0", b"\x05app@%", b"\xfe\0\0\0\0"];
        for (i, payload) in set.iter().enumerate() {
            stream.write_all(&packet(u8::try_from(i).unwrap() + 1, payload)).unwrap();
        }
        assert_eq!(receive(&mut stream), b"\x01", "COM_QUIT");
    });
    let let_in = Outcome::LetIn { account: "app@%".to_owned(), tls: None };
    assert_eq!(plain_login(&endpoint).unwrap(), let_in);
}

#[test]
fn a_login_that_never_ends_is_ended() {
    let endpoint = serve(|mut stream| {
        let hello = greeting("8.4.0", GREETING_CAPABILITIES & !capability::SSL);
        let _ = stream.write_all(&packet(0, &hello));
        while stream.write_all(&packet(2, b"\x01\x04")).is_ok() {
            if receive(&mut stream).is_empty() {
                return;
            }
        }
    });
    let error = plain_login(&endpoint).unwrap_err();
    assert!(matches!(error, WireError::Protocol { .. }), "{error}");
}

#[test]
fn no_noise_in_the_login_makes_it_panic_or_tell_the_password() {
    let (sender, received) = mpsc::channel();
    let endpoint = serve({
        let random = std::sync::Mutex::new(Random(0x1061_6e21));
        move |mut stream| {
            let mut random = random.lock().unwrap();
            let hello = greeting("8.4.0", GREETING_CAPABILITIES & !capability::SSL);
            let _ = stream.write_all(&packet(0, &hello));
            let starts: [&[u8]; 6] = [
                b"\xfecaching_sha2_password\0",
                b"\xfemysql_native_password\0ab",
                b"\xfeclient_ed25519\0",
                b"\x01\x04",
                b"\0\0\0",
                b"",
            ];
            for _ in 0..8 {
                let mut payload = starts[random.below(starts.len())].to_vec();
                payload.extend((0..random.below(60)).map(|_| random.byte()));
                let _ = stream.write_all(&packet(random.byte(), &payload));
            }
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut sent = Vec::new();
            let _ = stream.read_to_end(&mut sent);
            let _ = sender.send(sent);
        }
    });
    for _ in 0..500 {
        // whatever it is, it is an answer
        let _ = plain_login(&endpoint);
        let sent = received.recv().unwrap();
        assert!(!sent.is_empty() && !holds_password(&sent), "{sent:?}");
    }
}

/// A TLS server that refuses every login, seen under this trust as this host.
fn handshake(identity: &Identity, host: &str, trust: &Trust) -> Handshake {
    let acceptor = acceptor(identity, None);
    let mut endpoint = serve(move |tcp| {
        if let Some(mut stream) = greet_with_tls(tcp, &acceptor) {
            receive(&mut stream);
            stream.write_all(&denied(3)).unwrap();
        }
    });
    endpoint.host = host.to_owned();
    match probe(&endpoint, trust, LONG, &mut |_| ()).unwrap().tls {
        TlsOffer::Established(handshake) => handshake,
        other => panic!("{other:?}"),
    }
}

fn codes(handshake: &Handshake) -> Vec<i32> {
    handshake.faults.iter().flatten().map(|fault| fault.code).collect()
}

#[test]
fn a_trusted_server_has_no_faults_and_shows_its_chain() {
    let root = testing::root("Root");
    let seen = handshake(&root.issue_server("db1"), "127.0.0.1", &one_ca(&root));
    assert_eq!((codes(&seen), seen.name_matches), (vec![], true));
    assert_eq!(seen.chain[0].subject.short(), "db1");
    assert_eq!(seen.version, "TLSv1.3");
    assert!(seen.cipher.starts_with("TLS_"), "{}", seen.cipher);
}

#[test]
fn a_server_of_another_age_is_still_seen() {
    use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
    // TLS 1.0 alone, RSA 1024 and SHA-1: none of it is accepted by default any more
    let old = super::testing::relic();
    let mut builder = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.set_min_proto_version(None).unwrap();
    builder.set_max_proto_version(Some(SslVersion::TLS1)).unwrap();
    builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1);
    builder.set_certificate(&old.certificate).unwrap();
    builder.set_private_key(&old.key).unwrap();
    let acceptor = builder.build();
    let endpoint = serve(move |tcp| {
        if let Some(mut stream) = greet_with_tls(tcp, &acceptor) {
            receive(&mut stream);
            stream.write_all(&denied(3)).unwrap();
        }
    });
    let TlsOffer::Established(seen) =
        probe(&endpoint, &one_ca(&old), LONG, &mut |_| ()).unwrap().tls
    else {
        panic!("it was not seen");
    };
    assert_eq!((seen.version.as_str(), codes(&seen)), ("TLSv1", vec![]));
    assert_eq!(seen.chain[0].public_key.as_ref().unwrap().bits, 1024);
}

#[test]
fn every_fault_of_a_certificate_is_written_down() {
    let (root, other) = (testing::root("Root"), testing::root("Root"));
    let wrong_ca = handshake(&other.issue_server("db1"), "127.0.0.1", &one_ca(&root));
    assert!(!codes(&wrong_ca).is_empty() && wrong_ca.name_matches, "{wrong_ca:?}");

    let old = expired(&root, &root.issue_server("127.0.0.1"));
    let old = handshake(&old, "127.0.0.1", &one_ca(&root));
    assert_eq!(codes(&old), [VerifyFault::HAS_EXPIRED]);

    let both = expired(&other, &other.issue_server("db1"));
    let both = handshake(&both, "127.0.0.1", &one_ca(&root));
    assert!(codes(&both).contains(&VerifyFault::HAS_EXPIRED) && codes(&both).len() > 1);

    let unverified = handshake(&other.issue_server("db1"), "127.0.0.1", &Trust::Unverified);
    assert_eq!(unverified.faults, None);
}

#[test]
fn a_wrong_name_is_told_apart_from_a_wrong_chain() {
    let root = testing::root("Root");
    let seen = handshake(&root.issue_server("db1"), "localhost", &one_ca(&root));
    assert_eq!((codes(&seen), seen.name_matches), (vec![], false));
    let seen = handshake(&root.issue_server("localhost"), "localhost", &one_ca(&root));
    assert_eq!((codes(&seen), seen.name_matches), (vec![], true));
}

#[test]
fn a_handshake_that_fails_says_how() {
    let greet = |stream: &mut TcpStream| {
        stream.write_all(&packet(0, &greeting("8.4.0", GREETING_CAPABILITIES))).unwrap();
        receive(stream);
    };
    let of = |facts: WireFacts| match facts.tls {
        TlsOffer::Failed { reason } => reason,
        other => panic!("{other:?}"),
    };
    let failed = |endpoint: Endpoint| of(look(&endpoint).unwrap());
    let closed = failed(serve(move |mut stream| greet(&mut stream)));
    assert!(closed.contains("closed the connection"), "{closed}");
    let clear = failed(serve(move |mut stream| {
        greet(&mut stream);
        stream.write_all(&packet(2, b"\xff\x15\x04#28000No TLS today")).unwrap();
        receive(&mut stream);
    }));
    assert!(clear.contains("clear text"), "{clear}");
    let stalled = look_shortly(&serve(move |mut stream| {
        greet(&mut stream);
        thread::sleep(Duration::from_secs(1));
    }));
    let stalled = of(stalled.unwrap());
    assert!(stalled.contains("in time"), "{stalled}");
    let alert = failed(serve(move |mut stream| {
        greet(&mut stream);
        stream.write_all(b"\x15\x03\x03\x00\x02\x02\x28").unwrap();
        receive(&mut stream);
    }));
    assert!(alert.contains("handshake failure"), "{alert}");
}

/// A TLS server that hands over what it gets after the handshake and then refuses.
fn tls_login(
    acceptor: openssl::ssl::SslAcceptor,
    tls: Tls<'_>,
    answers: &'static [&'static [u8]],
) -> (Result<Outcome, WireError>, Vec<u8>) {
    let (sender, received) = mpsc::channel();
    let endpoint = serve(move |tcp| {
        let Some(mut stream) = greet_with_tls(tcp, &acceptor) else { return };
        for (i, answer) in answers.iter().enumerate() {
            let _ = sender.send(receive(&mut stream));
            let sequence = u8::try_from(i).unwrap() * 2 + 3;
            if stream.write_all(&packet(sequence, answer)).is_err() {
                return;
            }
        }
    });
    let password = Secret::new(CLEAR_PASSWORD);
    let login = Login { user: "app", password: &password, tls: Some(tls) };
    let outcome = super::login(&endpoint, &login, LONG);
    // what the server was sent while this was going on
    thread::sleep(Duration::from_millis(50));
    (outcome, received.try_iter().flatten().collect())
}

const ASK_FOR_IT: &[&[u8]] = &[b"\xfemysql_clear_password\0", b"\xff\x15\x04#28000Denied"];

#[test]
fn a_server_that_is_not_trusted_is_sent_nothing() {
    let (root, other) = (testing::root("Root"), testing::root("Other"));
    let server = acceptor(&other.issue_server("db1"), None);
    let (outcome, sent) = tls_login(server, Tls::new(&one_ca(&root)), ASK_FOR_IT);
    let error = outcome.unwrap_err();
    assert!(matches!(error, WireError::Untrusted { .. }), "{error}");
    assert!(sent.is_empty(), "{sent:?}");
}

#[test]
fn the_password_itself_goes_to_a_verified_server_only() {
    let root = testing::root("Root");
    let server = || acceptor(&root.issue_server("db1"), None);
    let (outcome, sent) = tls_login(server(), Tls::new(&Trust::Unverified), ASK_FOR_IT);
    assert!(matches!(outcome, Err(WireError::PasswordKept { .. })), "{outcome:?}");
    assert!(!sent.is_empty() && !holds_password(&sent));

    let (outcome, sent) = tls_login(server(), Tls::new(&one_ca(&root)), ASK_FOR_IT);
    assert!(matches!(outcome, Ok(Outcome::Refused { code: 1045, .. })), "{outcome:?}");
    assert!(holds_password(&sent));
}

#[test]
fn a_client_certificate_of_another_ca_is_refused_with_the_alert() {
    let (root, other) = (testing::root("Root"), testing::root("Other"));
    let own = other.issue_server("app");
    let identity = ClientIdentity { chain: vec![own.certificate], key: own.key };
    let trust = one_ca(&root);
    for newest in [openssl::ssl::SslVersion::TLS1_2, openssl::ssl::SslVersion::TLS1_3] {
        let server = acceptor(&root.issue_server("db1"), Some(&root));
        let tls = Tls { identity: Some(&identity), max_version: Some(newest), ..Tls::new(&trust) };
        let (outcome, sent) = tls_login(server, tls, &[]);
        let reason = "unknown ca".to_owned();
        assert_eq!(outcome.unwrap(), Outcome::HandshakeRefused { reason });
        assert!(sent.is_empty());
    }
}

#[test]
fn a_server_that_hangs_up_on_a_certificate_is_asked_again_for_its_reason() {
    let root = testing::root("Root");
    let own = root.issue_server("app");
    let identity = ClientIdentity { chain: vec![own.certificate], key: own.key };
    let trust = one_ca(&root);
    let acceptor = acceptor(&root.issue_server("db1"), Some(&testing::root("Other")));
    let lenient = super::testing::acceptor(&root.issue_server("db1"), None);
    let endpoint = serve(move |mut tcp| {
        // to whoever speaks TLS 1.3 it says nothing of its reason
        tcp.write_all(&packet(0, &greeting("8.4.0", GREETING_CAPABILITIES))).unwrap();
        receive(&mut tcp);
        let mut hello = [0; 2048];
        let length = tcp.peek(&mut hello).unwrap();
        let newest = hello[..length].windows(4).any(|bytes| bytes == [0x03, 0x04, 0x03, 0x03]);
        if newest {
            drop(lenient.accept(tcp));
        } else {
            drop(acceptor.accept(tcp));
        }
    });
    let password = Secret::default();
    let tls = Tls { identity: Some(&identity), ..Tls::new(&trust) };
    let login = Login { user: "app", password: &password, tls: Some(tls) };
    let reason = "unknown ca".to_owned();
    assert_eq!(
        super::login(&endpoint, &login, LONG).unwrap(),
        Outcome::HandshakeRefused { reason }
    );
}
