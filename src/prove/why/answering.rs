//! Which of the accounts of a user answers a login: the one with the most specific host, whatever
//! its password (MySQL manual, "Access Control, Stage 1"; `ACL_compare`, `get_sort`).

use std::net::IpAddr;

use crate::facts::{Account, AccountName};

/// Those that a login of this user from this host can come to, the one that answers first. Where
/// the host is not known, those of any host.
pub fn candidates<'a>(all: &'a [Account], user: &str, from: Option<&str>) -> Vec<&'a Account> {
    let mut fit: Vec<&Account> = all
        .iter()
        .filter(|account| account.name.user == user || account.name.user.is_empty())
        .filter(|account| admits(&account.name, from))
        .collect();
    if from.is_none() {
        // who would come first cannot be said
        fit.retain(|account| account.name.user == user);
        return if fit.len() == 1 { fit } else { Vec::new() };
    }
    fit.sort_by_key(|account| (rank(&account.name.host), account.name.user.is_empty()));
    fit
}

/// Whether a client there may come to this account.
pub fn admits(account: &AccountName, from: Option<&str>) -> bool {
    let Some(from) = from else { return true };
    account.host.is_empty() || account.admits(from) || in_net(&account.host, from).unwrap_or(false)
}

/// `10.0.0.0/255.255.0.0` and `10.0.0.0/16`.
fn in_net(pattern: &str, from: &str) -> Option<bool> {
    let (net, mask) = pattern.split_once('/')?;
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)) << 96,
        IpAddr::V6(ip) => u128::from(ip),
    };
    let mask = match mask.parse::<u32>() {
        Ok(length) => u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0),
        Err(_) => bits(mask.parse().ok()?),
    };
    let (net, from): (IpAddr, IpAddr) = (net.parse().ok()?, from.parse().ok()?);
    Some(net.is_ipv4() == from.is_ipv4() && bits(net) & mask == bits(from) & mask)
}

/// The smaller, the sooner: a host itself, a net, a pattern by where its first wildcard stands.
fn rank(host: &str) -> (u8, usize) {
    match host.find(['%', '_']) {
        _ if host.is_empty() => (4, 0),
        None if host.contains('/') => (1, 0),
        None => (0, 0),
        Some(0) if host == "%" => (3, 0),
        Some(at) => (2, usize::MAX - at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Require;
    use crate::rules::testing::account;

    #[test]
    fn the_most_specific_host_answers_and_an_anonymous_one_before_a_named_pattern() {
        let all = [
            account("app", "%", Require::None),
            account("app", "10.0.%", Require::None),
            account("app", "10.0.3.0/255.255.255.0", Require::None),
            account("", "10.0.3.7", Require::None),
            account("web", "10.0.3.7", Require::None),
        ];
        let hosts = |from: &str| -> Vec<&str> {
            candidates(&all, "app", Some(from)).iter().map(|a| a.name.host.as_str()).collect()
        };
        assert_eq!(hosts("10.0.3.7"), ["10.0.3.7", "10.0.3.0/255.255.255.0", "10.0.%", "%"]);
        assert_eq!(hosts("10.0.4.7"), ["10.0.%", "%"]);
        assert_eq!(hosts("db9.example"), ["%"]);
        assert!(candidates(&all, "app", None).is_empty(), "it cannot be said");
        assert_eq!(in_net("10.0.0.0/8", "10.9.9.9"), Some(true));
        assert_eq!(in_net("10.0.0.0/8", "11.9.9.9"), Some(false));
    }
}
