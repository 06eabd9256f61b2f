//! `mytls grant`: the statement that makes accounts need their certificate, alone on stdout.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::target::TargetArgs;
use super::{Failure, print, tell};
use crate::facts::{AccountName, Require};
use crate::printable::{printable, printable_json, printable_lines};
use crate::remedy::cipher::Cipher;
use crate::remedy::level::{self, Level};
use crate::remedy::statement::{Form, Product, Written};
use crate::x509::OneLine;

mod orders;
mod revoked;
mod server;

use orders::Orders;
use server::Server;

/// Print the statement that makes accounts need their certificate
///
/// The statement alone goes to stdout, so that it can be piped into the mysql client; what should be
/// known before goes to stderr. Nothing is changed.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    mut_arg("user", |login| login.long(None)),
    after_help = "Examples:\n  mytls grant --cert client-cert.pem --user \"'app'@'10.0.%'\" -h db1 | mysql -h db1\n  \
    mytls grant --cert client-cert.pem --user app@10.0.% --dialect mysql-9.7 --tls-library openssl-3\n  \
    mytls grant --ca-dir ~/db-ca -h db1      every account that the CA has a certificate for\n\n\
    Without --dialect the server is asked what it is, how its TLS library writes names, and which\n\
    accounts there are. Levels, by what somebody with the password could still do:\n  \
    none, ssl        log in from anywhere the host pattern allows; ssl: unread on the way\n  \
    x509             the same with any certificate of a CA in ssl_ca\n  \
    issuer           the same with any certificate of this one CA\n  \
    subject-issuer   nothing, without the key of this one certificate"
)]
pub struct GrantArgs {
    /// Account that is to need it, as user@host; may be given several times
    #[arg(id = "account", long = "user", value_name = "ACCOUNT")]
    accounts: Vec<AccountName>,
    /// The client's certificate (PEM); of several in the file the first
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// How much is asked for
    #[arg(long, value_enum, default_value_t)]
    level: LevelArg,
    /// A cipher suite to ask for as well, by the name that servers give it
    #[arg(long, value_name = "NAME")]
    cipher: Option<String>,
    /// Which statement; without it what the server knows best
    #[arg(long, value_enum, value_name = "FORM")]
    form: Option<FormArg>,
    /// Write for this server and ask none: mysql-9.7, mariadb-10.11, …
    #[arg(long, value_name = "SERVER")]
    dialect: Option<Product>,
    /// What its TLS library is, where nobody is asked or the server does not tell
    #[arg(long, value_enum, value_name = "LIBRARY")]
    tls_library: Option<Library>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LevelArg {
    None,
    Ssl,
    X509,
    Issuer,
    #[default]
    SubjectIssuer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormArg {
    /// ALTER USER, of an account that is there
    Alter,
    /// CREATE USER, of one that is not
    Create,
    /// GRANT … REQUIRE, the only way of MySQL 5.6
    Grant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Library {
    #[value(name = "openssl-3")]
    OpenSsl3,
    #[value(name = "openssl-1.1")]
    OpenSsl1,
    #[value(name = "yassl")]
    YaSsl,
    #[value(name = "wolfssl")]
    WolfSsl,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

impl LevelArg {
    /// As it is typed.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn level(self) -> Level {
        match self {
            Self::None => Level::None,
            Self::Ssl => Level::Ssl,
            Self::X509 => Level::X509,
            Self::Issuer => Level::Issuer,
            Self::SubjectIssuer => Level::SubjectAndIssuer,
        }
    }
}

impl Library {
    /// As a server would tell it.
    fn name(self) -> &'static str {
        match self {
            Self::OpenSsl3 => "OpenSSL 3",
            Self::OpenSsl1 => "OpenSSL 1.1",
            Self::YaSsl => "YaSSL",
            Self::WolfSsl => "WolfSSL",
        }
    }
}

pub fn run(args: &GrantArgs) -> Result<ExitCode, Failure> {
    let usage = |error: &dyn std::error::Error| Failure::usage(error.to_string());
    let level = args.level.level();
    // before a server is asked: what is wrong with the arguments alone
    let cipher = args.cipher.as_deref().map(Cipher::parse).transpose().map_err(|e| usage(&e))?;
    let certificate = orders::certificate(args, level)?;
    let server = Server::of(args)?;
    let dialect = server.dialect;
    let form = form(args, &server)?;
    let mut warnings = server.cautions(level)?;
    warnings.extend(revoked::look(args, level, certificate.as_ref(), &server)?);
    if let Some(cipher) = &cipher {
        let of_server = server.facts.as_ref().and_then(|facts| facts.server.read());
        warnings.extend(cipher.cautions(dialect, of_server).map_err(|e| usage(&e))?);
    }
    let orders = orders::make(args, level, form, &server, certificate.as_ref(), cipher.as_ref())?;
    warnings.extend(orders.warnings.iter().cloned());
    if level != Level::None && args.form != Some(FormArg::Create) {
        warnings.extend(server.refused(&orders.each()));
    }
    let written = dialect.script(orders.iter(), form);
    warnings.extend(written.warnings.iter().cloned());
    match args.format {
        Format::Text => text(&written)?,
        Format::Json => print(&json(&server, form, &orders, &written, &warnings)?)?,
    }
    for warning in &warnings {
        tell(format_args!("warning: {}\n", printable_lines(warning)));
    }
    let (recommended, why) = level::recommended(server.trusted());
    if level < recommended && level != Level::None {
        tell(format_args!(
            "note: {}; recommended is subject-issuer: {why}\n",
            level.leaves_open(server.trusted(), server.asks_everybody())
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What [`run`] would print a statement for, of a server that is asked and of accounts that are
/// there: for those who go on and send it.
pub(super) fn wanted(args: &GrantArgs) -> Result<Wanted, Failure> {
    if args.dialect.is_some() || args.form.is_some() {
        return Err(Failure::usage(
            "accounts that are there are changed, on the server that is asked: --dialect and --form are \
             for mytls grant",
        ));
    }
    let usage = |error: &dyn std::error::Error| Failure::usage(error.to_string());
    let level = args.level.level();
    let cipher = args.cipher.as_deref().map(Cipher::parse).transpose().map_err(|e| usage(&e))?;
    let certificate = orders::certificate(args, level)?;
    let server = Server::of(args)?;
    let mut warnings = server.cautions(level)?;
    warnings.extend(revoked::look(args, level, certificate.as_ref(), &server)?);
    if let Some(cipher) = &cipher {
        let of_server = server.facts.as_ref().and_then(|facts| facts.server.read());
        warnings.extend(cipher.cautions(server.dialect, of_server).map_err(|e| usage(&e))?);
    }
    let form = server.dialect.forms()[0];
    let orders = orders::make(args, level, form, &server, certificate.as_ref(), cipher.as_ref())?;
    warnings.extend(orders.warnings.iter().cloned());
    let orders = orders.each();
    let facts = server.facts.ok_or_else(|| Failure::not_examined("the server was not asked"))?;
    Ok(Wanted { facts, orders, warnings })
}

impl GrantArgs {
    pub(super) fn wants_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// See [`wanted`].
pub(super) struct Wanted {
    pub facts: crate::facts::Facts,
    pub orders: Vec<(AccountName, Require)>,
    pub warnings: Vec<String>,
}

/// # Errors
/// That this server has no such statement.
fn form(args: &GrantArgs, server: &Server) -> Result<Form, Failure> {
    let forms = server.dialect.forms();
    let Some(wanted) = args.form else { return Ok(forms[0]) };
    let form = match wanted {
        FormArg::Alter => Form::Alter,
        FormArg::Create => Form::Create,
        FormArg::Grant => Form::Grant,
    };
    if forms.contains(&form) {
        return Ok(form);
    }
    let (wanted, instead) = match form {
        Form::Grant => ("GRANT", "alter, or leave --form out"),
        _ => ("ALTER USER", "grant, or leave --form out"),
    };
    Err(Failure::usage(format!(
        "{} has no {wanted} … REQUIRE: use --form {instead}",
        server.dialect.describe()
    )))
}

/// The statements alone. On a terminal nothing in them takes it over; for that what is not fit to
/// be shown is spelled out, and it is said that this is no statement any more.
fn text(written: &Written) -> Result<(), Failure> {
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        let sql = written.sql();
        let shown = printable_lines(&sql);
        if shown != sql {
            tell(format_args!(
                "warning: control characters are spelled out here, and the statement is right only in \
                 a pipe or a file: mytls grant … | mysql\n"
            ));
        }
        return print(&format!("{shown}\n"));
    }
    let mut out = std::io::BufWriter::new(stdout.lock());
    let write = |out: &mut dyn std::io::Write| {
        written
            .statements
            .iter()
            .try_for_each(|sql| writeln!(out, "{sql};"))
            .and_then(|()| out.flush())
    };
    match write(&mut out) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::not_examined(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    server: Spoken<'a>,
    form: &'static str,
    accounts: Vec<Account<'a>>,
    /// In order, without their semicolons.
    statements: &'a [String],
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Spoken<'a> {
    flavor: &'static str,
    version: &'a str,
    /// In whose way names are written.
    names: OneLine,
    names_known: bool,
}

#[derive(Serialize)]
struct Account<'a> {
    user: &'a str,
    host: &'a str,
    require: &'a Require,
}

fn json(
    server: &Server,
    form: Form,
    orders: &Orders,
    written: &Written,
    warnings: &[String],
) -> Result<String, Failure> {
    let accounts = orders.iter().flat_map(|(accounts, require)| {
        accounts.iter().map(move |name| Account { user: &name.user, host: &name.host, require })
    });
    let dialect = server.dialect;
    let report = Report {
        schema: 1,
        server: Spoken {
            flavor: dialect.flavor.name(),
            version: &server.version,
            names: dialect.names,
            names_known: dialect.names_known,
        },
        form: match form {
            Form::Alter => "alter",
            Form::Create => "create",
            Form::Grant => "grant",
        },
        accounts: accounts.collect(),
        statements: &written.statements,
        warnings,
    };
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| Failure::not_examined(format!("the report cannot be written: {error}")))?;
    Ok(printable_json(&text) + "\n")
}

/// `app@%, web@10.0.% and 3 more`
fn some<'a>(accounts: impl Iterator<Item = &'a AccountName>) -> String {
    const SHOWN: usize = 5;
    let all: Vec<&AccountName> = accounts.collect();
    let names: Vec<String> =
        all.iter().take(SHOWN).map(|name| printable(&name.to_string()).into_owned()).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
