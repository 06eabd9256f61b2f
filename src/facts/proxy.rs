//! Logins that are given the rights of another account (`GRANT PROXY`).
//!
//! Measured on MySQL 9.7.4 (`check_proxy_users` and `caching_sha2_password_proxy_users` on): the account
//! that answers has to be right in password, lock and expiry; the REQUIRE that counts is that of
//! the account whose rights are given, and its lock and expiry do not.
//! `acl_authenticate` of both families goes on with that account before it comes to `acl_check_ssl`.

use super::{Account, AccountName, Flavor, ServerFacts};

/// Whose rights a login has, and whose REQUIRE counts for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActsAs<'a> {
    Itself,
    Other(&'a Account),
    /// One of these, or itself: a plugin decides, or the server by an order that it does not tell.
    Perhaps(&'a [AccountName]),
}

impl ServerFacts {
    pub fn acts_as<'a>(&'a self, account: &'a Account) -> ActsAs<'a> {
        /// These look up somewhere else whose rights a login is to have.
        const MAPPING: [&str; 6] = ["pam", "ldap", "windows", "kerberos", "gssapi", "openid"];
        let proxies = account.more.proxies.as_slice();
        if proxies.is_empty() {
            return ActsAs::Itself;
        }
        let plugin = account.plugin.to_ascii_lowercase();
        let by_server = self.flavor == Flavor::MySql
            && self.is_on("check_proxy_users")
            && self.is_on(&format!("{plugin}_proxy_users"));
        if by_server {
            let found = match proxies {
                [one] => self.accounts.read().and_then(|all| all.iter().find(|a| a.name == *one)),
                _ => None,
            };
            return found.map_or(ActsAs::Perhaps(proxies), ActsAs::Other);
        }
        if MAPPING.iter().any(|word| plugin.contains(word)) {
            return ActsAs::Perhaps(proxies);
        }
        ActsAs::Itself
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Require, Source};
    use crate::rules::testing::{self, account};

    #[test]
    fn whose_require_counts_is_only_said_where_it_is_known() {
        let back = account("back", "%", Require::X509);
        let mut front = account("front", "%", Require::None);
        front.plugin = "caching_sha2_password".into();
        front.more.proxies = vec![back.name.clone()];
        let mut server = testing::with_server(|server| {
            server.flavor = Flavor::MySql;
            server.accounts = Source::Read(vec![front.clone(), back.clone()]);
        });
        let Source::Read(server) = &mut server.server else { panic!("no facts") };
        assert_eq!(server.acts_as(&front), ActsAs::Itself, "nothing maps it");
        for name in ["check_proxy_users", "caching_sha2_password_proxy_users"] {
            server.variables.insert(name.into(), "ON".into());
        }
        assert_eq!(server.acts_as(&front), ActsAs::Other(&back));
        assert_eq!(server.acts_as(&back), ActsAs::Itself);
        let mut two = front.clone();
        two.more.proxies.push(AccountName::new("more", "%"));
        assert_eq!(server.acts_as(&two), ActsAs::Perhaps(&two.more.proxies));
        server.flavor = Flavor::MariaDb;
        assert_eq!(server.acts_as(&front), ActsAs::Itself, "it has no such variables");
        front.plugin = "pam".into();
        assert_eq!(server.acts_as(&front), ActsAs::Perhaps(&front.more.proxies));
    }
}
