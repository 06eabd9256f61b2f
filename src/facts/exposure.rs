//! How far the server is open to the network: what it listens on, and from where clients come.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value};
use serde::{Deserialize, Serialize};

use super::network::{AddressSet, Network};
use super::{ServerFacts, Source, UnreadKind};

/// A socket on which connections are awaited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    pub address: SocketAddr,
    pub port: Port,
    /// The process that has it, as the system calls it; `None` where that may not be seen.
    pub program: Option<String>,
}

impl Listener {
    /// Whether others than this host can come to it.
    pub fn is_open(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// The protocol of MySQL and MariaDB, 3306.
    Classic,
    /// `admin_port`, or MariaDB's `extra_port`: for administrators when all connections are taken.
    Admin,
    /// The X Protocol, 33060.
    XProtocol,
    /// Between the nodes of a Galera cluster.
    Galera,
    /// Another of the server's own, such as that of Group Replication.
    Other,
}

/// A client that is or was connected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Client {
    /// An address; a name where the server resolves names and its cache no longer tells of what.
    pub host: String,
    /// Empty where only the host is remembered.
    pub user: String,
    /// Whether it is connected now, as against remembered in the host cache.
    pub now: bool,
}

/// The ports that are or may be used, with what for: the server's own word.
pub fn ports(server: &ServerFacts) -> BTreeMap<u16, Port> {
    let port = |name: &str| server.variable(name)?.parse::<u16>().ok().filter(|port| *port != 0);
    let mut ports = BTreeMap::new();
    if server.is_on("wsrep_on") {
        // replication, incremental and full state transfer
        ports.extend([4567, 4568, 4444].map(|port| (port, Port::Galera)));
    }
    ports.extend(port("mysqlx_port").map(|port| (port, Port::XProtocol)));
    if server.variable("admin_address").is_some() {
        ports.extend(port("admin_port").map(|port| (port, Port::Admin)));
    }
    ports.extend(port("extra_port").map(|port| (port, Port::Admin)));
    ports.extend(port("port").map(|port| (port, Port::Classic)));
    ports
}

/// The ports for which rules are written: those that clients use. Galera's are not among them, as the
/// nodes of the cluster need not be among the clients.
pub fn client_ports(server: &ServerFacts, listeners: &[Listener]) -> Vec<u16> {
    let wanted = |port: Port| matches!(port, Port::Classic | Port::Admin | Port::XProtocol);
    let mut found: BTreeSet<u16> = listeners
        .iter()
        .filter(|listener| wanted(listener.port) && listener.is_open())
        .map(|listener| listener.address.port())
        .collect();
    // it may come to listen on others at its next start
    found.extend(ports(server).into_iter().filter(|(_, what)| *what == Port::Classic).map(|p| p.0));
    found.into_iter().collect()
}

/// What listens on these ports, and whatever else the server's process listens on.
pub fn listeners(
    pid_file: Option<&Path>,
    ports: &BTreeMap<u16, Port>,
) -> Result<Vec<Listener>, String> {
    let pid = pid_file.and_then(|file| std::fs::read_to_string(file).ok());
    let pid = pid.and_then(|text| text.trim().parse::<u32>().ok());
    let own = pid.map(sockets_of).unwrap_or_default();
    let program = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    let program = program.map(|name| name.trim().to_owned());
    let mut found = BTreeSet::new();
    let mut read = 0;
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // without IPv6 there is no tcp6
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        read += 1;
        for (address, inode) in text.lines().skip(1).filter_map(listening) {
            let is_own = own.contains(&inode);
            let port = ports.get(&address.port()).copied();
            if is_own || port.is_some() {
                let program = program.clone().filter(|_| is_own);
                found.insert(Listener { address, port: port.unwrap_or(Port::Other), program });
            }
        }
    }
    if read == 0 {
        return Err("/proc/net/tcp cannot be read, so what listens is not known".to_owned());
    }
    Ok(found.into_iter().collect())
}

/// One line of `/proc/net/tcp` (proc_pid_net(5)): address and inode, where its state is LISTEN.
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    // words of 32 bits in the host's order, each the bytes of the address as they are
    let words: Vec<u32> = (0..address.len())
        .step_by(8)
        .map(|at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), inode.parse().ok()?))
}

/// The inodes of the sockets on which somebody listens at this port.
pub(super) fn inodes_on(port: u16) -> BTreeSet<u64> {
    let text = |file| std::fs::read_to_string(file).unwrap_or_default();
    let texts = ["/proc/net/tcp", "/proc/net/tcp6"].map(text);
    let found = texts.iter().flat_map(|text| text.lines().skip(1)).filter_map(listening);
    found.filter(|(address, _)| address.port() == port).map(|(_, inode)| inode).collect()
}

