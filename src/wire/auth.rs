//! The login itself: what is sent for which authentication plugin, and over what.
//!
//! MySQL Source Code Documentation, "Authentication Methods"; MariaDB Knowledge Base,
//! "Authentication Plugin - ed25519". A password leaves in clear only inside TLS with a server
//! that was verified.

use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};
use zeroize::Zeroizing;

use super::greeting::Hello;
use super::packet::{Connection, Cursor, ServerError, capability};
use super::stream::Broken;
use crate::printable::printable_bytes;
use crate::secret::Secret;

const NATIVE: &str = "mysql_native_password";
const CACHING_SHA2: &str = "caching_sha2_password";

/// Who logs in, and how far the other end is trusted with the password.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub user: &'a str,
    pub password: &'a Secret,
    /// Inside TLS, with a server whose certificate was verified: the password may be sent as it is.
    pub may_tell: bool,
}

/// The server's answer to a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    LetIn,
    Refused(ServerError),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// Before anything came from the server: under TLS 1.3 this is how it refuses a certificate.
    AtOnce(Broken),
    Later(Broken),
    /// A plugin that is not spoken here.
    Plugin(String),
    /// The password itself was asked for, by this plugin, and not given.
    Kept(String),
}

impl From<Broken> for AuthError {
    fn from(broken: Broken) -> Self {
        Self::Later(broken)
    }
}

/// The capability flags that are announced to this server.
pub fn capabilities(hello: &Hello) -> u32 {
    let wanted = capability::LONG_PASSWORD
        | capability::PROTOCOL_41
        | capability::TRANSACTIONS
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH;
    // MariaDB leaves out LONG_PASSWORD and still wants it from a client that speaks as MySQL's do.
    wanted & (hello.capabilities | capability::LONG_PASSWORD)
}

/// The 32 bytes that ask for TLS, and with which the login packet begins.
pub fn header(capabilities: u32) -> [u8; 32] {
    const MAX_PACKET: u32 = 1 << 24;
    const UTF8MB4: u8 = 45;
    let mut header = [0; 32];
    header[..4].copy_from_slice(&capabilities.to_le_bytes());
    header[4..8].copy_from_slice(&MAX_PACKET.to_le_bytes());
    header[8] = UTF8MB4;
    header
}

/// What the server let out about the password before it decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overheard {
    /// It found the password right (`fast_auth_success` of caching_sha2_password): whatever it
    /// refuses afterwards, it refuses for another reason.
    pub password_fits: bool,
}

/// Logs in and reads on until the server has decided: a login that is given up half-way counts
/// towards `max_connect_errors`, and a refused one does not.
pub fn authenticate(
    connection: &mut Connection,
    hello: &Hello,
    capabilities: u32,
    credentials: Credentials<'_>,
    overheard: &mut Overheard,
) -> Result<Reply, AuthError> {
    const MOST_PACKETS: usize = 8;
    let offered = hello.greeting.auth_plugin.as_str();
    // What the account uses is not known yet; a server that wants something else says so.
    let mut plugin = if offered == CACHING_SHA2 { CACHING_SHA2 } else { NATIVE }.to_owned();
    let first = prove_knowledge(&plugin, &hello.nonce, credentials).unwrap_or_default();
    let sent = connection.write(&login_packet(capabilities, credentials.user, &first, &plugin));
    // Even when it could not be sent, why may be waiting to be read.
    let mut packet = match (sent, connection.read()) {
        (_, Ok(packet)) => packet,
        (Ok(()), Err(why)) => return Err(AuthError::AtOnce(why)),
        (Err(_), Err(why @ (Broken::Alert(_) | Broken::TimedOut))) | (Err(why), Err(_)) => {
            return Err(AuthError::AtOnce(why));
        }
    };
    let mut gave_up = None;
    for _ in 0..MOST_PACKETS {
        let answer = match packet.as_slice() {
            [0x00, ..] => return finish(Reply::LetIn, gave_up),
            [ServerError::MARK, ..] => {
                let error = ServerError::parse(&packet).ok_or_else(|| strange(&packet))?;
                return finish(Reply::Refused(error), gave_up);
            }
            [0xfe] => {
                gave_up = Some(AuthError::Plugin("mysql_old_password".to_owned()));
                Some(Zeroizing::default())
            }
            [0xfe, switch @ ..] => {
                let mut from = Cursor(switch);
                let name = from.until_nul().unwrap_or(switch);
                plugin = printable_bytes(name);
                match prove_knowledge(&plugin, from.0, credentials) {
                    Ok(data) => Some(data),
                    Err(why) => {
                        gave_up = Some(why);
                        Some(Zeroizing::default())
                    }
                }
            }
            // caching_sha2_password: 3, the server remembers the password; 4, it has to be told
            [0x01, 3] if plugin == CACHING_SHA2 => {
                overheard.password_fits = true;
                None
            }
            [0x01, 4] if plugin == CACHING_SHA2 && credentials.may_tell => {
                Some(clear(credentials.password))
            }
            [0x01, ..] => {
                gave_up.get_or_insert(AuthError::Kept(plugin.clone()));
                Some(Zeroizing::new(vec![0]))
            }
            _ => return Err(strange(&packet).into()),
        };
        if let Some(answer) = answer {
            connection.write(&answer)?;
        }
        packet = connection.read()?;
    }
    Err(Broken::Protocol("the login goes on without end".to_owned()).into())
}

