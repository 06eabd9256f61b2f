//! Is the connection really encrypted, for everybody?

pub mod certificate_not_loaded;
pub mod no_common_cipher;
pub mod old_protocols;
pub mod paths_not_loaded;
pub mod session_not_encrypted;
pub mod tls_off;
pub mod transport_not_enforced;

use crate::facts::{Account, Facts, Require};

/// Accounts that can come in from the network without TLS, as far as they themselves ask.
fn open_accounts(facts: &Facts) -> Option<Vec<&Account>> {
    let accounts = facts.server.read()?.accounts.read()?;
    let open = accounts
        .iter()
        .filter(|account| account.require == Require::None && account.is_for_the_network());
    Some(open.collect())
}
