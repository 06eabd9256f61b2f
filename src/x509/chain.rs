//! Who signed whom, and whether a certificate is trusted under exactly the CAs given.

use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext};
use serde::{Deserialize, Serialize};

use super::{Certificate, PublicKey};

/// Why a chain is not accepted: OpenSSL's verdict at one place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyFault {
    /// 0 is the leaf, 1 its issuer, and so on.
    pub depth: u32,
    /// `X509_V_ERR_*`, stable across OpenSSL versions; `text` is not.
    pub code: i32,
    pub text: String,
}

impl VerifyFault {
    pub const UNABLE_TO_GET_ISSUER_CERT: i32 = 2;
    pub const NOT_YET_VALID: i32 = 9;
    pub const HAS_EXPIRED: i32 = 10;
    pub const SELF_SIGNED_LEAF: i32 = 18;
    pub const SELF_SIGNED_IN_CHAIN: i32 = 19;
    pub const UNABLE_TO_GET_ISSUER_CERT_LOCALLY: i32 = 20;
    pub const UNABLE_TO_VERIFY_LEAF_SIGNATURE: i32 = 21;

    /// The chain ends before it reaches a CA that is trusted, as against one that is wrong.
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self.code,
            Self::UNABLE_TO_GET_ISSUER_CERT
                | Self::UNABLE_TO_GET_ISSUER_CERT_LOCALLY
                | Self::UNABLE_TO_VERIFY_LEAF_SIGNATURE
        )
    }

    /// The fault is in the dates, not in the trust.
    pub fn is_about_time(&self) -> bool {
        matches!(self.code, Self::NOT_YET_VALID | Self::HAS_EXPIRED)
    }
}

/// What the certificate is to be used for; decides which extended key usage it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Server,
    Client,
}

/// Verifies as a strict client would: `trusted` and nothing else, the purpose looked at, the dates
/// not (they are judged on their own, so that an expired certificate under the wrong CA shows
/// both faults).
pub fn verify(
    leaf: &X509Ref,
    untrusted: &[X509],
    trusted: &[X509],
    purpose: Purpose,
) -> Result<(), VerifyFault> {
    let broken = |error: openssl::error::ErrorStack| VerifyFault {
        depth: 0,
        code: -1,
        text: format!("OpenSSL could not verify: {error}"),
    };
    let verdict = || {
        let mut store = X509StoreBuilder::new()?;
        for ca in trusted {
            store.add_cert(ca.clone())?;
        }
        let mut param = X509VerifyParam::new()?;
        param.set_flags(X509VerifyFlags::NO_CHECK_TIME)?;
        param.set_purpose(match purpose {
            Purpose::Server => X509PurposeId::SSL_SERVER,
            Purpose::Client => X509PurposeId::SSL_CLIENT,
        })?;
        store.set_param(&param)?;
        let mut others = Stack::new()?;
        for certificate in untrusted {
            others.push(certificate.clone())?;
        }
        X509StoreContext::new()?.init(&store.build(), leaf, &others, |context| {
            let trusted = context.verify_cert()?;
            Ok((trusted, context.error_depth(), context.error()))
        })
    };
    match verdict().map_err(broken)? {
        (true, ..) => Ok(()),
        (false, depth, error) => {
            Err(VerifyFault { depth, code: error.as_raw(), text: error.error_string().to_owned() })
        }
    }
}

/// For each certificate, which other of the list signed it: by the signature, not by the name.
pub fn signers(certificates: &[X509]) -> Vec<Option<usize>> {
    /// Only a file made for it has thousands of certificates of one name; seconds, then.
    const MOST_SIGNATURES: usize = 10_000;
    let tries = std::cell::Cell::new(0);
    let made_by = |child: &X509, parent: &X509| {
        tries.set(tries.get() + 1);
        tries.get() <= MOST_SIGNATURES
            && parent.public_key().is_ok_and(|key| child.verify(&key).unwrap_or(false))
    };
    let signer = |at: usize| {
        let child = &certificates[at];
        let mut others = certificates.iter().enumerate().filter(|(other, _)| *other != at);
        // The name is cheap to compare and rules nearly all out before a signature is computed.
        let parent = others.find(|(_, parent)| {
            child.issuer_name().try_cmp(parent.subject_name()).is_ok_and(std::cmp::Ordering::is_eq)
                && made_by(child, parent)
        });
        parent.map(|(other, _)| other)
    };
    (0..certificates.len()).map(signer).collect()
}

/// Which certificate of a file is the server's own: the one the key belongs to, else the first
/// that is not a CA, else the first.
pub fn leaf(certificates: &[Certificate], key: Option<&PublicKey>) -> Option<usize> {
    let of_key = key.and_then(|key| certificates.iter().position(|c| c.certifies(key)));
    let not_ca = || certificates.iter().position(|c| c.is_ca != Some(true));
    of_key.or_else(not_ca).or(if certificates.is_empty() { None } else { Some(0) })
}

/// The order in which the certificates should stand: the leaf, then upwards as far as they reach.
/// What belongs to no link of that chain is left out.
pub fn path(leaf: usize, signers: &[Option<usize>]) -> Vec<usize> {
    let mut path = vec![leaf];
    while let Some(next) = path.last().and_then(|last| signers.get(*last).copied().flatten()) {
        if path.contains(&next) || next >= signers.len() {
            break; // two CAs that signed each other; or saved facts that somebody edited
        }
        path.push(next);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::testing;

    #[test]
    fn trust_ends_at_exactly_the_ca_given() {
        let (root, other) = (testing::root("Root"), testing::root("Other"));
        let issuing = root.issue_ca("Issuing");
        let leaf = issuing.issue_server("db1").certificate;
        let chain = [issuing.certificate.clone()];
        let own = std::slice::from_ref(&root.certificate);
        assert_eq!(verify(&leaf, &chain, own, Purpose::Server), Ok(()));

        let missing = verify(&leaf, &[], &[root.certificate], Purpose::Server).unwrap_err();
        assert!(missing.is_incomplete(), "{missing:?}");
        let wrong = verify(&leaf, &chain, &[other.certificate], Purpose::Server).unwrap_err();
        assert_eq!((wrong.depth, wrong.is_incomplete()), (1, true), "{wrong:?}");
    }

    #[test]
    fn a_ca_made_anew_with_the_same_name_is_not_the_signer() {
        let (old, new) = (testing::root("Root"), testing::root("Root"));
        let leaf = old.issue_server("db1").certificate;
        assert_eq!(signers(&[leaf.clone(), new.certificate]), [None, None]);
        assert_eq!(signers(&[old.certificate, leaf]), [None, Some(0)]);
    }

    #[test]
    fn the_path_is_found_in_any_order_and_without_circles() {
        assert_eq!(path(2, &[None, Some(0), Some(1)]), [2, 1, 0]);
        assert_eq!(path(0, &[Some(1), Some(0)]), [0, 1]);
        assert_eq!(path(0, &[Some(99)]), [0]);
    }

    #[test]
    fn the_leaf_is_the_one_the_key_belongs_to() {
        let root = testing::root("Root");
        let (one, two) = (root.issue_server("one"), root.issue_server("two"));
        let file = [&root, &one, &two].map(|i| Certificate::from_openssl(&i.certificate));
        assert_eq!(leaf(&file, Some(&PublicKey::from_openssl(&two.key))), Some(2));
        assert_eq!(leaf(&file, None), Some(1));
        assert_eq!(leaf(&file[..1], None), Some(0));
        assert_eq!(leaf(&[], None), None);
    }
}
