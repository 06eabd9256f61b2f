//! Addresses and networks, of both families, and sets of them in one canonical form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::printable::printable;

/// A network, or one address: no bit is set behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no address or network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    #[error(
        "an address is missing: write 10.0.0.7, 10.0.0.0/24 or 2001:db8::/64, with commas between them"
    )]
    Empty,
    #[error(
        "“{0}” is no address: firewalls know no names, so write the address it stands for \
         (10.0.0.7, 10.0.0.0/24, 2001:db8::7 or 2001:db8::/64)"
    )]
    Address(String),
    #[error(
        "“{0}” has no prefix that fits: from /0 to /32 for IPv4, to /128 for IPv6, or a netmask such as 255.255.255.0"
    )]
    Prefix(String),
    #[error("“{0}” names an interface: leave out what follows the %")]
    Zone(String),
}

impl Network {
    /// The network in which this address is; bits behind the prefix are cleared. An IPv4 address in
    /// the form of IPv6 (`::ffff:10.0.0.7`) is IPv4, as it is on the wire.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (address, prefix) = match address {
            IpAddr::V6(six) => match six.to_ipv4_mapped() {
                Some(four) if prefix >= 96 => (IpAddr::V4(four), prefix - 96),
                _ => (address, prefix),
            },
            IpAddr::V4(_) => (address, prefix),
        };
        if prefix > width(address) {
            return None;
        }
        Some(Self { address: masked(address, prefix), prefix })
    }

    /// One address alone.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: width(address) }
    }

    pub fn address(self) -> IpAddr {
        self.address
    }

    pub fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is all of its family.
    pub fn is_everything(self) -> bool {
        self.prefix == 0
    }

    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_ipv4() && masked(address, self.prefix) == self.address
    }

    fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// The network twice as large of which it is one half.
    fn parent(self) -> Option<Self> {
        Self::new(self.address, self.prefix.checked_sub(1)?)
    }

    /// With the prefix always written, as the clouds want it: `10.0.0.7/32`.
    pub fn cidr(self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }

    /// The hosts of an account that are addresses: `10.0.%`, `10.0.0.0/255.255.255.0`,
    /// `10.0.0.0/24` (MySQL 8.0.23 and later), `10.0.0.7`. `None` for names and other patterns.
    pub fn of_account_host(host: &str) -> Option<Self> {
        if let Ok(entry) = host.parse::<Entry>() {
            return Some(entry.network);
        }
        let fixed = host.strip_suffix(".%")?;
        let parts: Vec<u8> = fixed.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let mut octets = [0; 4];
        octets.get_mut(..parts.len()).filter(|_| parts.len() < 4)?.copy_from_slice(&parts);
        Self::new(Ipv4Addr::from(octets).into(), u8::try_from(parts.len()).ok()? * 8)
    }
}

/// `10.0.0.0/24`; an address alone without its prefix.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let entry = text.parse::<Entry>().map_err(serde::de::Error::custom)?;
        Ok(entry.network)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(four.to_bits() & mask).into()
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(six.to_bits() & mask).into()
        }
    }
}

/// A network as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub network: Network,
    /// The address that was written with bits behind its prefix, which were cleared.
    pub written: Option<IpAddr>,
}

impl FromStr for Entry {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let shown = || printable(text).into_owned();
        if text.is_empty() {
            return Err(NetworkError::Empty);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if address.contains('%') && address.contains(':') {
            return Err(NetworkError::Zone(shown()));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bare = bare.filter(|rest| rest.contains(':')).unwrap_or(address);
        let address: IpAddr = bare.parse().map_err(|_| NetworkError::Address(shown()))?;
        let wrong = || NetworkError::Prefix(shown());
        let Some(prefix) = prefix else {
            return Ok(Self { network: Network::host(address), written: None });
        };
        let prefix = match (prefix.parse::<Ipv4Addr>(), address) {
            (Ok(mask), IpAddr::V4(_)) => netmask(mask).ok_or_else(wrong)?,
            _ if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        };
        let network = Network::new(address, prefix).ok_or_else(wrong)?;
        let written = (network.address != address.to_canonical()).then_some(address);
        Ok(Self { network, written })
    }
}

/// `255.255.255.0` is 24; `None` for a mask with holes.
fn netmask(mask: Ipv4Addr) -> Option<u8> {
    let ones = mask.to_bits().leading_ones();
    (mask.to_bits().count_ones() == ones).then_some(u8::try_from(ones).ok()?)
}

/// A set of networks, sorted, none within another, halves put together. So two sets that admit the
/// same addresses are equal, and give the same rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSet(Vec<Network>);

impl AddressSet {
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        let mut sorted: Vec<Network> = networks.into_iter().collect();
        loop {
            // a wider network sorts before those in it
            sorted.sort_unstable();
            let mut kept: Vec<Network> = Vec::with_capacity(sorted.len());
            for network in sorted.iter().copied() {
                match kept.last().copied() {
                    Some(last) if last.covers(network) => {}
                    Some(last) if last.parent().is_some() && last.parent() == network.parent() => {
                        // the other half
                        kept.pop();
                        kept.extend(last.parent());
                    }
                    _ => kept.push(network),
                }
            }
            if kept.len() == sorted.len() {
                return Self(kept);
            }
            sorted = kept;
        }
    }

