//! `REQUIRE` statements in the dialect of one server.
//!
//! Source: the grammars of both families (`sql/sql_yacc.yy`), and what MySQL's binary log makes of
//! them: it writes the names unescaped, so that a doubled backslash reaches a replica as one
//! (`Rewriter_user::rewrite_ssl_properties`).

use std::fmt;

use crate::facts::{AccountName, Flavor, Require, Version};

mod dialect;
mod quoting;

pub use dialect::{BadAccount, Dialect, Product, UnknownDialect};
pub use quoting::{account, quote};

use quoting::{Session, UNLOGGED};

/// Which statement carries the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `ALTER USER`: changes an account that exists.
    Alter,
    /// `CREATE USER`: makes it, without a password, and fails where it is there already: an account
    /// that was passed over would stay as open as it was.
    Create,
    /// `GRANT USAGE ON *.*`: changes the clause and nothing else.
    Grant,
}

/// What is to be sent, with what somebody should know before sending it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// In order, without their closing semicolons: those that change accounts, and around them
    /// where that is needed the session's settings, which are put back.
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
}

/// One change: what these accounts are to require.
pub type Order<'a> = (&'a [AccountName], &'a Require);

impl Written {
    /// The statements as a client program takes them, each closed with a semicolon.
    pub fn sql(&self) -> String {
        self.statements
            .iter()
            .map(|statement| format!("{statement};"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Where the last statement stands that changes an account: once it was sent, there is something
    /// to take back. The ones around it only set up the session.
    pub fn change_at(&self) -> usize {
        self.statements.iter().rposition(|statement| is_change(statement)).unwrap_or(0)
    }
}

fn is_change(statement: &str) -> bool {
    !statement.starts_with("SET ")
}

impl Dialect {
    /// Writes the clause for these accounts; `form` is replaced where the server lacks it.
    pub fn require(self, accounts: &[AccountName], require: &Require, form: Form) -> Written {
        self.script([(accounts, require)], form)
    }

    /// Writes many changes as one script, in their order; see [`Self::require`].
    pub fn script<'a, Orders>(self, orders: Orders, form: Form) -> Written
    where
        Orders: IntoIterator<Item = Order<'a>>,
    {
        let form = if self.forms().contains(&form) { form } else { self.forms()[0] };
        let mut session = Session::default();
        // the mode exists only where GRANT can make accounts
        session.grant_creates = match form {
            Form::Grant => Some(false),
            Form::Create if !self.creates_with_require() => Some(true),
            _ => None,
        };
        let mut cautions = Cautions::default();
        let mut unlogged = Vec::new();
        let mut statements = vec![String::new()]; // the session's settings, when they are known
        for (accounts, require) in orders {
            for name in accounts {
                session.carries(&name.user);
                session.carries(&name.host);
            }
            let mut names = "";
            if let Require::Specified { subject, issuer, cipher } = require {
                for text in [subject, issuer, cipher] {
                    session.carries(text);
                    if text.contains('\'') {
                        names = "'";
                    } else if text.contains('\\') && names.is_empty() {
                        names = "\\";
                    }
                }
            }
            cautions.note(accounts, require, names);
            let statement = self.one(accounts, require, form);
            if self.flavor == Flavor::MySql && names == "'" {
                unlogged.push(statement);
            } else {
                statements.push(statement);
            }
        }
        if !unlogged.is_empty() {
            statements.push(UNLOGGED.0.to_owned());
            statements.append(&mut unlogged);
            statements.push(UNLOGGED.1.to_owned());
        }
        match session.bracket() {
            Some((before, after)) => {
                statements[0] = before;
                statements.push(after);
            }
            None => drop(statements.remove(0)),
        }
        Written { statements, warnings: cautions.words(self, form) }
    }

    fn one(self, accounts: &[AccountName], require: &Require, form: Form) -> String {
        let mut text = match form {
            Form::Alter => "ALTER USER ",
            Form::Create if self.creates_with_require() => "CREATE USER ",
            Form::Create | Form::Grant => "GRANT USAGE ON *.* TO ",
        }
        .to_owned();
        for (at, name) in accounts.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            text.push_str(&account(name));
        }
        text.push_str(" REQUIRE");
        text.push_str(&clause(require));
        text
    }
}

/// Accounts for which something has to be known before the statements are sent.
#[derive(Default)]
struct Cautions {
    apostrophes: Several,
    backslashes: Several,
    /// To be made with nothing that keeps others out.
    open: Several,
}

impl Cautions {
    fn note(&mut self, accounts: &[AccountName], require: &Require, names: &str) {
        match names {
            "'" => self.apostrophes.note(accounts),
            "\\" => self.backslashes.note(accounts),
            _ => {}
        }
        if matches!(require, Require::None | Require::Ssl) {
            self.open.note(accounts);
        }
    }

    fn words(&self, dialect: Dialect, form: Form) -> Vec<String> {
        let mut words = Vec::new();
        if form == Form::Create {
            words.push(
                "what is made has no password: the certificate alone opens it until you set one \
                 (ALTER USER … IDENTIFIED …)"
                    .to_owned(),
            );
            if self.open.count > 0 {
                words.push(format!(
                    "{} would be open to anybody, without password and without certificate",
                    self.open
                ));
            }
        }
        if dialect.flavor == Flavor::MySql && self.apostrophes.count > 0 {
            words.push(format!(
                "the name that {} is to require holds an apostrophe, which MySQL writes unescaped \
                 into its binary log: every replica would stop with error 1064. So this is kept out \
                 of the log (sql_log_bin = 0, which takes SUPER or SYSTEM_VARIABLES_ADMIN): run the \
                 same statements on every replica, too, there with super_read_only switched off for \
                 the moment, and again after a restore from the log; better, use a certificate \
                 without an apostrophe",
                self.apostrophes
            ));
        }
        if !dialect.shows_names_escaped() {
            if self.apostrophes.count > 0 {
                words.push(format!(
                    "what SHOW CREATE USER says of {} cannot be run again, and so cannot dumps made \
                     of it (pt-show-grants, MySQL Shell, mariadb-dump --system=users): keep these \
                     statements with the dump; a dump of the tables of the mysql schema is right",
                    self.apostrophes
                ));
            }
            if self.backslashes.count > 0 {
                words.push(format!(
                    "SHOW CREATE USER of {}, and dumps made of it (pt-show-grants, MySQL Shell, \
                     mariadb-dump --system=users), are right only when they are loaded after \
                     SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); otherwise the \
                     account comes to require another name, and says nothing",
                    self.backslashes
                ));
            }
        }
        words
    }
}

/// The first of them, and how many.
#[derive(Default)]
struct Several {
    first: Vec<String>,
    count: usize,
}

impl Several {
    fn note(&mut self, accounts: &[AccountName]) {
        const SHOWN: usize = 3;
        let room = SHOWN.saturating_sub(self.first.len());
        self.first.extend(accounts.iter().take(room).map(ToString::to_string));
        self.count += accounts.len();
    }
}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What follows the word REQUIRE: ` SSL`, or the parts asked for, each on a line of its own.
fn clause(require: &Require) -> String {
    let Require::Specified { subject, issuer, cipher } = require else {
        return format!(" {}", require.describe());
    };
    let parts = [("SUBJECT", subject), ("ISSUER", issuer), ("CIPHER", cipher)];
    let asked = parts.iter().filter(|(_, value)| !value.is_empty());
    let asked = asked.map(|(part, value)| format!("{part} {}", quote(value)));
    // An empty string would mean "anyone" to some servers; nothing asked for means any certificate.
    match asked.collect::<Vec<_>>().join("\n  AND ") {
        clause if clause.is_empty() => " X509".to_owned(),
        clause => format!("\n  {clause}"),
    }
}

/// Makes the running server read its TLS files again; `None` where only a restart does.
pub fn reload(flavor: Flavor, version: Version) -> Option<&'static str> {
    match flavor {
        Flavor::MySql if version >= Version(8, 0, 16) => Some("ALTER INSTANCE RELOAD TLS;"),
        Flavor::MariaDb if version >= Version(10, 4, 0) => Some("FLUSH SSL;"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
