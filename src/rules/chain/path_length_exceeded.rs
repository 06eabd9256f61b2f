use crate::facts::Facts;
use crate::rules::chain::{cannot_verify, issuers, reissue_by_another, saw_issuer};
use crate::rules::{Answer, rule};

rule! {
    /// There are more CAs below a CA than it allows.
    ///
    /// ## What it checks
    /// The path length in the basic constraints of each CA of the chain against the number of CAs
    /// between it and the server's certificate.
    ///
    /// ## Why it matters
    /// A CA with `pathlen:0` may issue certificates for servers and clients, and no further CA.
    /// What a CA below it issued is refused: "path length constraint exceeded".
    ///
    /// ## How to fix
    /// Issue the certificate from the CA that may, or have the CA above made again with room for
    /// another below it.
    ///
    /// ## Source
    /// RFC 5280 §4.2.1.9 and §6.1.4; OpenSSL `X509_V_ERR_PATH_LENGTH_EXCEEDED`.
    pub static PATH_LENGTH_EXCEEDED = {
        id: "path-length-exceeded",
        step: Chain,
        severity: Error,
        passes_as: "no CA has more CAs below it than it allows",
        explained_by: ["ca-not-a-ca"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let issuers = issuers(facts);
    if issuers.is_empty() {
        return Answer::not_applicable("no CA is known that issued the certificate");
    }
    // CAs that signed themselves, as in a change of keys, do not count.
    let below = |at: usize| {
        issuers[..at].iter().filter(|issuer| !issuer.certificate.is_self_issued()).count()
    };
    let over = issuers.iter().enumerate().find(|(at, issuer)| {
        issuer.certificate.path_length.is_some_and(|length| below(*at) > length as usize)
    });
    let Some((at, issuer)) = over.filter(|_| cannot_verify(facts)) else { return Answer::pass() };
    let finding = PATH_LENGTH_EXCEEDED.finding(
        "there are more CAs below a CA than it allows",
        "clients refuse the chain: \"path length constraint exceeded\"",
    );
    let names: Vec<String> =
        issuers[..at].iter().map(|issuer| issuer.certificate.subject.short()).collect();
    let finding = saw_issuer(finding, issuer)
        .saw("allows below it", issuer.certificate.path_length.unwrap_or_default().to_string())
        .saw("there are", format!("{}: {}", below(at), names.join(", ")));
    Answer::fail(finding.remedy(reissue_by_another(facts, issuers[0].certificate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::chain::testing::{break_issuer, no_certificate};
    use crate::rules::testing;

    #[test]
    fn one_ca_too_many_is_counted() {
        let mut facts = break_issuer(|_| ());
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        files.ca.as_mut().unwrap().content.as_mut().unwrap()[0].path_length = Some(0);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].evidence[0].value, "CN=Example Root");
        assert_eq!(findings[0].evidence[3].value, "1: Issuing CA");
    }

    #[test]
    fn the_last_ca_needs_no_room_below_it() {
        assert_eq!(judge(&break_issuer(|ca| ca.path_length = Some(0))), Answer::pass());
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn without_an_issuer_there_is_nothing_to_judge() {
        assert!(matches!(judge(&no_certificate()), Answer::NotApplicable(_)));
    }
}
