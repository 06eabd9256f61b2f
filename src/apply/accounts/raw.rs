//! An account's clause as it is stored: the four columns that REQUIRE writes, and nothing made of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};
use serde::{Deserialize, Serialize};

use crate::facts::{AccountName, Require};
use crate::printable::printable;

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

    /// The clause as people read it, with every character of its names.
    pub fn clause(&self) -> String {
        let mut text = match self.kind.as_str() {
            "" => "REQUIRE NONE",
            "ANY" => "REQUIRE SSL",
            "X509" => "REQUIRE X509",
            _ => "REQUIRE",
        }
        .to_owned();
        for (what, value) in
            [("SUBJECT", &self.subject), ("ISSUER", &self.issuer), ("CIPHER", &self.cipher)]
        {
            if !value.is_empty() {
                let _ = write!(text, " {what} '{}'", printable(value));
            }
        }
        if self.is_hollow() {
            text += " SUBJECT ''";
        }
        text
    }

    /// SPECIFIED, and then nothing: what an empty name leaves behind.
    pub fn is_hollow(&self) -> bool {
        self.kind == "SPECIFIED"
            && [&self.subject, &self.issuer, &self.cipher].iter().all(|part| part.is_empty())
    }
}

/// What is stored for these few accounts now, found by their names; one that is not there, or whose
/// columns are no UTF-8, is not in it.
pub fn some(
    conn: &mut Conn,
    names: &[&AccountName],
) -> Result<BTreeMap<AccountName, Raw>, mysql::Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let one = "(user = ? AND host = ?)";
    let query = format!("{COLUMNS} WHERE {}", vec![one; names.len()].join(" OR "));
    let values = names.iter().flat_map(|name| [&name.user, &name.host]);
    let values: Vec<Value> = values.map(|text| text.as_str().into()).collect();
    let rows: Vec<Row> = conn.exec(query, values)?;
    Ok(rows.iter().filter_map(of_row).collect())
}

const COLUMNS: &str =
    "SELECT user, host, ssl_type, x509_subject, x509_issuer, ssl_cipher FROM mysql.user";

fn of_row(row: &Row) -> Option<(AccountName, Raw)> {
    let [user, host, kind, subject, issuer, cipher] = [0, 1, 2, 3, 4, 5].map(|at| text(row, at));
    let raw = Raw { kind: kind?, subject: subject?, issuer: issuer?, cipher: cipher? };
    Some((AccountName::new(user?, host?), raw))
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
    for row in conn.query_iter(COLUMNS)? {
        if let Some((name, raw)) = of_row(&row?)
            && names.contains(&name)
        {
            found.insert(name, raw);
        }
    }
    Ok(found)
}
