//! A certificate that was revoked: who requires it shuts its account out.

use std::path::Path;

use super::{GrantArgs, Server};
use crate::ca::{Catalog, Store, day};
use crate::cli::Failure;
use crate::printable::{printable, shown};
use crate::remedy::level::Level;
use crate::remedy::shell;
use crate::x509::Certificate;

/// A word of warning where the statement does not name this certificate.
///
/// # Errors
/// That it was revoked, and who says so.
pub(super) fn look(
    args: &GrantArgs,
    level: Level,
    certificate: Option<&Certificate>,
    server: &Server,
) -> Result<Option<String>, Failure> {
    let (Some(file), Some(certificate)) = (&args.cert, certificate) else { return Ok(None) };
    let Some(why) = of(args, file, certificate, server) else { return Ok(None) };
    if level >= Level::SubjectAndIssuer {
        return Err(Failure::usage(format!("{} cannot be used: {why}", shown(file))));
    }
    Ok(Some(why))
}

/// What the CA that keeps it says, or else the lists that the server reads.
fn of(args: &GrantArgs, file: &Path, certificate: &Certificate, server: &Server) -> Option<String> {
    let facts = server.facts.as_ref();
    let named = args.target.ca_dir.as_deref();
    let usual = facts.and_then(|facts| facts.target.ca_dir.as_deref());
    // as `clients/NAME/client-cert.pem` and `issued/SERIAL.pem` lie in the folder of a CA
    let around = file.ancestors().skip(2).take(2).filter(|dir| Store::exists(dir));
    for dir in named.into_iter().chain(usual).chain(around) {
        let Ok(catalog) = Catalog::read(dir) else { continue };
        if let Some(revoked) = catalog.revoked(certificate) {
            let name = certificate.subject.short();
            return Some(format!(
                "the CA in {} revoked it on {} ({}); issue another: mytls ca client --ca-dir {} --user \
                 {} --out DIR",
                shown(dir),
                day(revoked.at),
                revoked.reason.name(),
                shell::path(dir),
                printable(&shell::word(&name))
            ));
        }
    }
    let crl = facts?.files.read()?.crl.as_ref()?;
    let listed = crl.content.as_ref().ok()?.iter().any(|list| list.revokes(certificate));
    listed.then(|| {
        format!(
            "{}, which this server reads as ssl_crl, says that it was revoked",
            shown(&crl.path)
        )
    })
}
