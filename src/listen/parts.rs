//! The certificates that are shown, one for each part.

use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode};

use super::Part;
use crate::ca::{Authority, AuthoritySpec, CaError, Issued, KeyForm, KeyKind, PlainName, San};
use crate::ca::{ServerSpec, Subject, Validity};

/// By whom the right certificate is issued.
pub enum Signer<'a> {
    /// By the CA that the application knows.
    Own(&'a Authority),
    /// By one that is made up now, and that the application is told to trust.
    Fresh,
}

/// What is ready to be played: certificates and keys in memory, good for a day, in no CA's index.
pub struct Parts {
    /// The CA that the application has to trust for this.
    pub ca_pem: String,
    contexts: Vec<(Part, Option<SslContext>)>,
}

const DAY: i64 = 86_400;

impl Parts {
    /// Makes what the parts named need. `names` are those by which the application may reach the port;
    /// `now` is in seconds since 1970.
    pub fn make(
        signer: &Signer<'_>,
        parts: &[Part],
        names: &[San],
        key: KeyKind,
        now: i64,
    ) -> Result<Self, CaError> {
        let fresh;
        let authority = match signer {
            Signer::Own(authority) => *authority,
            Signer::Fresh => {
                fresh = made_up("mytls listen, good for a day", key, now)?;
                &fresh
            }
        };
        let contexts = parts.iter().map(|part| {
            let context = match certificate(*part, authority, names, key, now)? {
                Some(issued) => Some(context(&issued)?),
                None => None,
            };
            Ok((*part, context))
        });
        let contexts = contexts.collect::<Result<_, CaError>>()?;
        Ok(Self { ca_pem: authority.ca_pem()?, contexts })
    }

    pub(super) fn order(&self) -> Vec<Part> {
        self.contexts.iter().map(|(part, _)| *part).collect()
    }

    /// `None` for a part without TLS.
    pub(super) fn context(&self, part: Part) -> Option<&SslContext> {
        self.contexts.iter().find(|(known, _)| *known == part)?.1.as_ref()
    }
}

fn certificate(
    part: Part,
    authority: &Authority,
    names: &[San],
    key: KeyKind,
    now: i64,
) -> Result<Option<Issued>, CaError> {
    let good = Validity::Exact { not_before: now - 300, not_after: now + DAY };
    let ended = Validity::Exact { not_before: now - 30 * DAY, not_after: now - DAY };
    let spec = |sans: &[San], validity| server(sans, key, validity);
    Ok(Some(match part {
        Part::NoTls => return Ok(None),
        Part::UnknownCa => made_up("an unknown CA", key, now)?.issue_server(&spec(names, good)?)?,
        Part::OtherHost => {
            let elsewhere = ["another-host.invalid".parse()?]; // RFC 6761: nobody's name
            authority.issue_server(&spec(&elsewhere, good)?)?
        }
        Part::Expired => authority.issue_server(&spec(names, ended)?)?,
        Part::ClientOnly => authority.issue_server_for_clients_only(&spec(names, good)?)?,
        Part::Right => authority.issue_server(&spec(names, good)?)?,
    }))
}

fn server(sans: &[San], key: KeyKind, validity: Validity) -> Result<ServerSpec, CaError> {
    let name = sans.first().ok_or(CaError::NoHost)?.to_string();
    // as OpenSSL looks at the common name of a certificate only where it has no DNS name at all
    let subject = Subject::common_name(&name.parse::<PlainName>()?);
    let (key_form, sans) = (KeyForm::Pkcs8, sans.to_vec());
    Ok(ServerSpec { subject, sans, key, key_form, validity, also_client: false })
}

fn made_up(name: &str, key: KeyKind, now: i64) -> Result<Authority, CaError> {
    let validity = Validity::Exact { not_before: now - 60 * DAY, not_after: now + DAY };
    Authority::create(&AuthoritySpec { key, validity, ..AuthoritySpec::named(&name.parse()?) })
}

/// Speaks every version and suite there is, since it is not those that are tried. Nothing of a session
/// is remembered: a client that resumes one does not look at the certificate again. Client certificates
/// are asked for, as servers do, and none is refused.
fn context(issued: &Issued) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_cipher_list("ALL:!aNULL:!eNULL:@SECLEVEL=0")?;
    builder.set_min_proto_version(None)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET);
    builder.set_session_id_context(b"mytls listen")?;
    builder.set_certificate(&issued.certificate)?;
    let (_, above) = issued.chain.split_last().unwrap_or((&issued.certificate, &[]));
    for certificate in above {
        builder.add_extra_chain_cert(certificate.clone())?;
    }
    builder.set_private_key(&issued.key)?;
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    Ok(builder.build())
}
