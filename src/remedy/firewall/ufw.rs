//! ufw: rules with the comment `mytls`, before all others.

use std::fmt::Write as _;

use super::Wish;

/// Every rule with the comment, as ufw itself lists it.
pub const REMOVE: &str = "ufw show added | grep \"comment 'mytls'\" | \
    sed \"s/^ufw /ufw --force delete /; s/ comment 'mytls'$//\" | sh -e\n";

/// The first rule that fits counts, so the refusal is put in front first, and the addresses in front
/// of that.
///
/// ufw passes over a rule that says what another says already, even with the opposite action, and
/// exits with 0 (`UFWRule.match`): with a `3306/tcp ALLOW` of the host's own, a refusal of the same would
/// not come to be, and a host's own `allow from X` would stay behind the refusal. So these are
/// written as nobody else writes them: everybody in halves, and the allowed with every port they may
/// come from.
pub fn rules(wish: &Wish) -> String {
    let mut out = wish.head("run it with: sh FILE");
    out.push_str("set -e\n");
    out.push_str(REMOVE);
    let ports = wish.ports_with(",");
    for half in ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"] {
        let _ = writeln!(
            out,
            "ufw prepend deny proto tcp from {half} to any port {ports} comment 'mytls'"
        );
    }
    for network in wish.allow.networks() {
        let _ = writeln!(
            out,
            "ufw prepend allow proto tcp from {network} port 1:65535 to any port {ports} \
             comment 'mytls'"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::network::AddressSet;

    /// `ufw allow 3306/tcp` and `ufw allow from 10.0.0.7 to any port 3306 proto tcp` are what people have.
    #[test]
    fn no_rule_is_one_that_a_host_may_have_already() {
        let (allow, _) = AddressSet::read(["10.0.0.7"]).unwrap();
        let rules = rules(&Wish::new(allow, vec![3306], None).unwrap());
        for rule in rules.lines().filter(|line| line.starts_with("ufw prepend")) {
            let distinct = rule.contains(" port 1:65535 ") || rule.contains("/1 to any");
            assert!(distinct && rule.contains(" from "), "{rule}");
        }
    }
}
