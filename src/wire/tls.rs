//! The TLS handshake, with trust in exactly what was given, and every fault written down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use zeroize::Zeroizing;

use super::flight::{self, Said};
use super::packet::Connection;
use super::stream::{Broken, Channel, Timed};
use super::{ClientIdentity, Endpoint};
use crate::x509::chain::VerifyFault;

/// In which CAs a server's certificate has to end.
#[derive(Clone, PartialEq, Eq)]
pub enum Trust {
    /// Exactly these, and none of the system's.
    Only(Vec<X509>),
    /// Those of the system.
    System,
    /// Nobody looks. A server that was not verified is never told a password as it is.
    Unverified,
}

impl Trust {
    /// Whether these CAs give a certificate to anybody, for a name of his own: then it is the name
    /// alone that tells one server from another. So do the system's, and so does a bundle that
    /// holds more than a private PKI ever has.
    pub fn is_public(&self) -> bool {
        const MOST_PRIVATE: usize = 20;
        match self {
            Self::Only(cas) => cas.len() > MOST_PRIVATE,
            Self::System => true,
            Self::Unverified => false,
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(cas) => write!(f, "Only({} certificates)", cas.len()),
            Self::System => f.write_str("System"),
            Self::Unverified => f.write_str("Unverified"),
        }
    }
}

/// How to shake hands.
pub struct Handshaking<'a> {
    pub trust: &'a Trust,
    pub identity: Option<&'a ClientIdentity>,
    pub min_version: Option<SslVersion>,
    pub max_version: Option<SslVersion>,
    /// Takes everything that OpenSSL still speaks, however old and weak: for looking, never for a
    /// login that matters.
    pub lenient: bool,
    /// Nothing but these versions and suites, which a scan names.
    pub exactly: Option<&'a Exactly>,
}

/// What is offered, in OpenSSL's names; what is empty is as the library likes it.
#[derive(Clone, Debug, Default)]
pub struct Exactly {
    pub version: Option<SslVersion>,
    pub suites: Vec<&'static str>,
    pub groups: Vec<String>,
    /// What the server says under the cover of TLS 1.3 is read, too.
    pub overhear: bool,
}

/// Where the library logs the secret with which a server's first flight is read again.
type Logged = Arc<Mutex<Option<Zeroizing<String>>>>;

/// What was found out about the server's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Every fault of the chain, in the order in which OpenSSL met them.
    pub faults: Vec<VerifyFault>,
    pub name_matches: bool,
    /// What the server said under the cover of TLS 1.3, where it was wanted and could be read.
    pub said: Option<Said>,
}

/// Asks for TLS with this `Protocol::SSLRequest` and shakes hands. Faults of the server's certificate do
/// not end the handshake: they are returned, and the caller decides before it sends anything.
pub fn start(
    mut connection: Connection,
    request: &[u8; 32],
    endpoint: &Endpoint,
    how: &Handshaking<'_>,
) -> Result<(Connection, Verified), Broken> {
    let mut builder = context(how)?;
    let logged = how.exactly.filter(|exactly| exactly.overhear).map(|_| log_into(&mut builder));
    let context = builder.build();
    let ssl = Ssl::new(&context)?;
    connection.write(request)?;
    let mut verified = Verified::default();
    let connection = connection.over(|channel| match channel {
        Channel::Plain(stream) => {
            let (mut stream, found) = handshake(ssl, stream, endpoint, logged.is_some())?;
            verified = found;
            verified.said = logged.and_then(|logged| said(&mut stream, &logged));
            Ok(Channel::Tls(Box::new(stream)))
        }
        Channel::Tls(_) => Err(Broken::Tls("TLS was started twice".to_owned())),
    })?;
    Ok((connection, verified))
}

fn log_into(builder: &mut SslContextBuilder) -> Logged {
    let logged = Logged::default();
    let into = Arc::clone(&logged);
    builder.set_keylog_callback(move |_, line| {
        if line.starts_with("SERVER_HANDSHAKE_TRAFFIC_SECRET ") {
            *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.to_owned().into());
        }
    });
    logged
}

fn said(stream: &mut SslStream<Timed>, logged: &Logged) -> Option<Said> {
    let bytes = stream.get_mut().kept();
    let suite = u16::from_be_bytes(stream.ssl().current_cipher()?.protocol_id());
    let line = logged.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    flight::read(&bytes, suite, &line)
}

