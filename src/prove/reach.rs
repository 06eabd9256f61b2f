//! The proof from outside: does the port answer here, and should it?

use std::net::IpAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::facts::network::AddressSet;
use crate::wire::{self, Contact, Endpoint, Limits, Stage, TlsOffer, Trust, WireError};

/// What came of knocking at a port; written on one machine and read on another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The version of this layout.
    pub schema: u32,
    /// Seconds since 1970, UTC.
    pub at: i64,
    pub host: String,
    pub port: u16,
    pub outcome: Outcome,
    /// What happened, in words.
    pub why: String,
    /// Whether TLS is offered; `None` where the server did not come to say.
    pub tls: Option<Tls>,
    /// `MariaDB 10.11.19`
    pub server: Option<String>,
    /// The own address of the connection.
    pub local: Option<IpAddr>,
    /// The address that answered.
    pub remote: Option<IpAddr>,
    /// As whom the server sees this machine: an address, or a name where it looks names up.
    pub seen_as: Option<String>,
    pub milliseconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A server answered.
    Answers,
    /// A server answered, and turned this machine away before a login: 1130, 1129, 1040.
    TurnedAway,
    /// Something answered that is no MySQL server, or said nothing in time.
    OtherService,
    /// The host refuses: nothing listens, or a firewall rejects.
    Refused,
    /// No answer at all: what a firewall does that drops.
    TimedOut,
    /// There is no way to the host.
    Unreachable,
    /// The name leads to no address.
    NotFound,
}

