//! firewalld: a policy of its own (0.9 and later), which comes before the zones' rules.

use std::fmt::Write as _;

use super::Wish;

pub const REMOVE: &str = "if firewall-cmd --permanent --get-policies | grep -qw mytls; then\n\
    firewall-cmd --quiet --permanent --delete-policy mytls && firewall-cmd --quiet --reload\nfi\n";

/// Sources are named in rules, not bound to a zone: a zone would take all that comes from there, ssh
/// included. Nothing counts before the reload, so there is no moment in between.
pub fn rules(wish: &Wish) -> String {
    let mut out = wish.head("run it with: sh FILE");
    out.push_str(
        "set -e\n\
         ! firewall-cmd --permanent --get-policies | grep -qw mytls || \
         firewall-cmd --quiet --permanent --delete-policy mytls\n\
         firewall-cmd --quiet --permanent --new-policy mytls\n\
         firewall-cmd --quiet --permanent --policy mytls --add-ingress-zone ANY\n\
         firewall-cmd --quiet --permanent --policy mytls --add-egress-zone HOST\n\
         firewall-cmd --quiet --permanent --policy mytls --set-priority -100\n",
    );
    let mut rule = |text: String| {
        let _ = writeln!(
            out,
            "firewall-cmd --quiet --permanent --policy mytls --add-rich-rule '{text}'"
        );
    };
    for port in wish.ports() {
        for network in wish.allow.networks() {
            let family = if network.is_ipv4() { "ipv4" } else { "ipv6" };
            rule(format!(
                "rule family=\"{family}\" priority=\"-2\" source address=\"{network}\" \
                 port port=\"{port}\" protocol=\"tcp\" accept"
            ));
        }
        rule(format!("rule priority=\"-1\" port port=\"{port}\" protocol=\"tcp\" drop"));
    }
    out.push_str("firewall-cmd --quiet --reload\n");
    out
}
