//! A scan in words.

use std::fmt::Write as _;

use super::{Offered, Scan, TlsScan};
use crate::printable::printable;

impl Scan {
    /// Some twenty lines.
    pub fn text(&self) -> String {
        let mut text =
            format!("{}:{}  {}\n", printable(&self.host), self.port, self.greeting.describe());
        match &self.tls {
            None => text.push_str("it offers no TLS\n"),
            Some(tls) => tls.write(&mut text),
        }
        for unknown in &self.unknown {
            let _ = writeln!(text, "? {}", printable(unknown)); // writing to a String cannot fail
        }
        let _ = writeln!(
            text,
            "{} connections, {} of them unfinished, in {:.2} s",
            self.cost.connections, self.cost.unfinished, self.cost.seconds
        );
        text
    }
}

impl TlsScan {
    fn write(&self, text: &mut String) {
        // writing to a String cannot fail
        for offered in &self.protocols {
            offered.write(text);
        }
        if !self.groups.is_empty() {
            let _ = writeln!(text, "groups    {}", self.groups.join(", "));
        }
        match self.own_order {
            Some(true) => text.push_str("order     the server's own\n"),
            Some(false) => text.push_str("order     the client's\n"),
            None => {}
        }
        let mut resumes = Vec::new();
        if self.tickets {
            resumes.push("tickets");
        }
        if self.session_ids {
            resumes.push("session numbers");
        }
        if !resumes.is_empty() {
            let _ = writeln!(text, "resumes   by {}", resumes.join(" and "));
        }
        if self.compression {
            text.push_str("! it compresses inside TLS, which gives secrets away (CRIME)\n");
        }
        if self.secure_renegotiation == Some(false) {
            text.push_str("! it knows only the unsafe way to renegotiate (RFC 5746)\n");
        }
        match &self.client_certificate {
            Some(cas) if cas.is_empty() => {
                text.push_str("clients   are asked for a certificate, of whatever CA\n");
            }
            Some(cas) => {
                let _ =
                    writeln!(text, "clients   are asked for a certificate of {}", cas.join("; "));
            }
            None => {}
        }
        for (depth, certificate) in self.handshake.chain.iter().enumerate() {
            let key = certificate.public_key.as_ref().map(crate::x509::PublicKey::describe);
            let until = crate::ca::list::day(certificate.not_after);
            let _ = writeln!(
                text,
                "{}  {}  {}, until {until}",
                if depth == 0 { "chain   " } else { "        " },
                certificate.subject.display(),
                key.unwrap_or_default(),
            );
        }
        match &self.handshake.faults {
            Some(faults) if faults.is_empty() => {
                text.push_str("trust     it verifies under the CA given\n");
            }
            Some(faults) => {
                let faults: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
                let _ = writeln!(text, "✗ trust   {}", faults.join("; "));
            }
            None => {}
        }
        if !self.handshake.chain.is_empty() && !self.handshake.name_matches {
            text.push_str("✗ name    the certificate is for another host\n");
        }
    }
}

impl Offered {
    fn write(&self, text: &mut String) {
        let mark = if self.complete { "" } else { "  (not all were asked about)" };
        if self.suites.is_empty() {
            let word = if self.complete { "not offered" } else { "not known" };
            let _ = writeln!(text, "{:<9} {word}", self.version);
            return;
        }
        let _ = writeln!(text, "{:<9} {} suites{mark}", self.version, self.suites.len());
        for suite in &self.suites {
            let openssl = suite.openssl.as_deref().filter(|name| *name != suite.name);
            let openssl = openssl.map(|name| format!("  {name}")).unwrap_or_default();
            let _ = writeln!(text, "          {:<45}{openssl}", suite.name);
        }
    }
}
