//! Which of the accounts of a user answers a login: the one with the most specific host, whatever
//! its password.

use std::cmp::Reverse;

use crate::facts::{Account, AccountName, ServerFacts};

/// Those that a login of this user from this host can come to, the one that answers first. Where
/// the host is not known, those of any host.
pub fn candidates<'a>(server: &'a ServerFacts, user: &str, from: Option<&str>) -> Vec<&'a Account> {
    let mut fit: Vec<&Account> = server
        .accounts
        .read()
        .into_iter()
        .flatten()
        .filter(|account| account.name.user == user || account.name.user.is_empty())
        .filter(|account| admits(server, &account.name, from))
        .collect();
    if from.is_none() {
        // who would come first cannot be said
        fit.retain(|account| account.name.user == user);
        return if fit.len() == 1 { fit } else { Vec::new() };
    }
    fit.sort_by_key(|account| Reverse(server.rank(&account.name)));
    fit
}

/// Whether a client there may come to this account.
pub fn admits(server: &ServerFacts, account: &AccountName, from: Option<&str>) -> bool {
    let Some(from) = from else { return true };
    // the server compares the address of a client with a name, too, and it came over the network
    server.admits(account, from) || (from == "localhost" && server.admits(account, "127.0.0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Require, Source};
    use crate::rules::testing::{self, account};

    #[test]
    fn only_those_that_fit_may_answer_the_most_specific_first() {
        let all = [
            account("app", "%", Require::None),
            account("app", "10.0.%", Require::None),
            account("app", "10.0.3.0/255.255.255.0", Require::None),
            account("", "10.0.3.7", Require::None),
            account("web", "10.0.3.7", Require::None),
        ];
        let server = testing::with_server(|server| server.accounts = Source::Read(all.to_vec()));
        let server = server.server.read().unwrap();
        let hosts = |from: &str| -> Vec<&str> {
            candidates(server, "app", Some(from)).iter().map(|a| a.name.host.as_str()).collect()
        };
        assert_eq!(hosts("10.0.3.7").len(), 4);
        assert_eq!(hosts("10.0.4.7"), ["10.0.%", "%"]);
        assert_eq!(hosts("db9.example"), ["%"]);
        assert!(candidates(server, "app", None).is_empty(), "it cannot be said");
    }
}