fn handshake(
    mut ssl: Ssl,
    mut stream: Timed,
    endpoint: &Endpoint,
    keep: bool,
) -> Result<(SslStream<Timed>, Verified), Broken> {
    if let Some(ip) = endpoint.ip() {
        ssl.param_mut().set_ip(ip)?;
    } else {
        ssl.param_mut().set_host(&endpoint.host)?;
        ssl.set_hostname(&endpoint.host)?;
    }
    if keep {
        stream.keep();
    }
    let met = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&met);
    ssl.set_verify_callback(SslVerifyMode::PEER, move |fine, context| {
        if !fine {
            let error = context.error();
            let fault = VerifyFault {
                depth: context.error_depth(),
                code: error.as_raw(),
                text: error.error_string().to_owned(),
            };
            // a panic while it was held cannot leave a Vec of faults half pushed
            let mut met = record.lock().unwrap_or_else(PoisonError::into_inner);
            if !met.contains(&fault) {
                met.push(fault);
            }
        }
        true
    });
    let mut stream = SslStream::new(ssl, stream)?;
    stream.connect().map_err(|error| Broken::from(&error))?;
    let met = std::mem::take(&mut *met.lock().unwrap_or_else(PoisonError::into_inner));
    let (names, faults): (Vec<_>, Vec<_>) = met.into_iter().partition(is_about_name);
    Ok((stream, Verified { faults, name_matches: names.is_empty(), said: None }))
}

/// `X509_V_ERR_HOSTNAME_MISMATCH` and `X509_V_ERR_IP_ADDRESS_MISMATCH`.
fn is_about_name(fault: &VerifyFault) -> bool {
    matches!(fault.code, 62 | 64)
}

fn context(how: &Handshaking<'_>) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    match how.trust {
        Trust::Only(cas) => {
            let mut store = X509StoreBuilder::new()?;
            for ca in cas {
                store.add_cert(ca.clone())?;
            }
            builder.set_cert_store(store.build());
        }
        Trust::System => builder.set_default_verify_paths()?,
        Trust::Unverified => {}
    }
    if how.lenient {
        be_lenient(&mut builder)?;
    }
    if let Some(exactly) = how.exactly {
        offer_exactly(&mut builder, exactly)?;
    }
    if how.min_version.is_some() {
        builder.set_min_proto_version(how.min_version)?;
    }
    if how.max_version.is_some() {
        builder.set_max_proto_version(how.max_version)?;
    }
    if let Some(identity) = how.identity {
        let mut chain = identity.chain.iter();
        if let Some(leaf) = chain.next() {
            builder.set_certificate(leaf)?;
        }
        for certificate in chain {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
        builder.set_private_key(&identity.key)?;
        builder.check_private_key()?;
    }
    Ok(builder)
}

fn offer_exactly(builder: &mut SslContextBuilder, exactly: &Exactly) -> Result<(), ErrorStack> {
    let names = exactly.suites.join(":");
    if !names.is_empty() {
        if exactly.version == Some(SslVersion::TLS1_3) {
            builder.set_ciphersuites(&names)?;
        } else {
            builder.set_cipher_list(&format!("{names}:@SECLEVEL=0"))?;
        }
    }
    if !exactly.groups.is_empty() {
        let groups = builder.set_groups_list(&exactly.groups.join(":"));
        // a library that lacks one of them takes none; where no version was named, its own will do
        if exactly.version.is_some() {
            groups?;
        }
    }
    if exactly.version.is_some() {
        builder.set_min_proto_version(exactly.version)?;
        builder.set_max_proto_version(exactly.version)?;
    }
    Ok(())
}

/// Whatever the library has: old versions, small keys, SHA-1, servers from before RFC 5746.
fn be_lenient(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // OpenSSL takes no DH group below 1024 bits, at no level, and yaSSL has one of 512: the rest first
    builder.set_cipher_list("ALL:!aNULL:!eNULL:+kDHE:@SECLEVEL=0")?;
    builder.set_min_proto_version(None)?;
    builder.set_max_proto_version(None)?;
    builder.set_options(SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    Ok(())
}
