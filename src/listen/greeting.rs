//! The greeting that the port sends, and its one answer to every login.
//!
//! MySQL Source Code Documentation, "Protocol::HandshakeV10", "ERR_Packet".

use openssl::error::ErrorStack;

use crate::facts::Flavor;
use crate::wire::packet::capability;

/// What both families offer and clients build on. Attributes are asked for because programs name
/// themselves in them.
const COMMON: u32 = capability::CONNECT_WITH_DB
    | capability::PROTOCOL_41
    | capability::TRANSACTIONS
    | capability::SECURE_CONNECTION
    | capability::PLUGIN_AUTH
    | capability::CONNECT_ATTRS
    | capability::PLUGIN_AUTH_LENENC;

/// The payload of a greeting in which a server of this family is recognised by its clients: the
/// default plugin of each is the one that all of its clients know.
pub fn greeting(flavor: Flavor, tls: bool) -> Result<Vec<u8>, ErrorStack> {
    let (version, own, plugin) = match flavor {
        Flavor::MySql => ("8.4.0", capability::LONG_PASSWORD, "caching_sha2_password"),
        // what has no LONG_PASSWORD is taken for a MariaDB
        Flavor::MariaDb => ("11.8.6-MariaDB", 0, "mysql_native_password"),
    };
    let mut capabilities = COMMON | own;
    if tls {
        capabilities |= capability::SSL;
    }
    let [a, b, c, d] = capabilities.to_le_bytes();
    let nonce = nonce()?;
    let mut payload = vec![10];
    payload.extend_from_slice(version.as_bytes());
    payload.extend_from_slice(b"\0\x01\0\0\0"); // connection id
    payload.extend_from_slice(&nonce[..8]);
    payload.extend([0, a, b, 45, 2, 0, c, d, 21]); // utf8mb4, autocommit; 21: nonce and its NUL
    payload.extend([0; 10]);
    payload.extend_from_slice(&nonce[8..]);
    payload.push(0);
    payload.extend_from_slice(plugin.as_bytes());
    payload.push(0);
    Ok(payload)
}

/// The payload with which every login ends: error 1045, which no client tries again.
pub fn denied() -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend_from_slice(&1045u16.to_le_bytes());
    payload.extend_from_slice(b"#28000Access denied by mytls listen, which lets nobody in");
    payload
}

/// Bytes that no password was ever scrambled with: no NUL, and ASCII, as servers choose them.
fn nonce() -> Result<[u8; 20], ErrorStack> {
    let mut nonce = [0; 20];
    openssl::rand::rand_bytes(&mut nonce)?;
    for byte in &mut nonce {
        *byte = *byte % 94 + 33;
    }
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::ServerError;

    #[test]
    fn it_reads_as_a_server_of_its_family() {
        for (flavor, plugin) in
            [(Flavor::MySql, "caching_sha2_password"), (Flavor::MariaDb, "mysql_native_password")]
        {
            for tls in [true, false] {
                let hello =
                    crate::wire::greeting::parse(&greeting(flavor, tls).unwrap()).unwrap().greeting;
                assert_eq!((hello.flavor, hello.offers_tls), (flavor, tls));
                assert_eq!(hello.auth_plugin, plugin);
            }
        }
        assert_ne!(nonce().unwrap(), nonce().unwrap());
        assert_eq!(ServerError::parse(&denied()).unwrap().code, 1045);
    }
}
