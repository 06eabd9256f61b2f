//! `README.txt`: what the files are, and what each driver is to be told.

use std::fmt::Write as _;

use super::{Account, Client, Form, PackSpec, Password, describe, driver, word};
use crate::ca::San;
use crate::printable::printable;
use crate::x509::{Certificate, OneLine};

/// The text; it holds no secret.
pub fn readme(client: &Client, spec: &PackSpec) -> String {
    let mut text = heading(client, spec);
    text += &files(spec);
    text += "\
SETTINGS

The file names count from this folder; where a program is started elsewhere, write whole paths.
DB_PASSWORD is the password of the account, which the server asks for beside the certificate.
";
    for driver in driver::all() {
        let settings = fill(&driver.settings, spec);
        // writing to a String cannot fail
        let _ = writeln!(text, "\n=== {}\n", driver.title);
        for line in settings.trim().lines() {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
        let untried =
            if driver.tried { "" } else { " Written after the driver's manual; not run." };
        let note = fill(driver.note.trim(), spec).replace('\n', " ") + untried;
        if !note.is_empty() {
            let _ = writeln!(text, "\n{}", wrapped(note.trim()));
        }
    }
    text
}

/// A command that is broken at a hyphen, or within a quoted name, is none any more.
fn wrapped(note: &str) -> String {
    let options = textwrap::Options::new(100)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(note, options).replace(FIXED_BLANK, " ")
}

/// A blank at which no line ends, until [`wrapped`] puts a usual one in its place.
const FIXED_BLANK: char = '\u{a0}';

/// The text with what is known of server and account in it.
pub fn fill(text: &str, spec: &PackSpec) -> String {
    let (host, port) = (spec.host.to_string(), spec.port);
    let address = match spec.host {
        San::Ip(ip) if ip.is_ipv6() => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    };
    let options = word(&format!("{}.cnf", spec.name)).replace(' ', &FIXED_BLANK.to_string());
    text.replace("@NAME@.cnf", &options)
        .replace("@ADDRESS@", &address)
        .replace("@HOST@", &host)
        .replace("@PORT@", &port.to_string())
        .replace("@USER@", spec.account.user.as_str())
        .replace("@NAME@", spec.name.as_str())
}

fn heading(client: &Client, spec: &PackSpec) -> String {
    let certificate = Certificate::from_openssl(&client.certificate);
    let title = fill("What @USER@ needs to reach @ADDRESS@, and to prove who it is", spec);
    let until = time::OffsetDateTime::from_unix_timestamp(certificate.not_after).ok();
    let day = time::macros::format_description!("[year]-[month]-[day]");
    let until = until.and_then(|until| until.format(&day).ok()).unwrap_or_default();
    let line = |name| printable(name).into_owned();
    let account = match &spec.account {
        Account { user, host: Some(host) } => format!("account      '{user}'@'{host}'\n"),
        Account { host: None, .. } => String::new(),
    };
    format!(
        "{title}\n{}\n\n{account}\
         subject      {}\n\
         issuer       {}\n\
         key          {}\n\
         valid until  {until}\n\n\
         REQUIRE SUBJECT and ISSUER of the account compare the first two.\n\n",
        "=".repeat(title.chars().count()),
        line(&certificate.subject.oneline(OneLine::OpenSsl3)),
        line(&certificate.issuer.oneline(OneLine::OpenSsl3)),
        describe(client),
    )
}

fn files(spec: &PackSpec) -> String {
    let pkcs1 = if spec.pkcs1 {
        "client-key-pkcs1.pem  the key as PKCS#1, for programs built with yaSSL (MySQL 5.6 and before)\n"
    } else {
        ""
    };
    let form = match spec.form {
        Form::TripleDes => "Triple DES: every Java, OpenSSL and .NET",
        Form::Aes256 => "AES-256: Java from 8u301, 11.0.12 and 16 on",
    };
    let password = match spec.password {
        Password::InFile => "password.txt          the password of both .p12 files\n",
        Password::Told | Password::Given(_) => {
            "password.txt          is not here: whoever packed this has the password of the .p12 files;\n\
             \x20                     the settings below read it from a file of this name, 0600\n"
        }
    };
    format!(
        "FILES\n\n\
         ca.pem                the CAs to trust\n\
         client-cert.pem       the certificate, then the intermediate CAs\n\
         client-key.pem        its key, PKCS#8, without a passphrase\n\
         {pkcs1}\
         client.pem            key and certificates in one file\n\
         client.p12            key, certificates and CAs as PKCS#12 ({form})\n\
         truststore.p12        the CAs to trust as PKCS#12, for Java\n\
         {password}\n\
         Whoever can read client-key.pem, client.pem or client.p12 with its password is {user} for the\n\
         server, but for the account's own password: leave the files 0600, owned by the user who runs the\n\
         program.\n\n",
        user = spec.account.user,
    )
}
