//! A scan as somebody makes it: with a login or without one, and with what earlier scans have left behind in mind.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::force::{self, InForce};
use super::ledger::Ledger;
use super::result::Scan;
use super::run::{self, ByLogin, How};
use crate::facts::{Target, session};
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust};

/// Who scans, and what he may leave behind.
pub struct Access<'a> {
    /// Whose user, password and CA the login takes.
    pub target: &'a Target,
    pub trust: &'a Trust,
    pub identity: Option<ClientIdentity>,
    pub ledger: Option<Ledger>,
    pub with_login: bool,
    /// Connections that may be given up at a server without a login, over all scans.
    pub give_up: u32,
    /// Where it is known and cannot be asked.
    pub max_connect_errors: Option<u32>,
    pub polite: bool,
    /// Connections at a time at one server.
    pub at_a_time: usize,
    /// For one connection.
    pub timeout: Duration,
}

/// What may be given up where nothing was said: below ten, the least that a server shuts a host out at.
pub const GIVE_UP: u32 = 8;
/// Connections at a time at a server that is scanned alone.
pub const AT_A_TIME: usize = 8;
/// The least `max_connect_errors` that any version ever had (before 5.6.6).
const LEAST_LIMIT: u32 = 10;

impl Access<'_> {
    /// Scans one server; `told` hears how many connections have been made so far.
    pub fn scan(
        &self,
        endpoint: &Endpoint,
        cancel: &AtomicBool,
        told: &(dyn Fn(u32) + Sync),
    ) -> Result<Scan, String> {
        let connect = self.timeout.min(Limits::default().connect);
        let limits = Limits { connect, total: self.timeout };
        let login = || self.log_in(endpoint, limits);
        let booked = Mutex::new(None::<(String, u32)>);
        let give_up = |server: &str, assumed: u32| {
            let limit = self.max_connect_errors.unwrap_or(assumed);
            let most = self.give_up.min(limit.saturating_sub(2));
            let left = self.ledger.as_ref().map_or(most, |ledger| ledger.take(server, most));
            *booked.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((server.to_owned(), left));
            left
        };
        let mut unasked = None;
        let (limit, in_force) = match self.with_login.then(|| self.ask(endpoint)) {
            Some(Ok((limit, in_force))) => (limit, Some(in_force)),
            Some(Err(why)) => {
                unasked = Some(format!("what is in force: {why}"));
                (None, None)
            }
            None => (None, None),
        };
        // the session comes from the address that the probes come from, but where another was named
        let fresh = in_force.is_some() && endpoint.bind.is_none();
        // well below it, however much others on this host give up meanwhile
        let most = self.max_connect_errors.or(limit).unwrap_or(LEAST_LIMIT) / 2;
        let login = self.with_login.then_some(ByLogin { login: &login, most, fresh });
        let how = How {
            trust: self.trust,
            limits,
            polite: self.polite,
            at_a_time: self.at_a_time,
            give_up: &give_up,
            login,
            told,
        };
        let result = run::scan(endpoint, &how, cancel);
        let booked = booked.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let (Some((server, left)), Some(ledger)) = (booked, &self.ledger) {
            let used = result.as_ref().map_or(left, |scan| scan.cost.given_up);
            ledger.give_back(&server, left.saturating_sub(used));
        }
        if let (Ok(scan), Some(ledger)) = (&result, &self.ledger)
            && scan.cost.resets > 0
        {
            ledger.clear(&Endpoint::new(scan.address.clone(), endpoint.port).to_string());
        }
        let mut scan = result.map_err(|error| error.to_string())?;
        scan.in_force = in_force.map(|in_force| match &scan.tls {
            Some(tls) => in_force.beside(tls),
            None => in_force,
        });
        scan.left_out.extend(unasked);
        Ok(scan)
    }

    /// What is in force, asked of the server in a session of its own; and its `max_connect_errors`.
    fn ask(&self, endpoint: &Endpoint) -> Result<(Option<u32>, InForce), String> {
        let target = Target {
            host: Some(endpoint.host.clone()),
            port: Some(endpoint.port),
            ..self.target.clone()
        };
        let tls = if matches!(self.trust_for_login(), Trust::Unverified) {
            session::Tls::Unverified
        } else {
            session::Tls::Verified { trust: self.trust.clone(), check_host: self.check_host() }
        };
        let route = session::Route::Tcp { host: endpoint.host.clone(), port: endpoint.port, tls };
        let mut session = session::open(&target, &route).map_err(|error| error.to_string())?;
        Ok(force::in_force(&mut session))
    }

    fn check_host(&self) -> bool {
        self.target.ssl_ca.is_none() || self.trust.is_public()
    }

    fn trust_for_login(&self) -> &Trust {
        if self.target.insecure_login { &Trust::Unverified } else { self.trust }
    }

    /// A login that works sets the server's count back.
    fn log_in(&self, endpoint: &Endpoint, limits: Limits) -> Result<(), String> {
        let nothing = Secret::default();
        let mut tls = Tls::new(self.trust_for_login());
        tls.identity = self.identity.as_ref();
        tls.check_host = self.check_host();
        let login = Login {
            user: self.target.user.as_deref().unwrap_or_default(),
            password: self.target.password.as_ref().unwrap_or(&nothing),
            tls: Some(tls),
        };
        match wire::login(endpoint, &login, limits) {
            Ok(Outcome::LetIn { .. }) => Ok(()),
            Ok(Outcome::Refused { code, message }) => Err(format!("{message} ({code})")),
            Ok(Outcome::HandshakeRefused { reason }) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }
}