    /// Reads entries as they were typed, and says what became of those that were changed. `0.0.0.0/0`
    /// is taken, with a warning.
    pub fn read<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Self, Vec<String>), NetworkError> {
        let mut notes = Vec::new();
        let mut networks: Vec<Network> = Vec::new();
        for text in texts {
            let Entry { network, written } = text.parse()?;
            if let Some(written) = written {
                notes.push(format!(
                    "{} has bits behind its prefix: {network} is taken, which is every address of \
                     that network; for {written} alone leave the prefix out",
                    printable(text.trim())
                ));
            }
            if network.is_everything() {
                let family = if network.is_ipv4() { "IPv4" } else { "IPv6" };
                notes.push(format!(
                    "{network} is every {family} address there is: for {family} this closes nothing"
                ));
            }
            networks.push(network);
        }
        for (at, network) in networks.iter().enumerate() {
            let wider = networks.iter().enumerate().find(|(other, wider)| {
                *other != at && wider.covers(*network) && (*wider != network || *other < at)
            });
            if let Some((_, wider)) = wider {
                notes.push(if wider == network {
                    format!("{network} is there twice")
                } else {
                    format!("{network} is in {wider} already")
                });
            }
        }
        Ok((Self::new(networks), notes))
    }

    pub fn networks(&self) -> &[Network] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Those of one family.
    pub fn family(&self, ipv4: bool) -> impl Iterator<Item = Network> + '_ {
        self.0.iter().copied().filter(move |network| network.is_ipv4() == ipv4)
    }

    /// Networks (/24 for IPv4, /64 for IPv6) that hold several of the single addresses, with how many:
    /// to choose in their place, since a new host of the same kind comes from there, too.
    pub fn shared(&self) -> Vec<(Network, usize)> {
        const SEVERAL: usize = 3;
        let mut wider: Vec<Network> = self
            .0
            .iter()
            .filter_map(|network| {
                let prefix = if network.is_ipv4() { 24 } else { 64 };
                (network.prefix > prefix).then(|| Network::new(network.address, prefix)).flatten()
            })
            .collect();
        wider.dedup();
        let count = |wider: Network| self.0.iter().filter(|one| wider.covers(**one)).count();
        wider.into_iter().map(|w| (w, count(w))).filter(|(_, n)| *n >= SEVERAL).collect()
    }
}

/// With commas, as it can be typed again.
impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> (String, Vec<String>) {
        let (set, notes) = AddressSet::read(text.split(',')).unwrap();
        (set.to_string(), notes)
    }

    #[test]
    fn a_set_has_one_form() {
        assert_eq!(set("10.0.0.7").0, "10.0.0.7");
        assert_eq!(set("2001:DB8:0::7/128, 10.0.0.7/32").0, "10.0.0.7,2001:db8::7");
        assert_eq!(set("10.0.0.128/25,10.0.0.0/26,10.0.0.64/26").0, "10.0.0.0/24");
        assert_eq!(set("10.0.0.1,10.0.0.2").0, "10.0.0.1,10.0.0.2", "no halves of one network");
        assert_eq!(set("10.1.0.0/255.255.0.0").0, "10.1.0.0/16");
        assert_eq!(set("::ffff:10.0.0.7").0, "10.0.0.7");
        assert_eq!(set("[::1]").0, "::1");
        assert_eq!(set("0.0.0.0/1,128.0.0.0/1").0, "0.0.0.0/0");
    }

    #[test]
    fn what_was_changed_is_said() {
        let (text, notes) = set("10.0.3.7/24,10.0.3.9,10.0.3.0/24");
        assert_eq!(text, "10.0.3.0/24");
        assert!(notes[0].contains("for 10.0.3.7 alone"), "{notes:?}");
        assert!(notes.iter().any(|n| n == "10.0.3.9 is in 10.0.3.0/24 already"), "{notes:?}");
        assert!(notes.iter().any(|n| n == "10.0.3.0/24 is there twice"), "{notes:?}");
        assert!(set("0.0.0.0/0").1[0].contains("closes nothing"));
        assert!(set("::/0").1[0].contains("every IPv6"));
    }

    #[test]
    fn odd_addresses_are_refused_with_what_to_write() {
        for odd in [
            "",
            "db1",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/255.0.255.0",
            "fe80::1%eth0",
            "10.0.0.1/-1",
            "10.0.0.1/+8",
            "10.0.0.1/",
            "010.0.0.1",
            "10.0.0.7:3306",
            "[10.0.0.7]",
            "1.2.3.4/24/3",
            "::1/255.255.255.0",
            "$(reboot)",
        ] {
            let error = AddressSet::read([odd]).unwrap_err();
            assert!(error.to_string().len() > 20, "{odd}: {error}");
        }
    }

    #[test]
    fn account_hosts_that_are_addresses() {
        let of = |host| Network::of_account_host(host).map(|network| network.to_string());
        assert_eq!(of("10.0.%").as_deref(), Some("10.0.0.0/16"));
        assert_eq!(of("10.0.0.0/255.255.255.0").as_deref(), Some("10.0.0.0/24"));
        assert_eq!(of("10.0.0.7").as_deref(), Some("10.0.0.7"));
        assert_eq!(
            (of("%"), of("10.0.0.%.%"), of("db.example"), of("10.%.1.%")),
            (None, None, None, None)
        );
    }

    #[test]
    fn several_of_one_network_suggest_it() {
        let (set, _) = AddressSet::read(["10.0.3.7", "10.0.3.9", "10.0.3.20", "10.9.0.1"]).unwrap();
        let shared = set.shared();
        assert_eq!(shared.len(), 1);
        assert_eq!((shared[0].0.to_string().as_str(), shared[0].1), ("10.0.3.0/24", 3));
    }
}
