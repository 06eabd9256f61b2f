//! Whether a chain holds under the CAs of this system.

use openssl::ssl::{SslContext, SslMethod};
use openssl::stack::Stack;
use openssl::x509::{X509, X509StoreContext};

use crate::x509::Certificate;

/// The faults, none where it holds; `None` without a chain, or where the system's CAs cannot be read.
pub fn faults(chain: &[Certificate]) -> Option<Vec<String>> {
    let certificates: Vec<X509> = chain.iter().filter_map(Certificate::to_openssl).collect();
    let (leaf, above) = certificates.split_first()?;
    let mut builder = SslContext::builder(SslMethod::tls_client()).ok()?;
    builder.set_default_verify_paths().ok()?;
    let context = builder.build();
    let mut others = Stack::new().ok()?;
    for certificate in above {
        others.push(certificate.clone()).ok()?;
    }
    let verdict =
        X509StoreContext::new().ok()?.init(context.cert_store(), leaf, &others, |store| {
            let holds = store.verify_cert()?;
            Ok((holds, store.error()))
        });
    let (holds, error) = verdict.ok()?;
    Some(if holds { Vec::new() } else { vec![error.error_string().to_owned()] })
}
