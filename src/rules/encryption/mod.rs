//! Is the connection really encrypted, for everybody?

pub mod certificate_not_loaded;
pub mod no_common_cipher;
pub mod old_protocols;
pub mod paths_not_loaded;
pub mod session_not_encrypted;
pub mod tls_off;
pub mod transport_not_enforced;

use crate::facts::{Account, Facts, Require};
use crate::wire::TlsOffer;

/// Whether TLS is off, so that no protocol is spoken and nobody can be asked for it. A handshake
/// that fails is not that: there, TLS is on.
pub(crate) fn is_off(facts: &Facts) -> bool {
    match facts.wire.read() {
        Some(wire) => matches!(wire.tls, TlsOffer::NotOffered),
        None => facts
            .server
            .read()
            .and_then(|server| server.variable("have_ssl"))
            .is_some_and(|value| matches!(value, "NO" | "DISABLED")),
    }
}

/// Accounts that can come in from the network without TLS, as far as they themselves ask.
fn open_accounts(facts: &Facts) -> Option<Vec<&Account>> {
    let accounts = facts.server.read()?.accounts.read()?;
    let open = accounts
        .iter()
        .filter(|account| account.require == Require::None && account.is_for_the_network());
    Some(open.collect())
}
