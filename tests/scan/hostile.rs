//! Servers that mean no good: each is left in bounded time and memory, with a word about what it did.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mytls::wire::Endpoint;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use super::look;

/// Plays this to everybody who comes.
pub fn hostile(play: impl Fn(TcpStream) + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let play = Arc::new(play);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let play = Arc::clone(&play);
            thread::spawn(move || play(stream));
        }
    });
    Endpoint::new("127.0.0.1", port)
}

pub fn greeting() -> Vec<u8> {
    let mut payload = b"\x0a9.7.4\0\x01\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15".to_vec();
    payload.extend([0; 10]);
    payload.extend(b"ijklmnopqrst\0mysql_native_password\0");
    let mut packet = vec![u8::try_from(payload.len()).unwrap(), 0, 0, 0];
    packet.extend(payload);
    packet
}

#[test]
fn servers_that_mean_no_good_are_left_in_time_with_a_word_about_what_they_did() {
    type Play = Box<dyn Fn(TcpStream) + Send + Sync>;
    let greeted = |then: fn(&mut TcpStream)| -> Play {
        Box::new(move |mut stream| {
            let _ = stream.write_all(&greeting());
            let mut read = [0; 4096];
            let _ = stream.read(&mut read);
            then(&mut stream);
        })
    };
    let endless = |bytes: &'static [u8]| -> Play {
        Box::new(move |mut stream| while stream.write_all(bytes).is_ok() {})
    };
    let plays: Vec<(&str, Play)> = vec![
        ("closed", Box::new(drop)),
        ("something else", endless(&[0xff, 0xff, 0xff, 0, 0x0a])),
        ("HTTP", endless(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        (
            "time",
            Box::new(|mut stream| {
                for byte in greeting() {
                    let _ = stream.write_all(&[byte]);
                    thread::sleep(Duration::from_secs(1));
                }
            }),
        ),
        (
            "time",
            Box::new(|stream| {
                thread::sleep(Duration::from_secs(30));
                drop(stream);
            }),
        ),
        (
            "blocked",
            Box::new(|mut stream| {
                let _ = stream.write_all(b"\x15\0\0\0\xff\x69\x04Host is blocked...");
            }),
        ),
        ("", greeted(|_| ())),
        ("", greeted(|stream| while stream.write_all(&[0x16, 3, 3, 0, 1, 2]).is_ok() {})),
        ("", greeted(|stream| while stream.write_all(&[0x55; 4096]).is_ok() {})),
        // a greeting of 16 MB, that it says of itself and that comes
        ("something else", endless(&[0xff, 0xff, 0xff, 0, 0x0a, 0x35])),
        // the largest records there may be, full of a handshake that does not end
        (
            "",
            greeted(|stream| {
                let mut record = vec![0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
                record.resize(5 + 0x4000, 0x11);
                while stream.write_all(&record).is_ok() {}
            }),
        ),
        // asked to renegotiate, over and over
        ("", greeted(|stream| while stream.write_all(&[0x16, 3, 3, 0, 4, 0, 0, 0, 0]).is_ok() {})),
        // a packet of its own protocol in the place of TLS
        (
            "",
            greeted(|stream| {
                drop(stream.write_all(b"\x15\0\0\x02\xff\x15\x04#08S01Bad handshake...."));
            }),
        ),
    ];
    for (number, (word, play)) in plays.into_iter().enumerate() {
        let endpoint = hostile(play);
        let said = match look(&endpoint, 2) {
            Err(why) => why,
            Ok(scan) => {
                let tls = scan.tls.unwrap();
                assert!(tls.versions.iter().all(|version| !version.offered), "{number}");
                tls.handshake_failed.expect("it failed")
            }
        };
        eprintln!("{number}: {said}");
        assert!(!said.is_empty() && said.contains(word), "{number}: {said}");
    }
}

/// A key, and so many certificates with it; the first with so many names.
pub fn papers(many: usize, names: usize) -> (PKey<Private>, Vec<X509>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let certificates = (0..many).map(|number| {
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", &format!("number {number}")).unwrap();
        let name = name.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
        if number == 0 && names > 0 {
            let mut all = SubjectAlternativeName::new();
            for number in 0..names {
                all.dns(&format!("host-with-a-long-name-{number:08}.example"));
            }
            let all = all.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(all).unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build()
    });
    (key.clone(), certificates.collect())
}

/// Greets, shakes hands, and refuses whoever logs in.
pub fn tls_server(papers: (PKey<Private>, Vec<X509>)) -> Endpoint {
    tls_server_seen(papers, |_| ())
}

/// The same; `met` is called before it greets, with how many have come, and keeps the client waiting.
pub fn tls_server_seen(
    (key, chain): (PKey<Private>, Vec<X509>),
    met: impl Fn(usize) + Send + Sync + 'static,
) -> Endpoint {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&chain[0]).unwrap();
    for certificate in &chain[1..] {
        acceptor.add_extra_chain_cert(certificate.clone()).unwrap();
    }
    let (acceptor, come) = (acceptor.build(), AtomicUsize::new(0));
    hostile(move |mut stream| {
        met(come.fetch_add(1, Ordering::SeqCst) + 1);
        let _ = stream.write_all(&greeting());
        let mut request = [0; 36];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let Ok(mut stream) = acceptor.accept(stream) else { return };
        let mut login = [0; 4096];
        let _ = stream.read(&mut login);
        let _ = stream.write_all(b"\x11\0\0\x03\xff\x15\x04#28000No entry");
    })
}

#[test]
fn a_chain_of_a_hundred_is_read_and_a_certificate_of_a_megabyte_is_not() {
    let scan = look(&tls_server(papers(100, 0)), 5).unwrap();
    let handshake = scan.tls.as_ref().unwrap().handshake.as_ref().expect("it is within bounds");
    assert_eq!(handshake.chain.len(), 100);
    let text = mytls::scan::show::text(&scan);
    assert!(text.lines().count() < 80 && text.contains("90 more"), "{text}");

    let scan = look(&tls_server(papers(1, 24_000)), 5).unwrap();
    let tls = scan.tls.unwrap();
    let why = tls.handshake_failed.expect("no library takes it");
    assert!(why.contains("larger"), "{why}");
    assert!(
        tls.versions.iter().any(|version| version.offered),
        "what it chose was read all the same"
    );
}

#[test]
fn closed_at_every_point_it_is_said_and_never_waited_for() {
    let Endpoint { port: real, .. } = tls_server(papers(1, 0));
    // a whole conversation is some 1,200 bytes from the server
    for most in (0..1_400).step_by(7) {
        let endpoint = hostile(move |client| {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, real)) else { return };
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let there = thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
            let (mut server, mut client) = (server.take(most), client);
            let _ = std::io::copy(&mut server, &mut client);
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = server.into_inner().shutdown(std::net::Shutdown::Both);
            let _ = there.join();
        });
        let began = Instant::now();
        let said = match look(&endpoint, 5) {
            Err(why) => why,
            Ok(scan) => match scan.tls.unwrap() {
                tls if tls.handshake.is_some() => "it shook hands".to_owned(),
                tls => tls.handshake_failed.expect("one or the other"),
            },
        };
        let words = ["closed", "shook hands", "cut short"];
        assert!(words.iter().any(|word| said.contains(word)), "after {most} bytes: {said}");
        // no more than the limit of a connection: nobody waits for what cannot come
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "after {most} bytes: {:?}",
            began.elapsed()
        );
    }
}
