use std::net::IpAddr;

use crate::facts::Facts;
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, rule};
use crate::x509::Certificate;

rule! {
    /// An IP address stands in the certificate as if it were a host name.
    ///
    /// ## What it checks
    /// Whether a DNS name of the subject alternative names is an IP address that is not among its IP
    /// addresses, too.
    ///
    /// ## Why it matters
    /// A client that was told an address looks among the addresses alone (`IP:10.0.0.5`); what stands
    /// there as `DNS:10.0.0.5` matches for none that keeps to the standard.
    ///
    /// ## How to fix
    /// Issue a certificate with the address as an address; `mytls ca server --san` does it by itself.
    ///
    /// ## Source
    /// RFC 6125 §1.7.2; RFC 5280 §4.2.1.6.
    pub static CERTIFICATE_IP_AS_NAME = {
        id: "certificate-ip-as-name",
        step: Key,
        severity: Warning,
        passes_as: "addresses stand in the certificate as addresses",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let Some(ip) = misplaced(leaf) else { return Answer::pass() };
    let finding = CERTIFICATE_IP_AS_NAME
        .finding(
            format!("the address {ip} stands in the certificate as a host name"),
            "clients that verify the name refuse the server when they connect by this address",
        )
        .saw("certificate", leaf.subject.display())
        .saw("names", leaf.host_names().join(", "));
    Answer::fail(finding.remedy(reissue(facts)))
}

/// The first address that stands among the names alone.
pub(super) fn misplaced(leaf: &Certificate) -> Option<IpAddr> {
    let addresses = leaf.dns_names.iter().filter_map(|name| name.parse().ok());
    addresses.into_iter().find(|ip| !leaf.ip_addresses.contains(ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn with_name(name: &str) -> Answer {
        judge(&testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            leaf.dns_names.push(name.into());
        }))
    }

    #[test]
    fn names_pass_and_so_does_an_address_that_stands_there_twice() {
        assert_eq!(with_name("db2.example"), Answer::pass());
        assert_eq!(with_name("127.0.0.1"), Answer::pass());
    }

    #[test]
    fn an_address_among_the_names_alone_is_found_and_issued_as_an_address() {
        let Answer::Fail(findings) = with_name("10.0.0.5") else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains("10.0.0.5"));
    }
}
