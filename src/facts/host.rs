//! What the server's own host is called, and where it can be reached: for certificates.

use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use serde::{Deserialize, Serialize};

use crate::bounded;

/// Names and addresses of the host on which the server runs; empty where that is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNames {
    /// The name with its domain first, then the bare one.
    pub names: Vec<String>,
    /// As others can reach it: neither loopback nor link-local, nor a bridge to containers.
    pub addresses: Vec<IpAddr>,
}

/// Reads the host's name, its domain in `/etc/hosts`, and its network interfaces.
pub fn read() -> HostNames {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let host = host.unwrap_or_default();
    let hosts = bounded::read(Path::new("/etc/hosts"), 1 << 20).unwrap_or_default();
    HostNames { names: names(&host, &String::from_utf8_lossy(&hosts)), addresses: addresses() }
}

/// Who runs this program, and where: `anna on dba1`; behind `sudo` the person, not `root`.
pub fn who() -> String {
    let own = || nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|u| u.name);
    let user = std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty()).or_else(own);
    let user = user.unwrap_or_else(|| format!("uid {}", nix::unistd::geteuid()));
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let who = host.map_or_else(|| user.clone(), |host| format!("{user} on {host}"));
    crate::printable::printable(&who).into_owned()
}

/// As `hostname --fqdn` finds it on a host that is set up without DNS: the line of `/etc/hosts` that
/// has the bare name has the whole one, too.
fn names(host: &str, hosts: &str) -> Vec<String> {
    let bare = host.split('.').next().unwrap_or_default();
    let mut names = Vec::new();
    if host.contains('.') {
        names.push(host.to_owned());
    } else {
        let words = |line: &str| -> Vec<String> {
            let line = line.split('#').next().unwrap_or_default();
            line.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        let lines = hosts.lines().map(words).filter(|names| names.iter().any(|name| name == host));
        let whole = |name: &String| {
            name.strip_prefix(host)
                .is_some_and(|domain| domain.len() > 1 && domain.starts_with('.'))
        };
        names.extend(lines.flatten().find(whole));
    }
    if !bare.is_empty() && bare != "localhost" {
        names.push(bare.to_owned());
    }
    names
}

fn addresses() -> Vec<IpAddr> {
    /// A host with more has them for something else than its one server.
    const MOST: usize = 6;
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = interfaces
        .filter(|interface| {
            let up = interface.flags.contains(InterfaceFlags::IFF_UP);
            up && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
                && !is_for_containers(&interface.interface_name)
        })
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|address| is_for_others(*address))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    addresses
}

fn is_for_containers(interface: &str) -> bool {
    ["docker", "br-", "veth", "virbr", "cni", "podman", "lxc"]
        .iter()
        .any(|kind| interface.starts_with(kind))
}

fn is_for_others(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_stands_in_the_line_of_the_bare_one() {
        let hosts = "127.0.0.1 localhost\n# db1.old.example db1\n\
                     127.0.1.1\tdb1.example.org db1 # mine\n10.0.0.9 db10.example.org\n";
        assert_eq!(names("db1", hosts), ["db1.example.org", "db1"]);
        assert_eq!(names("db1.example.net", hosts), ["db1.example.net", "db1"]);
        assert_eq!(names("db2", hosts), ["db2"]);
        assert_eq!(names("localhost", hosts), Vec::<String>::new());
        assert_eq!(names("", "\u{0}"), Vec::<String>::new());
    }

    #[test]
    fn addresses_that_nobody_else_can_use_are_left_out() {
        for (address, useful) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("::1", false),
            ("10.0.0.5", true),
            ("2001:db8::5", true),
        ] {
            assert_eq!(is_for_others(address.parse().unwrap()), useful, "{address}");
        }
        assert!(is_for_containers("docker0") && !is_for_containers("eth0"));
    }
}