impl Outcome {
    /// Whether packets get through to the port.
    pub fn gets_through(self) -> bool {
        matches!(self, Self::Answers | Self::TurnedAway | Self::OtherService)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// With its version.
    Works(String),
    NotOffered,
    /// Offered, and the handshake fails; why.
    Fails(String),
}

/// Knocks once. It ends with a refused login, which no server counts against this host.
pub fn reach(endpoint: &Endpoint, limits: Limits, at: i64) -> Reach {
    let began = Instant::now();
    let met = wire::contact(endpoint, &Trust::Unverified, limits, &mut |_| ());
    let mut reach = Reach {
        schema: Reach::SCHEMA,
        at,
        host: endpoint.host.clone(),
        port: endpoint.port,
        outcome: Outcome::Answers,
        why: String::new(),
        tls: None,
        server: None,
        local: None,
        remote: None,
        seen_as: None,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    match met {
        Ok(Contact { facts, addresses, refusal }) => {
            reach.why = format!("{endpoint} answers");
            reach.server = Some(facts.greeting.describe());
            reach.tls = Some(match facts.tls {
                TlsOffer::Established(handshake) => Tls::Works(handshake.version),
                TlsOffer::NotOffered => Tls::NotOffered,
                TlsOffer::Failed { reason } => Tls::Fails(reason),
            });
            (reach.local, reach.remote) =
                addresses.map(|(own, other)| (canonical(own), canonical(other))).unzip();
            reach.seen_as = refusal.and_then(|words| client_in(&words).map(str::to_owned));
        }
        Err(error) => {
            reach.outcome = outcome(&error);
            reach.why = error.why();
            if let WireError::Server { message, .. } = &error {
                reach.seen_as = client_in(message).map(str::to_owned);
            }
            reach.local = towards(endpoint);
        }
    }
    reach
}

fn canonical(address: std::net::SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// From which own address packets would leave; a datagram socket finds it without sending any.
fn towards(endpoint: &Endpoint) -> Option<IpAddr> {
    let to = std::net::SocketAddr::new(endpoint.ip()?, endpoint.port);
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(canonical)
}

fn outcome(error: &WireError) -> Outcome {
    match error {
        WireError::Server { .. } => Outcome::TurnedAway,
        WireError::Resolve { .. } | WireError::TimedOut { stage: Stage::Resolve, .. } => {
            Outcome::NotFound
        }
        WireError::Refused { .. } => Outcome::Refused,
        WireError::TimedOut { stage: Stage::Connect, .. } => Outcome::TimedOut,
        WireError::Unreachable { .. } => Outcome::Unreachable,
        _ => Outcome::OtherService,
    }
}

/// `Access denied for user 'mytls-probe'@'10.0.0.7' (…)` (1045), `Host '10.0.0.7' is not allowed …`
/// (1130), `Host '10.0.0.7' is blocked …` (1129).
fn client_in(message: &str) -> Option<&str> {
    let after = message.rsplit_once("'@'").map(|(_, rest)| rest);
    let after = after.or_else(|| message.split_once("Host '").map(|(_, rest)| rest))?;
    after.split_once('\'').map(|(host, _)| host).filter(|host| !host.is_empty())
}

/// What a report means for the set that is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    pub pass: bool,
    /// The address that counts: as the server sees it, else the machine's own.
    pub address: Option<IpAddr>,
    pub allowed: bool,
    pub why: String,
}

impl Reach {
    pub const SCHEMA: u32 = 1;

    /// The server's word counts before the machine's own: on the way addresses may be changed.
    pub fn address(&self) -> Option<IpAddr> {
        let seen = self.seen_as.as_deref().and_then(|seen| seen.parse::<IpAddr>().ok());
        seen.or(self.local).map(|address| address.to_canonical())
    }

    /// Whether it is as the set says: who is in it gets through, and nobody else does.
    pub fn judge(&self, wished: &AddressSet) -> Judged {
        let Some(address) = self.address() else {
            let why =
                "the report names no address, so it cannot be held against the set".to_owned();
            return Judged { pass: false, address: None, allowed: false, why };
        };
        let allowed = wished.contains(address) || address.is_loopback();
        let through = self.outcome.gets_through();
        let (pass, why) = match (allowed, self.outcome) {
            (_, Outcome::NotFound | Outcome::Unreachable) => (
                false,
                format!("{address} found no way to the host, which proves nothing: {}", self.why),
            ),
            (true, Outcome::TurnedAway) => (
                true,
                format!(
                    "{address} is allowed and gets through (the server itself turns it away: {})",
                    self.why
                ),
            ),
            (true, _) if through => (true, format!("{address} is allowed and gets through")),
            (true, _) => {
                (false, format!("{address} is allowed and does not get through: {}", self.why))
            }
            (false, _) if through => {
                (false, format!("{address} is not allowed and gets through: {}", self.why))
            }
            (false, _) => {
                (true, format!("{address} is not allowed and does not get through ({})", self.why))
            }
        };
        Judged { pass, address: Some(address), allowed, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome, local: &str, seen_as: Option<&str>) -> Reach {
        Reach {
            schema: 1,
            at: 0,
            host: "db1".into(),
            port: 3306,
            outcome,
            why: "so it is".into(),
            tls: None,
            server: None,
            local: local.parse().ok(),
            remote: None,
            seen_as: seen_as.map(str::to_owned),
            milliseconds: 1,
        }
    }

    #[test]
    fn who_is_in_the_set_gets_through_and_nobody_else() {
        let (set, _) = AddressSet::read(["10.0.0.0/24"]).unwrap();
        let pass = |outcome, local, seen| report(outcome, local, seen).judge(&set).pass;
        assert!(pass(Outcome::Answers, "10.0.0.7", None));
        assert!(pass(Outcome::TurnedAway, "10.0.0.7", None));
        assert!(!pass(Outcome::TimedOut, "10.0.0.7", None));
        assert!(pass(Outcome::TimedOut, "10.9.0.7", None));
        assert!(pass(Outcome::Refused, "10.9.0.7", None));
        assert!(!pass(Outcome::Answers, "10.9.0.7", None));
        // behind a router that changes addresses, the server's word counts
        assert!(pass(Outcome::Answers, "192.168.1.2", Some("10.0.0.9")));
        assert!(!pass(Outcome::Answers, "10.0.0.7", Some("192.168.1.2")));
        // a name says nothing here
        assert!(pass(Outcome::Answers, "10.0.0.7", Some("web.example")));
        assert!(!pass(Outcome::Unreachable, "10.9.0.7", None), "no way there is no proof");
        assert!(!pass(Outcome::Answers, "", None));
    }

    #[test]
    fn the_server_says_whom_it_sees() {
        let denied = "Access denied for user 'mytls-probe'@'10.0.0.7' (using password: NO)";
        assert_eq!(client_in(denied), Some("10.0.0.7"));
        let host = "Host '2001:db8::7' is not allowed to connect to this MariaDB server";
        assert_eq!(client_in(host), Some("2001:db8::7"));
        for other in ["", "Too many connections", "Host '", "'@''", "'@'x"] {
            assert_eq!(client_in(other), None, "{other}");
        }
    }
}
