//! nftables: one table, which comes before the host's own filter.

use std::fmt::Write as _;

use super::Wish;

/// The table is made where it is not there, so that deleting it never fails.
pub const REMOVE: &str = "table inet mytls\ndelete table inet mytls\n";

/// Takes the place of the table as one transaction. Only packets that begin a connection are looked
/// at: connections that are there stay, whether the kernel keeps track of them or not.
pub fn rules(wish: &Wish) -> String {
    let mut out = wish.head("load it with: nft -f FILE");
    out.push_str(REMOVE);
    out.push_str("table inet mytls {\n");
    for (family, ipv4) in [("4", true), ("6", false)] {
        let _ =
            writeln!(out, "\tset allow{family} {{\n\t\ttype ipv{family}_addr\n\t\tflags interval");
        let elements: Vec<String> = wish.allow.family(ipv4).map(|one| one.to_string()).collect();
        if !elements.is_empty() {
            let _ = writeln!(out, "\t\telements = {{ {} }}", elements.join(", "));
        }
        out.push_str("\t}\n");
        if wish.limit.is_some() {
            let _ = writeln!(
                out,
                "\tset count{family} {{\n\t\ttype ipv{family}_addr\n\t\tsize 65535\n\t\tflags dynamic\n\t}}"
            );
        }
    }
    let ports = wish.ports_with(", ");
    let _ = write!(
        out,
        "\tchain input {{\n\
         \t\ttype filter hook input priority filter - 5; policy accept;\n\
         \t\ttcp dport {{ {ports} }} tcp flags & (fin | syn | rst | ack) == syn jump mysql\n\
         \t}}\n\
         \tchain mysql {{\n\
         \t\tiif \"lo\" accept\n"
    );
    for (family, word) in [("4", "ip"), ("6", "ip6")] {
        let _ = writeln!(out, "\t\t{word} saddr != @allow{family} counter drop");
    }
    // after the others are gone: who is not let in fills no set
    if let Some(limit) = wish.limit {
        for (family, word) in [("4", "ip"), ("6", "ip6")] {
            let _ = writeln!(
                out,
                "\t\tadd @count{family} {{ {word} saddr ct count over {limit} }} counter drop"
            );
        }
    }
    out.push_str("\t}\n}\n");
    out
}
