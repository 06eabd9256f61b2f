//! `REQUIRE` statements in the dialect of one server.
//!
//! Source: the grammars of both families (`sql/sql_yacc.yy`), and what MySQL's binary log makes of
//! them: it writes the names unescaped, so that a doubled backslash reaches a replica as one
//! (`Rewriter_user::rewrite_ssl_properties`).

use crate::facts::{AccountName, Flavor, Require, ServerFacts, Version};
use crate::x509::OneLine;

/// Everything about a server that decides how a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub flavor: Flavor,
    pub version: Version,
    /// How this server's TLS library writes names.
    pub names: OneLine,
    /// Whether that is known, or the likeliest guess.
    pub names_known: bool,
}

/// Which statement carries the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `ALTER USER`: changes an account that exists.
    Alter,
    /// `CREATE USER IF NOT EXISTS`: makes it.
    Create,
    /// `GRANT USAGE ON *.*`: changes the clause and nothing else.
    Grant,
}

/// What is to be sent, with what somebody should know before sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// One or more statements, in order, without their closing semicolons.
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
}

impl Written {
    /// The statements as a client program takes them, each closed with a semicolon.
    pub fn sql(&self) -> String {
        self.statements
            .iter()
            .map(|statement| format!("{statement};"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Dialect {
    pub fn of(server: &ServerFacts) -> Self {
        let library = server.tls_library.as_deref().map(str::to_ascii_lowercase);
        let library = library.as_deref();
        let starts = |start: &str| library.is_some_and(|library| library.starts_with(start));
        let (names, names_known) = if starts("yassl") {
            (OneLine::YaSsl, true)
        } else if starts("wolfssl") || starts("openssl 1.") || starts("openssl 0.") {
            (OneLine::OpenSsl1, true)
        } else {
            (OneLine::OpenSsl3, starts("openssl"))
        };
        Self { flavor: server.flavor, version: server.version, names, names_known }
    }

    /// The forms that this server's grammar knows, the recommended first.
    pub fn forms(self) -> &'static [Form] {
        match self.flavor {
            Flavor::MySql if self.version < Version(5, 7, 6) => &[Form::Grant],
            Flavor::MySql if self.version < Version(8, 0, 11) => {
                &[Form::Alter, Form::Create, Form::Grant]
            }
            Flavor::MySql => &[Form::Alter, Form::Create],
            Flavor::MariaDb if self.version < Version(10, 2, 0) => &[Form::Grant],
            Flavor::MariaDb => &[Form::Alter, Form::Create, Form::Grant],
        }
    }

    /// Writes the clause for these accounts; `form` is replaced where the server lacks it.
    pub fn require(self, accounts: &[AccountName], require: &Require, form: Form) -> Written {
        let forms = self.forms();
        let form = if forms.contains(&form) { form } else { forms[0] };
        let accounts = accounts.iter().map(account).collect::<Vec<_>>().join(", ");
        let head = match form {
            Form::Alter => format!("ALTER USER {accounts}"),
            Form::Create => format!("CREATE USER IF NOT EXISTS {accounts}"),
            Form::Grant => format!("GRANT USAGE ON *.* TO {accounts}"),
        };
        let clause = clause(require);
        let mut statements = Vec::new();
        if clause.contains('\\') {
            // Single backslashes under NO_BACKSLASH_ESCAPES are the one spelling that is stored as
            // it stands, whatever the session's mode was, and that replicas and dumps get right.
            statements.push(
                "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_BACKSLASH_ESCAPES')"
                    .to_owned(),
            );
        }
        statements.push(format!("{head} REQUIRE{clause}"));
        let mut warnings = Vec::new();
        if self.flavor == Flavor::MySql && clause.contains("''") {
            warnings.push(
                "the name holds an apostrophe, which MySQL writes unescaped into its binary log: \
                 replication would stop with error 1064. Run SET SESSION sql_log_bin = 0 first, and \
                 the statement on every replica too; better, use a certificate without one"
                    .to_owned(),
            );
        }
        Written { statements, warnings }
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

/// A string literal whose backslashes stand as they are (see [`Dialect::require`]). Single quotes,
/// since double ones are identifiers under ANSI_QUOTES.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `'app'@'10.0.%'`. Backslashes in an account's name are doubled; they are as good as never
/// there, and never together with a clause that holds some.
pub fn account(name: &AccountName) -> String {
    let quote = |text: &str| quote(&text.replace('\\', "\\\\"));
    format!("{}@{}", quote(&name.user), quote(&name.host))
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
mod tests {
    use super::*;

    fn dialect(flavor: Flavor, version: Version) -> Dialect {
        Dialect { flavor, version, names: OneLine::OpenSsl3, names_known: true }
    }

    fn subject(subject: &str) -> Require {
        Require::Specified {
            subject: subject.into(),
            issuer: "/CN=CA".into(),
            cipher: String::new(),
        }
    }

    #[test]
    fn every_family_gets_the_form_its_grammar_has() {
        let app = [AccountName::new("app", "10.0.%")];
        let sql = |flavor, version, form| {
            dialect(flavor, version).require(&app, &Require::Ssl, form).sql()
        };
        assert_eq!(
            sql(Flavor::MySql, Version(9, 7, 4), Form::Grant),
            "ALTER USER 'app'@'10.0.%' REQUIRE SSL;"
        );
        assert_eq!(
            sql(Flavor::MySql, Version(5, 6, 24), Form::Alter),
            "GRANT USAGE ON *.* TO 'app'@'10.0.%' REQUIRE SSL;"
        );
        assert_eq!(
            sql(Flavor::MariaDb, Version(10, 11, 19), Form::Grant),
            "GRANT USAGE ON *.* TO 'app'@'10.0.%' REQUIRE SSL;"
        );
        assert_eq!(
            sql(Flavor::MySql, Version(26, 7, 0), Form::Alter),
            "ALTER USER 'app'@'10.0.%' REQUIRE SSL;"
        );
    }

    #[test]
    fn subject_and_issuer_stand_on_lines_of_their_own() {
        let app = [AccountName::new("app", "%")];
        let written = dialect(Flavor::MariaDb, Version(10, 11, 19)).require(
            &app,
            &subject("/C=SE/CN=app"),
            Form::Alter,
        );
        assert_eq!(
            written.sql(),
            "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/C=SE/CN=app'\n  AND ISSUER '/CN=CA';"
        );
        assert_eq!(written.warnings, Vec::<String>::new());
    }

    #[test]
    fn backslashes_are_kept_from_the_lexer_by_the_sql_mode() {
        let app = [AccountName::new("app", "%")];
        let written = dialect(Flavor::MySql, Version(9, 7, 4)).require(
            &app,
            &subject(r"/CN=Jos\xC3\xA9"),
            Form::Alter,
        );
        assert!(written.sql().starts_with("SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_BACKSLASH_ESCAPES');\nALTER USER"));
        assert!(written.sql().contains(r"SUBJECT '/CN=Jos\xC3\xA9'"));
    }

    #[test]
    fn an_apostrophe_is_doubled_and_on_mysql_warned_of() {
        let app = [AccountName::new("o'neil", "%")];
        let written = |flavor, version| {
            dialect(flavor, version).require(&app, &subject("/CN=O'Neil"), Form::Alter)
        };
        let mysql = written(Flavor::MySql, Version(9, 7, 4));
        assert!(mysql.sql().contains("'o''neil'@'%'") && mysql.sql().contains("'/CN=O''Neil'"));
        assert!(mysql.warnings[0].contains("1064"));
        assert_eq!(written(Flavor::MariaDb, Version(10, 11, 19)).warnings, Vec::<String>::new());
    }

    #[test]
    fn nothing_asked_for_never_becomes_an_empty_string() {
        let nothing = Require::Specified {
            subject: String::new(),
            issuer: String::new(),
            cipher: String::new(),
        };
        assert_eq!(clause(&nothing), " X509");
    }

    #[test]
    fn reload_is_known_where_it_exists() {
        assert_eq!(reload(Flavor::MySql, Version(5, 7, 40)), None);
        assert_eq!(reload(Flavor::MySql, Version(26, 7, 0)), Some("ALTER INSTANCE RELOAD TLS;"));
        assert_eq!(reload(Flavor::MariaDb, Version(10, 11, 19)), Some("FLUSH SSL;"));
    }
}
