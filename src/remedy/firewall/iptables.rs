//! iptables and ip6tables: a chain MYTLS, and one jump to it from INPUT.

use std::fmt::Write as _;

use super::Wish;

/// The jump is always the same, whatever the ports are, so that it is there once.
const JUMP: &str = "INPUT -p tcp -m comment --comment mytls -j MYTLS";

/// The chain is filled before it is jumped to, and replaced as one transaction.
pub fn rules(wish: &Wish) -> String {
    let mut out = wish.head("run it with: sh FILE");
    out.push_str("set -e\n");
    let ports = wish.ports_with(",");
    for (program, ipv4) in [("iptables", true), ("ip6tables", false)] {
        if !ipv4 {
            out.push_str("if [ -e /proc/net/if_inet6 ]; then\n");
        }
        let _ = write!(
            out,
            "{program}-restore --wait --noflush <<'RULES'\n\
             *filter\n\
             :MYTLS - [0:0]\n\
             -A MYTLS -i lo -j RETURN\n\
             -A MYTLS -p tcp -m multiport ! --dports {ports} -j RETURN\n\
             -A MYTLS -p tcp ! --syn -j RETURN\n"
        );
        for network in wish.allow.family(ipv4) {
            if let Some(limit) = wish.limit {
                let mask = if ipv4 { 32 } else { 128 };
                let _ = writeln!(
                    out,
                    "-A MYTLS -s {network} -p tcp -m connlimit --connlimit-above {limit} \
                     --connlimit-mask {mask} -j DROP"
                );
            }
            let _ = writeln!(out, "-A MYTLS -s {network} -j RETURN");
        }
        let _ = write!(
            out,
            "-A MYTLS -j DROP\n\
             COMMIT\n\
             RULES\n\
             {program} --wait -C {JUMP} 2>/dev/null || {program} --wait -I {JUMP}\n"
        );
        if !ipv4 {
            out.push_str("fi\n");
        }
    }
    out
}

pub fn removal() -> String {
    let one = |program: &str| {
        format!(
            "while {program} --wait -C {JUMP} 2>/dev/null; do {program} --wait -D {JUMP} || exit 1; done\n\
             if {program} --wait -n -L MYTLS >/dev/null 2>&1; then {program} --wait -F MYTLS && {program} --wait -X MYTLS || exit 1; fi\n"
        )
    };
    format!("{}if [ -e /proc/net/if_inet6 ]; then\n{}fi\n", one("iptables"), one("ip6tables"))
}
