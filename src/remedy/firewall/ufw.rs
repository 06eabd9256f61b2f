//! ufw: rules with the comment `mytls`, before all others.

use std::fmt::Write as _;

use super::Wish;

/// Every rule with the comment, as ufw itself lists it.
pub const REMOVE: &str = "ufw show added | grep \"comment 'mytls'\" | \
    sed \"s/^ufw /ufw --force delete /; s/ comment 'mytls'$//\" | sh -e\n";

/// The first rule that fits counts, so the refusal is put in front first, and the addresses in front
/// of that.
pub fn rules(wish: &Wish) -> String {
    let mut out = wish.head("run it with: sh FILE");
    out.push_str("set -e\n");
    out.push_str(REMOVE);
    let ports = wish.ports_with(",");
    let _ = writeln!(out, "ufw prepend deny proto tcp to any port {ports} comment 'mytls'");
    for network in wish.allow.networks() {
        let _ = writeln!(
            out,
            "ufw prepend allow proto tcp from {network} to any port {ports} comment 'mytls'"
        );
    }
    out
}