/// The inodes of a process's sockets; empty where they may not be seen.
pub(super) fn sockets_of(pid: u32) -> BTreeSet<u64> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let links = entries.into_iter().flatten().flatten();
    let inode = |link: std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).filter_map(inode).collect()
}

/// Who is connected, and whom the server remembers.
pub fn clients(conn: &mut Conn, performance_schema: &str) -> Source<Vec<Client>> {
    let text = |row: &Row, name: &str| match row.get_opt::<Value, _>(name) {
        Some(Ok(Value::Bytes(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    let cached: Vec<(String, String)> = if performance_schema == "ON" {
        // a server without the table, or an account without the right: the sessions have to do
        let rows: Vec<Row> = conn
            .query("SELECT ip AS ip, host AS host FROM performance_schema.host_cache")
            .unwrap_or_default();
        rows.iter().map(|row| (text(row, "ip"), text(row, "host"))).collect()
    } else {
        Vec::new()
    };
    // shows the own sessions alone to an account without PROCESS
    let rows: Vec<Row> = match conn.query("SHOW PROCESSLIST") {
        Ok(rows) => rows,
        Err(error) => {
            let why = super::session::words(&error);
            return Source::unread(
                UnreadKind::Refused,
                format!("the sessions could not be read: {why}"),
                "log in as an account with the PROCESS privilege",
            );
        }
    };
    let mut found = BTreeSet::new();
    for row in &rows {
        let (user, host) = (text(row, "User"), without_port(&text(row, "Host")).to_owned());
        if host.is_empty() || matches!(user.as_str(), "system user" | "event_scheduler") {
            continue;
        }
        let host = cached.iter().find(|(_, name)| *name == host).map_or(host, |(ip, _)| ip.clone());
        found.insert(Client { host, user, now: true });
    }
    for (ip, _) in cached {
        if !found.iter().any(|client| client.host == ip) {
            found.insert(Client { host: ip, user: String::new(), now: false });
        }
    }
    Source::Read(found.into_iter().collect())
}

/// `10.0.0.7:51234`, `db1:51234`, `2001:db8::7:51234` (so MySQL writes it), `localhost`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((before, port))
            if port.parse::<u16>().is_ok() && host.parse::<Ipv6Addr>().is_err() =>
        {
            before
        }
        // an IPv6 address with a port reads as an address as long as there is room in it
        Some((before, port)) if port.len() == 5 && before.parse::<Ipv6Addr>().is_ok() => before,
        _ => host,
    }
}

/// The addresses from which clients come, as the set of those that are let in; and the names that
/// lead to no address here. This host is in no set: it is let in anyway.
pub fn proposal(clients: &[Client]) -> (AddressSet, Vec<String>) {
    let mut names = BTreeSet::new();
    let mut networks = Vec::new();
    for client in clients.iter().filter(|client| !super::is_loopback(&client.host)) {
        match client.host.parse::<IpAddr>() {
            Ok(address) if address.to_canonical().is_loopback() => {}
            Ok(address) => networks.push(Network::host(address)),
            Err(_) => {
                names.insert(client.host.clone());
            }
        }
    }
    (AddressSet::new(networks), names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let four = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 21550 1 0000";
        let six = "   1: 00000000000000000000000001000000:0CEA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 21551 1 0000";
        let established = four.replace(" 0A ", " 01 ");
        if cfg!(target_endian = "little") {
            assert_eq!(listening(four), Some(("127.0.0.1:3306".parse().unwrap(), 21550)));
            assert_eq!(listening(six), Some(("[::1]:3306".parse().unwrap(), 21551)));
        }
        assert_eq!(listening(&established), None);
        for broken in ["", "0: 1:2 3 0A", "0: ZZ00007F:0CEA x 0A a b c d e f"] {
            assert_eq!(listening(broken), None, "{broken}");
        }
    }

    #[test]
    fn hosts_of_sessions_are_told_from_their_ports() {
        for (host, expected) in [
            ("10.0.0.7:51234", "10.0.0.7"),
            ("10.0.0.7", "10.0.0.7"),
            ("localhost", "localhost"),
            ("web.example:4000", "web.example"),
            ("2001:db8::7:51234", "2001:db8::7"),
            ("2001:db8:1:2:3:4:5:6:51234", "2001:db8:1:2:3:4:5:6"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }

    #[test]
    fn who_connects_is_proposed_and_this_host_is_not() {
        let client = |host: &str| Client { host: host.into(), user: "app".into(), now: true };
        let all = ["10.0.0.7", "::1", "localhost", "web.example", "10.0.0.7", "::ffff:10.0.0.8"];
        let clients: Vec<Client> = all.map(client).to_vec();
        let (set, names) = proposal(&clients);
        assert_eq!(set.to_string(), "10.0.0.7,10.0.0.8");
        assert_eq!(names, ["web.example"]);
    }
}
