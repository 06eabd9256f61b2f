//! The server that the statement is for: asked, or only named.

use super::{GrantArgs, Library};
use crate::cli::Failure;
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Account, AccountName, Facts, Require};
use crate::remedy::level::{Level, Trusted};
use crate::remedy::lockout::{self, Proposal};
use crate::remedy::offer;
use crate::remedy::statement::{Dialect, Product};

pub(super) struct Server {
    pub dialect: Dialect,
    /// `9.7`, `10.11.19`.
    pub version: String,
    /// What it said of itself; `None` when it was only named.
    pub facts: Option<Facts>,
}

impl Server {
    pub fn of(args: &GrantArgs) -> Result<Self, Failure> {
        let library = args.tls_library.map(Library::name);
        if let Some(Product(flavor, version)) = args.dialect {
            if args.target.is_given() {
                return Err(Failure::usage(
                    "--dialect writes for a server that is not asked: leave it out, or the options \
                     that name a server",
                ));
            }
            let dialect = Dialect::new(flavor, version, library);
            let version = format!("{}.{}", version.0, version.1);
            return Ok(Self { dialect, version, facts: None });
        }
        let facts = gather(&args.target.resolve()?, &Cancel::default(), &mut |_| {});
        let Some(server) = facts.server.read() else {
            let unread = facts.server.reason();
            let why = unread.map_or("there is none", |unread| unread.why.as_str());
            let advice = unread.map_or("", |unread| unread.advice.as_str());
            let advice = if advice.is_empty() { String::new() } else { format!("\n  {advice}") };
            return Err(Failure::not_examined(format!(
                "the server cannot be asked what it is: {why}{advice}\n  without asking: --dialect \
                 mysql-9.7 --tls-library openssl-3"
            )));
        };
        let mut dialect = Dialect::of(server);
        if let Some(wanted) = args.tls_library {
            let named = Dialect::new(server.flavor, server.version, Some(wanted.name()));
            if dialect.names_known && named.names != dialect.names {
                return Err(Failure::usage(format!(
                    "the server says that its TLS library is {}: leave out --tls-library",
                    server.tls_library.as_deref().unwrap_or_default()
                )));
            }
            if !dialect.names_known {
                dialect = named;
            }
        }
        Ok(Self { dialect, version: server.version.to_string(), facts: Some(facts) })
    }

    /// What has to be known of a server that is to ask for so much.
    ///
    /// # Errors
    /// Why it must not ask for it.
    pub fn cautions(&self, level: Level) -> Result<Vec<String>, Failure> {
        level.check(self.trusted()).map_err(|why| Failure::usage(why.to_string()))?;
        let Some(facts) = &self.facts else {
            let words = (level == Level::X509).then(|| {
                "with a public CA in ssl_ca, or without ssl_ca, X509 lets in anybody; no server was \
                 asked about its own"
                    .to_owned()
            });
            return Ok(words.into_iter().collect());
        };
        let off = facts.server.read().is_some_and(|server| offer::tls_is_off(facts, server));
        if level != Level::None && off {
            return Err(Failure::usage(
                "TLS is off on this server, so every REQUIRE would lock the account out: mend that \
                 first (mytls check), or write with --dialect without asking the server",
            ));
        }
        Ok(Vec::new())
    }

    pub fn trusted(&self) -> Trusted {
        self.facts.as_ref().map_or(Trusted::Unknown, Trusted::of)
    }

    pub fn asks_everybody(&self) -> bool {
        let server = self.facts.as_ref().and_then(|facts| facts.server.read());
        server.is_some_and(|server| server.is_on("require_secure_transport"))
    }

    /// Its accounts; `None` when it was not asked, or did not tell.
    pub fn accounts(&self) -> Option<&[Account]> {
        let server = self.facts.as_ref()?.server.read()?;
        server.accounts.read().map(Vec::as_slice)
    }

    /// Why its accounts are not known, though it was asked.
    pub fn hides_accounts(&self) -> Option<&str> {
        let server = self.facts.as_ref()?.server.read()?;
        server.accounts.reason().map(|unread| unread.why.as_str())
    }

    /// Who would not get in again, as far as anybody can see.
    pub fn refused(&self, orders: &[(AccountName, Require)]) -> Vec<String> {
        let (Some(facts), Some(known)) = (&self.facts, self.accounts()) else { return Vec::new() };
        let mut words = lockout::forecast(facts, Proposal::Require(orders)).warnings();
        for (name, _) in orders {
            let at = known.binary_search_by(|account| account.name.cmp(name));
            if at.is_ok_and(|at| known.get(at).is_some_and(|account| account.locked)) {
                words.push(format!(
                    "{name} is locked; where it is a role of MySQL, REQUIRE of a role binds nobody: \
                     write it for the accounts that have the role"
                ));
            }
        }
        words
    }
}
