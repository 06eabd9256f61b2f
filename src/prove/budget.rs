//! How many connections may still be given up at a server: at `max_connect_errors` it shuts out this
//! host, with all applications on it, until a login from here works.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use crate::facts::ServerFacts;
use crate::scan::{Ledger, is_loopback};
use crate::wire::Endpoint;

/// What one login may cost whose certificate is refused in the handshake: it is tried a second time where
/// the alert was lost with the connection.
const A_LOGIN: u32 = 2;
/// As many as `mytls scan` leaves behind without a login, over all of a user's runs on this host: the
/// least limit that any version had by default is 10.
const MOST: u32 = 8;

/// Shares its book with `mytls scan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// `max_connect_errors`, where it is known.
    pub limit: Option<u32>,
    /// The server looks nobody up, and so counts nobody's errors.
    pub exempt: bool,
}

/// What was booked for one login.
#[derive(Default)]
pub struct Booked {
    most: u32,
    server: String,
    ledger: Option<Ledger>,
}

impl Budget {
    pub fn of(server: Option<&ServerFacts>) -> Self {
        let limit = server.and_then(|server| server.variable("max_connect_errors"));
        Self {
            limit: limit.and_then(|limit| limit.parse().ok()),
            exempt: server.is_some_and(|server| server.is_on("skip_name_resolve")),
        }
    }

    /// Books what a login from this host may cost, before it is made. The error says why it must not be.
    pub fn take(self, endpoint: &Endpoint) -> Result<Booked, String> {
        self.take_from(endpoint, Ledger::usual())
    }

    fn take_from(self, endpoint: &Endpoint, ledger: Option<Ledger>) -> Result<Booked, String> {
        let address = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
        let address = address.ok().and_then(|mut all| all.next());
        let (Some(address), false) = (address, self.exempt) else { return Ok(Booked::default()) };
        if comes_from_loopback(endpoint.bind, address) {
            return Ok(Booked::default());
        }
        let server = Endpoint::new(address.ip().to_string(), endpoint.port).to_string();
        let most = self.limit.map_or(MOST, |limit| MOST.min(limit.saturating_sub(1)));
        let Some(ledger) = ledger else { return Ok(Booked::default()) };
        let left = ledger.take(&server, most);
        // the first is what the client itself does
        if left < most.min(A_LOGIN) && left < most {
            ledger.give_back(&server, left);
            return Err(format!(
                "{} connections from here ended before a login already, and the server shuts this host out \
                 at {} (max_connect_errors); a login that works from here sets that back: give an \
                 administrator's that may come from this host (-u, --defaults-file)",
                most - left,
                self.limit.map_or_else(|| "10 or more".to_owned(), |limit| limit.to_string()),
            ));
        }
        let most = left.min(A_LOGIN);
        ledger.give_back(&server, left - most);
        Ok(Booked { most, server, ledger: Some(ledger) })
    }
}

impl Booked {
    /// So many of its connections were given up.
    pub fn used(self, connections: usize) {
        let used = u32::try_from(connections).unwrap_or(u32::MAX);
        if let Some(ledger) = self.ledger {
            ledger.give_back(&self.server, self.most.saturating_sub(used));
        }
    }

    /// A login that works has set the server's count back.
    pub fn set_back(self) {
        if let Some(ledger) = self.ledger {
            ledger.clear(&self.server);
        }
    }
}

/// Whether the server sees 127.0.0.1 or ::1, which it never shuts out. 127.0.0.2 it does.
fn comes_from_loopback(bind: Option<IpAddr>, server: SocketAddr) -> bool {
    match bind {
        Some(from) => is_loopback(from),
        None => server.ip().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_at_a_server_is_remembered_and_a_good_login_forgets_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = || Some(Ledger::at(folder.path().join("given-up.json")));
        let mut endpoint = Endpoint::new("127.0.0.1", 3306);
        let budget = Budget { limit: Some(100), exempt: false };
        let take = |endpoint: &Endpoint, budget: Budget| budget.take_from(endpoint, ledger());
        for _ in 0..20 {
            take(&endpoint, budget).unwrap().used(2); // from 127.0.0.1 nothing is counted
        }
        endpoint.bind = Some([127, 0, 0, 2].into());
        take(&endpoint, budget).unwrap().used(0);
        for _ in 0..4 {
            take(&endpoint, budget).unwrap().used(2);
        }
        let why = take(&endpoint, budget).err().unwrap();
        assert!(why.contains("8 connections") && why.contains("at 100"), "{why}");
        assert!(take(&endpoint, Budget { exempt: true, ..budget }).is_ok());
        let other = Endpoint { port: 3307, ..endpoint.clone() };
        take(&other, budget).unwrap().used(2); // another server
        ledger().unwrap().clear("127.0.0.1:3306");
        let booked = take(&endpoint, budget).unwrap();
        booked.set_back();
        take(&endpoint, budget).unwrap().used(2);
        // a limit of its own is kept as well
        let low = Budget { limit: Some(2), exempt: false };
        ledger().unwrap().clear("127.0.0.1:3306");
        take(&endpoint, low).unwrap().used(1);
        assert!(take(&endpoint, low).is_err());
    }
}
