//! The form of the first screen: which server, and as whom.

use std::path::PathBuf;

use crate::facts::Target;
use crate::secret::Secret;
use crate::tui::form::{Field, Form};

pub const HOST: usize = 0;
pub const PORT: usize = 1;
pub const SOCKET: usize = 2;
pub const CA: usize = 3;
pub const UNTRUSTED: usize = 4;
pub const USER: usize = 5;
pub const PASSWORD: usize = 6;

/// What to do with a server whose certificate nobody vouches for; the second is on request only.
const DO_NOT: &str = "do not log in";
const ALL_THE_SAME: &str = "log in all the same";

/// The form, filled with what is known.
pub fn form(target: &Target) -> Form {
    let path = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(String::new, |path| path.display().to_string())
    };
    Form::new(vec![
        Field::text(
            "host",
            "name or address; empty or localhost: this host, over the socket",
            target.host.clone().unwrap_or_default(),
        ),
        Field::number(
            "port",
            "for a connection over the network; empty: 3306",
            target.port.map_or_else(String::new, |port| port.to_string()),
        ),
        Field::text("socket", "used when the host is this one", path(&target.socket)),
        Field::text(
            "CA file",
            "the CA that vouches for the server; empty: the system's, or the server's own",
            path(&target.ssl_ca),
        ),
        Field::choice(
            "if untrusted",
            "← → choose; all the same: the password may go to whoever answers",
            [DO_NOT, ALL_THE_SAME],
            usize::from(target.insecure_login),
        ),
        Field::text(
            "user",
            "an account that may read mysql.user, such as root",
            target.user.clone().unwrap_or_default(),
        ),
        Field::secret(
            "password",
            "kept in memory only; never in a file, a log or a report",
            target.password.clone().unwrap_or_default(),
        ),
    ])
}

/// What the form says, over what was known before. Errors are left under their fields.
pub fn target(form: &mut Form, before: Option<&Target>) -> Option<Target> {
    let text = |form: &Form, at| Some(form.value(at).to_owned()).filter(|text| !text.is_empty());
    let (host, socket) = (text(form, HOST), text(form, SOCKET).map(PathBuf::from));
    let port = match text(form, PORT).map(|port| port.parse::<u16>()) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => {
            form.fail(PORT, "a port is a number from 1 to 65535");
            return None;
        }
    };
    if host.as_deref().is_some_and(|host| host.contains(char::is_whitespace)) {
        form.fail(HOST, "a host has no blanks: db1.example, 192.0.2.7 or localhost");
        return None;
    }
    let target = Target {
        host,
        port,
        socket,
        ssl_ca: text(form, CA).map(PathBuf::from),
        insecure_login: form.value(UNTRUSTED) == ALL_THE_SAME,
        user: text(form, USER),
        password: form.fields.get(PASSWORD).and_then(Field::secret_value),
        ..before.cloned().unwrap_or_default()
    };
    if !target.is_tcp() && target.socket.as_ref().is_some_and(|socket| !socket.is_absolute()) {
        form.fail(SOCKET, "the whole path, such as /run/mysqld/mysqld.sock");
        return None;
    }
    Some(target)
}

/// Splits a pasted `mysql://user:password@host:port/` over the fields, and `host:port` when it is
/// pasted into the host. Returns whether it did.
pub fn paste(form: &mut Form, text: &str) -> bool {
    let text = text.trim().lines().next().unwrap_or("").trim();
    let schemes = ["mysql://", "mariadb://", "mysqls://"];
    let address = match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (login, address) = rest[..end].rsplit_once('@').unwrap_or(("", &rest[..end]));
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            if !user.is_empty() {
                form.fields[USER].set(&decoded(user));
            }
            if !password.is_empty() {
                let password = Secret::new(decoded(password));
                form.fields[PASSWORD].set(password.expose());
            }
            address
        }
        None if form.focus == HOST && host_and_port(text).1.is_some() => text,
        None => return false,
    };
    let (host, port) = host_and_port(address);
    form.fields[HOST].set(host);
    if let Some(port) = port {
        form.fields[PORT].set(port);
    }
    // the next thing to type
    let missing = form.fields[USER].value().is_empty();
    form.focus = if missing { USER } else { PASSWORD };
    form.fields.iter_mut().for_each(|field| field.error = None);
    true
}

/// `host:port`, `[::1]:port`, `host`, `::1`.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return (host, rest.strip_prefix(':').filter(|port| is_port(port)));
    }
    match text.split_once(':') {
        Some((host, port)) if !host.is_empty() && is_port(port) => (host, Some(port)),
        _ => (text, None),
    }
}

/// `%40` and its like, as in any URL (RFC 3986 §2.1); what is no such code is left alone.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if first == b'%' => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(form: &Form) -> [&str; 4] {
        [HOST, PORT, SOCKET, USER].map(|at| form.value(at))
    }

    #[test]
    fn an_address_that_is_pasted_is_split_over_the_fields() {
        let mut form = form(&Target::default());
        assert!(paste(&mut form, "mysql://app:s%40crt@db1.example:3307/shop?ssl-mode=REQUIRED\n"));
        assert_eq!(values(&form), ["db1.example", "3307", "", "app"]);
        assert_eq!(form.fields[PASSWORD].secret_value(), Some(Secret::new("s@crt")));
        assert_eq!(form.focus, PASSWORD);

        form.focus = HOST;
        assert!(paste(&mut form, "[2001:db8::7]:3308"));
        assert_eq!(values(&form)[..2], ["2001:db8::7", "3308"]);
        form.focus = HOST;
        assert!(!paste(&mut form, "2001:db8::7"), "a plain paste");
        form.focus = PASSWORD;
        assert!(!paste(&mut form, "abc:123"), "a password may look like an address");
    }

    #[test]
    fn a_field_that_is_wrong_says_what_to_do() {
        let mut form = form(&Target::default());
        form.fields[PORT].set("70000");
        assert_eq!(target(&mut form, None), None);
        assert_eq!(form.focus, PORT);
        form.fields[PORT].set("3306");
        form.fields[SOCKET].set("mysqld.sock");
        assert_eq!(target(&mut form, None), None);
        assert!(form.fields[SOCKET].error.as_deref().unwrap().contains("/run/mysqld"));
        form.fields[HOST].set("db1");
        assert!(target(&mut form, None).is_some(), "over TCP the socket is not used");
    }

    #[test]
    fn what_the_form_does_not_ask_is_kept() {
        let before = Target {
            ssl_ca: Some("/etc/ca.pem".into()),
            ssl_key: Some("/etc/key.pem".into()),
            insecure_login: true,
            ..Target::default()
        };
        let mut form = form(&before);
        form.fields[HOST].set("db1");
        let target = target(&mut form, Some(&before)).unwrap();
        assert_eq!((&target.ssl_ca, &target.ssl_key), (&before.ssl_ca, &before.ssl_key));
        assert!(target.insecure_login);
        assert_eq!(target.host.as_deref(), Some("db1"));
    }
}
