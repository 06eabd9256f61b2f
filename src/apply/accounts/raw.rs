//! An account's clause as it is stored: the four columns that REQUIRE writes, and nothing made of
//! them.

use std::collections::{BTreeMap, BTreeSet};

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};
use serde::{Deserialize, Serialize};

use crate::facts::{AccountName, Require};

/// `ssl_type`, `x509_subject`, `x509_issuer` and `ssl_cipher` of `mysql.user`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// Empty for NONE, `ANY` for SSL, `X509`, `SPECIFIED`.
    #[serde(rename = "type")]
    pub kind: String,
    pub subject: String,
    pub issuer: String,
    pub cipher: String,
}

impl Raw {
    /// What the server stores of this clause.
    pub fn of(require: &Require) -> Self {
        let kind = |kind: &str| Self { kind: kind.to_owned(), ..Self::default() };
        match require {
            Require::None => kind(""),
            Require::Ssl => kind("ANY"),
            Require::X509 => kind("X509"),
            Require::Specified { subject, issuer, cipher } => Self {
                kind: "SPECIFIED".to_owned(),
                subject: subject.clone(),
                issuer: issuer.clone(),
                cipher: cipher.clone(),
            },
        }
    }

    /// The clause that stores this; `None` where no statement does, because somebody wrote the
    /// columns by hand.
    pub fn require(&self) -> Option<Require> {
        let require = match self.kind.as_str() {
            "" => Require::None,
            "ANY" => Require::Ssl,
            "X509" => Require::X509,
            "SPECIFIED" => Require::Specified {
                subject: self.subject.clone(),
                issuer: self.issuer.clone(),
                cipher: self.cipher.clone(),
            },
            _ => return None,
        };
        (Self::of(&require) == *self).then_some(require)
    }

    /// SPECIFIED, and then nothing: what an empty name leaves behind.
    pub fn is_hollow(&self) -> bool {
        self.kind == "SPECIFIED"
            && [&self.subject, &self.issuer, &self.cipher].iter().all(|part| part.is_empty())
    }
}

/// What is stored for this account now; `None` for one that is not there, or whose columns are no
/// UTF-8.
pub fn one(conn: &mut Conn, name: &AccountName) -> Result<Option<Raw>, mysql::Error> {
    let row: Option<Row> = conn.exec_first(
        "SELECT ssl_type, x509_subject, x509_issuer, ssl_cipher FROM mysql.user \
         WHERE user = ? AND host = ?",
        (&name.user, &name.host),
    )?;
    Ok(row.and_then(|row| {
        let [kind, subject, issuer, cipher] = [0, 1, 2, 3].map(|at| text(&row, at));
        Some(Raw { kind: kind?, subject: subject?, issuer: issuer?, cipher: cipher? })
    }))
}

fn text(row: &Row, at: usize) -> Option<String> {
    match row.as_ref(at) {
        Some(Value::Bytes(bytes)) => String::from_utf8(bytes.clone()).ok(),
        _ => Some(String::new()),
    }
}

/// What is stored for these accounts now; an account that is not there is not in it, and neither is
/// one whose columns hold bytes that are no UTF-8.
pub fn read(
    conn: &mut Conn,
    names: &BTreeSet<&AccountName>,
) -> Result<BTreeMap<AccountName, Raw>, mysql::Error> {
    let mut found = BTreeMap::new();
    let rows = conn.query_iter(
        "SELECT user, host, ssl_type, x509_subject, x509_issuer, ssl_cipher FROM mysql.user",
    )?;
    for row in rows {
        let row: Row = row?;
        let text = |at: usize| text(&row, at);
        let (Some(user), Some(host)) = (text(0), text(1)) else { continue };
        let name = AccountName::new(user, host);
        if !names.contains(&name) {
            continue;
        }
        if let (Some(kind), Some(subject), Some(issuer), Some(cipher)) =
            (text(2), text(3), text(4), text(5))
        {
            found.insert(name, Raw { kind, subject, issuer, cipher });
        }
    }
    Ok(found)
}
