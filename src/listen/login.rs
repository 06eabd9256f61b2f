//! What a login packet says of who sent it.
//!
//! MySQL Source Code Documentation, "Protocol::HandshakeResponse41" and "...320".

use serde::Serialize;

use crate::printable::printable_bytes;
use crate::wire::packet::{Cursor, capability};

/// Who wants to log in. Of the password nothing is kept but whether there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applicant {
    /// The account's name, made printable.
    pub user: String,
    pub with_password: bool,
    /// What the client library calls itself, with its version: `libmariadb 3.3.17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// The program that uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// What a client's first packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It asks for TLS (`Protocol::SSLRequest`).
    StartTls,
    /// It logs in right away.
    Login(Applicant),
    Other,
}

/// Texts longer than this are cut: no name and no version is so long.
const LONGEST: usize = 128;

/// Reads the first packet. An SSLRequest is the head of a login packet and ends there; MySQL also
/// takes one of 4 bytes, from old Java clients.
pub fn first(payload: &[u8]) -> First {
    let ssl = |flags: &[u8]| flags.get(1).is_some_and(|high| high & 0x08 != 0);
    match payload.len() {
        4 | 32 if ssl(payload) => First::StartTls,
        _ => applicant(payload).map_or(First::Other, First::Login),
    }
}

/// Reads a login packet; `None` when it is none.
pub fn applicant(payload: &[u8]) -> Option<Applicant> {
    let mut rest = Cursor(payload);
    let [low, high] = *rest.0.first_chunk()?;
    if u32::from(u16::from_le_bytes([low, high])) & capability::PROTOCOL_41 == 0 {
        return before_41(rest);
    }
    let flags = u32::from_le_bytes(rest.array()?);
    rest.take(4 + 1 + 23)?; // largest packet, character set, filler
    let user = text(rest.until_nul()?);
    let secret = if flags & capability::PLUGIN_AUTH_LENENC != 0 {
        rest.counted()?
    } else if flags & capability::SECURE_CONNECTION != 0 {
        let [length] = rest.array()?;
        rest.take(usize::from(length))?
    } else {
        rest.until_nul()?
    };
    let mut applicant = Applicant { user, with_password: !secret.is_empty(), ..Default::default() };
    // from here on nothing is needed: who breaks off here has logged in all the same
    if flags & capability::CONNECT_WITH_DB != 0 {
        rest.until_nul();
    }
    if flags & capability::PLUGIN_AUTH != 0 {
        rest.until_nul();
    }
    if flags & capability::CONNECT_ATTRS != 0 {
        name_itself(&mut applicant, rest.counted().unwrap_or_default());
    }
    Some(applicant)
}

/// As programs from before 4.1 log in.
fn before_41(mut rest: Cursor<'_>) -> Option<Applicant> {
    rest.take(2 + 3)?;
    let user = text(rest.until_nul()?);
    // noise has no name that anybody would type
    let named = !user.is_empty() && !user.contains('\\');
    named.then(|| Applicant { user, with_password: !rest.0.is_empty(), ..Default::default() })
}

fn name_itself(applicant: &mut Applicant, attributes: &[u8]) {
    let mut rest = Cursor(attributes);
    let (mut name, mut version) = (None, None);
    while let (Some(key), Some(value)) = (rest.counted(), rest.counted()) {
        let value = Some(text(value)).filter(|value| !value.is_empty());
        match key {
            b"_client_name" => name = value,
            b"_client_version" => version = value,
            b"program_name" => applicant.program = value,
            _ => {}
        }
    }
    applicant.library = match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, version) => name.or(version),
    };
}

fn text(bytes: &[u8]) -> String {
    printable_bytes(&bytes[..bytes.len().min(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;

    fn login(attributes: &[(&str, &str)]) -> Vec<u8> {
        let flags = capability::PROTOCOL_41
            | capability::SECURE_CONNECTION
            | capability::PLUGIN_AUTH
            | capability::CONNECT_WITH_DB
            | capability::CONNECT_ATTRS;
        let mut payload = flags.to_le_bytes().to_vec();
        payload.extend([0, 0, 0, 1, 45]);
        payload.extend([0; 23]);
        payload.extend_from_slice(b"app\0\x05abcdeshop\0mysql_native_password\0");
        let counted = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let pairs: Vec<u8> = attributes
            .iter()
            .flat_map(|(key, value)| [counted(key), counted(value)].concat())
            .collect();
        payload.push(u8::try_from(pairs.len()).unwrap());
        payload.extend(pairs);
        payload
    }

    #[test]
    fn a_login_names_the_account_and_the_program_and_no_password() {
        let payload = login(&[
            ("_client_name", "libmysql"),
            ("_client_version", "9.7.4"),
            ("program_name", "mysql\u{1b}[2J"),
            ("_os", "Linux"),
        ]);
        let First::Login(applicant) = first(&payload) else { panic!("{payload:?}") };
        assert_eq!(applicant.user, "app");
        assert!(applicant.with_password);
        assert_eq!(applicant.library.as_deref(), Some("libmysql 9.7.4"));
        assert_eq!(applicant.program.as_deref(), Some("mysql\\x1B[2J"));
        assert!(!format!("{applicant:?}").contains("abcde"));
    }

    #[test]
    fn a_request_for_tls_is_the_head_of_a_login() {
        let request = &login(&[])[..32];
        assert_eq!(first(request), First::Other, "without the flag it is half a login");
        let mut request = request.to_vec();
        request[1] |= 0x08;
        assert_eq!(first(&request), First::StartTls);
        assert_eq!(first(&request[..4]), First::StartTls);
        let mut whole = login(&[]);
        whole[1] |= 0x08;
        assert!(matches!(first(&whole), First::Login(_)), "it sent its login all the same");
    }

    #[test]
    fn an_old_program_is_heard_too() {
        let First::Login(applicant) = first(b"\x05\x24\0\0\0root\0hash") else { panic!() };
        assert_eq!((applicant.user.as_str(), applicant.with_password), ("root", true));
        assert_eq!(first(b"GET / HTTP/1.1\r\n"), First::Other);
        assert_eq!(first(b""), First::Other);
    }

    #[test]
    fn noise_is_nobody_and_does_no_harm() {
        let mut random = Random(7);
        let valid = login(&[("_client_name", "libmysql")]);
        for _ in 0..5_000 {
            let mut bytes = valid.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            bytes.truncate(random.below(valid.len() + 1));
            let _ = first(&bytes);
            let noise: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
            let _ = first(&noise);
        }
    }
}