/// The server's decision, unless it was about a password that was never really shown.
fn finish(reply: Reply, gave_up: Option<AuthError>) -> Result<Reply, AuthError> {
    match (reply, gave_up) {
        (Reply::Refused(_), Some(why)) => Err(why),
        (reply, _) => Ok(reply),
    }
}

fn strange(packet: &[u8]) -> Broken {
    Broken::Protocol(format!(
        "it answered the login with “{}”",
        printable_bytes(&packet[..packet.len().min(40)])
    ))
}

/// What to answer for a plugin: a proof that the password is known, or the password itself.
fn prove_knowledge(
    plugin: &str,
    nonce: &[u8],
    credentials: Credentials<'_>,
) -> Result<Zeroizing<Vec<u8>>, AuthError> {
    let password = credentials.password.expose().as_bytes();
    // the nonce has 20 bytes, and a NUL after them
    let short = &nonce[..nonce.len().min(20)];
    let data = match plugin {
        NATIVE => scramble_native(short, password).map(|hash| hash.to_vec()),
        CACHING_SHA2 => scramble_sha256(short, password).map(|hash| hash.to_vec()),
        "client_ed25519" if password.is_empty() => None,
        "client_ed25519" => {
            Some(create_response_for_ed25519(password, &nonce[..nonce.len().min(32)]).to_vec())
        }
        "sha256_password" | "mysql_clear_password" => {
            let nothing_to_tell = password.is_empty();
            return if credentials.may_tell || nothing_to_tell {
                Ok(clear(credentials.password))
            } else {
                Err(AuthError::Kept(plugin.to_owned()))
            };
        }
        other => return Err(AuthError::Plugin(other.to_owned())),
    };
    Ok(Zeroizing::new(data.unwrap_or_default()))
}

/// The password itself, with a NUL at its end.
fn clear(password: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([password.expose().as_bytes(), b"\0"].concat())
}

/// `Protocol::HandshakeResponse41`.
fn login_packet(capabilities: u32, user: &str, data: &[u8], plugin: &str) -> Zeroizing<Vec<u8>> {
    let mut packet = Zeroizing::new(header(capabilities).to_vec());
    packet.extend_from_slice(user.as_bytes());
    packet.push(0);
    // scrambles have 20 or 32 bytes; nothing else comes before the server asked for it
    packet.push(u8::try_from(data.len()).unwrap_or(0));
    packet.extend_from_slice(data);
    if capabilities & capability::PLUGIN_AUTH != 0 {
        packet.extend_from_slice(plugin.as_bytes());
        packet.push(0);
    }
    packet
}
