//! Small servers that play one part, and numbers that are random alike each time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Name};

use super::Endpoint;
use super::packet::capability;
use crate::x509::testing::{self, Identity};

pub const GREETING_CAPABILITIES: u32 = capability::LONG_PASSWORD
    | capability::PROTOCOL_41
    | capability::SSL
    | capability::TRANSACTIONS
    | capability::SECURE_CONNECTION
    | capability::PLUGIN_AUTH;

/// The payload of a greeting as servers send it.
pub fn greeting(version: &str, capabilities: u32) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut payload = vec![10];
    payload.extend_from_slice(version.as_bytes());
    payload.extend_from_slice(b"\0\x07\0\0\0abcdefgh\0");
    payload.extend([a, b, 45, 2, 0, c, d, 21]);
    payload.extend([0; 10]);
    payload.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
    payload
}

/// A generator (xorshift64) for tests that want the same noise each time.
pub struct Random(pub u64);

impl Random {
    pub fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[3]
    }

    /// From 0 to less than `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        if end == 0 { 0 } else { number % end }
    }
}

/// A server on a port of its own that plays one part to everybody who comes, one after the other.
pub fn serve(play: impl Fn(TcpStream) + Send + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            play(stream.unwrap());
        }
    });
    Endpoint::new("127.0.0.1", port)
}

/// A packet with this number.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[a, b, c, sequence], payload].concat()
}

/// The payload of the next packet; empty when the other end has gone.
pub fn receive(stream: &mut impl Read) -> Vec<u8> {
    let mut header = [0; 4];
    if stream.read_exact(&mut header).is_err() {
        return Vec::new();
    }
    let mut payload = vec![0; usize::from(u16::from_le_bytes([header[0], header[1]]))];
    stream.read_exact(&mut payload).unwrap();
    payload
}

pub fn denied(sequence: u8) -> Vec<u8> {
    packet(sequence, b"\xff\x15\x04#28000Access denied")
}

/// A TLS server's set-up; with `clients`, it wants certificates of that CA.
pub fn acceptor(identity: &Identity, clients: Option<&Identity>) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&identity.certificate).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    if let Some(ca) = clients {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(ca.certificate.clone()).unwrap();
        builder.set_verify_cert_store(store.build()).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
    }
    builder.build()
}

/// Greets, takes the request for TLS and shakes hands; `None` when that fails.
pub fn greet_with_tls(mut tcp: TcpStream, acceptor: &SslAcceptor) -> Option<SslStream<TcpStream>> {
    tcp.write_all(&packet(0, &greeting("8.4.0", GREETING_CAPABILITIES))).unwrap();
    assert_eq!(receive(&mut tcp).len(), 32, "an SSLRequest");
    acceptor.accept(tcp).ok()
}

/// The same identity with a certificate that ended yesterday.
pub fn expired(ca: &Identity, identity: &Identity) -> Identity {
    let old = &identity.certificate;
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(old.serial_number()).unwrap();
    builder.set_subject_name(old.subject_name()).unwrap();
    builder.set_issuer_name(old.issuer_name()).unwrap();
    builder.set_pubkey(&identity.key).unwrap();
    let day = 86_400;
    builder.set_not_before(&Asn1Time::from_unix(testing::now() - 3 * day).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(testing::now() - day).unwrap()).unwrap();
    builder.sign(&ca.key, MessageDigest::sha256()).unwrap();
    Identity { certificate: builder.build(), key: identity.key.clone() }
}

/// A self-signed certificate as they were made in 2005.
pub fn relic() -> Identity {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "relic").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(testing::now() - 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(testing::now() + 86_400).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha1()).unwrap();
    Identity { certificate: builder.build(), key }
}
