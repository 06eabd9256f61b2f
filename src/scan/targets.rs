//! Many servers: a list of names, addresses and networks, or an Ansible inventory.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::printable::printable;
use crate::wire::Endpoint;

/// No list leads to more servers.
const MOST: usize = 65_536;

/// Reads a list: one `HOST`, `HOST:PORT` or `NETWORK/BITS[:PORT]` a line, `#` begins a comment; or the JSON of
/// `ansible-inventory --list`. Each server is there once.
pub fn read(text: &str) -> Result<Vec<Endpoint>, String> {
    let mut all = Vec::new();
    if text.trim_start().starts_with('{') {
        inventory(text, &mut all)?;
    } else {
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                one(line, &mut all).map_err(|why| format!("line {}: {why}", number + 1))?;
            }
            if all.len() > MOST {
                return Err(format!("these are more than {MOST} servers; split the list"));
            }
        }
    }
    if all.is_empty() {
        return Err("the list names no server".to_owned());
    }
    let mut seen = BTreeSet::new();
    all.retain(|endpoint| seen.insert(endpoint.to_string()));
    Ok(all)
}

/// One word of it.
pub fn one(word: &str, into: &mut Vec<Endpoint>) -> Result<(), String> {
    let Some((network, rest)) = word.split_once('/') else {
        into.push(word.parse().map_err(|error: crate::wire::EndpointError| error.to_string())?);
        return Ok(());
    };
    let wrong =
        || format!("“{}” is no network; write 192.0.2.0/24 or 192.0.2.0/24:3307", printable(word));
    let (bits, port) = rest.split_once(':').unwrap_or((rest, "3306"));
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    let bits: u32 = bits.parse().map_err(|_| wrong())?;
    let address: IpAddr = network.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
    let (start, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let free = width - Some(bits).filter(|bits| *bits <= width).ok_or_else(wrong)?;
    if free > 16 {
        return Err(format!("“{}” is more than {MOST} addresses; split it", printable(word)));
    }
    let start = start >> free << free;
    for offset in 0..1_u128 << free {
        // the network itself and its broadcast address are no hosts
        let edge = offset == 0 || offset + 1 == 1 << free;
        if address.is_ipv4() && free > 1 && edge {
            continue;
        }
        let host = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(start + offset).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6((start + offset).into()),
        };
        into.push(Endpoint::new(host.to_string(), port));
    }
    Ok(())
}

/// `_meta.hostvars`, and the hosts of every group; `ansible_host` and `mysql_port` count.
fn inventory(text: &str, into: &mut Vec<Endpoint>) -> Result<(), String> {
    let whole: Value =
        serde_json::from_str(text).map_err(|error| format!("the inventory is no JSON: {error}"))?;
    let vars = &whole["_meta"]["hostvars"];
    let mut names = BTreeSet::new();
    names.extend(vars.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    for (_, group) in whole.as_object().into_iter().flatten() {
        let hosts = group["hosts"].as_array().into_iter().flatten();
        names.extend(hosts.filter_map(Value::as_str).map(str::to_owned));
    }
    for name in names {
        let own = &vars[&name];
        let host = own["ansible_host"].as_str().unwrap_or(&name);
        let mut endpoint: Endpoint =
            host.parse().map_err(|error| format!("{}: {error}", printable(&name)))?;
        let port = &own["mysql_port"];
        let port = port.as_u64().or_else(|| port.as_str()?.parse().ok());
        if let Some(port) = port {
            endpoint.port = u16::try_from(port)
                .map_err(|_| format!("{}: mysql_port is no port", printable(&name)))?;
        }
        into.push(endpoint);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        read(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_networks_and_comments_are_read_once_each() {
        let text = "# ours\ndb1\n192.0.2.0/30:3307 # two\ndb1:3306\n2001:db8::/127\n";
        let expected = [
            "db1:3306",
            "192.0.2.1:3307",
            "192.0.2.2:3307",
            "[2001:db8::]:3306",
            "[2001:db8::1]:3306",
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn an_inventory_is_read() {
        let text = r#"{"_meta":{"hostvars":{"a":{"ansible_host":"192.0.2.9","mysql_port":"3310"}}},
            "db":{"hosts":["a","b"]},"all":{"children":["db"]}}"#;
        assert_eq!(words(text), ["192.0.2.9:3310", "b:3306"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, part) in [
            ("db1\n10.0.0.0/8", "line 2: “10.0.0.0/8” is more than 65536"),
            ("10.0.0.0/33", "is no network"),
            ("a b", "is no host name"),
            ("#", "names no server"),
            ("{", "no JSON"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
