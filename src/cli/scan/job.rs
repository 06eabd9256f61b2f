//! The work of a scan: so many servers at a time, what each may cost, and when to stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::super::Failure;
use super::ScanArgs;
use super::cancel::Cancel;
use crate::facts::{Target, session};
use crate::scan::{self, ByLogin, How, InForce, Ledger, Scan};
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust};

/// What a scan tells whoever waits for it.
pub enum Told<'a> {
    Done(&'a Endpoint, Box<Result<Scan, String>>),
    /// It was cancelled, and some servers keep their threads waiting: nothing more comes.
    Left,
}

/// How all servers are scanned.
pub struct Job<'a> {
    pub args: &'a ScanArgs,
    pub target: &'a Target,
    pub trust: &'a Trust,
    pub identity: Option<ClientIdentity>,
    pub ledger: Option<Ledger>,
    pub with_login: bool,
    pub cancel: Arc<Cancel>,
}

/// Connections at a time at one server.
const AT_A_TIME: usize = 8;
/// The least `max_connect_errors` that any version ever had (before 5.6.6).
const LEAST_LIMIT: u32 = 10;

impl Job<'_> {
    /// Scans all of them, so many at a time; each is told when it is done. Once cancelled, no other is begun,
    /// and those under way have a moment to end.
    pub fn all(&self, endpoints: &[Endpoint], told: &mut dyn FnMut(Told<'_>)) {
        const MOMENT: Duration = Duration::from_secs(2);
        const LOOK: Duration = Duration::from_millis(50);
        let workers = usize::from(self.args.parallel).min(endpoints.len());
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(endpoint) = endpoints.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if self.cancel.is_set() {
                            return;
                        }
                        // nobody listens any more when the program ends
                        let _ = sender.send((endpoint, self.one(endpoint)));
                    }
                });
            }
            drop(sender);
            let mut since = None;
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok((endpoint, result)) => told(Told::Done(endpoint, Box::new(result))),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
                if self.cancel.is_set() && since.get_or_insert_with(Instant::now).elapsed() > MOMENT
                {
                    return told(Told::Left);
                }
            }
        });
    }

    fn one(&self, endpoint: &Endpoint) -> Result<Scan, String> {
        let seconds = Duration::from_secs(self.args.timeout);
        let limits = Limits { connect: seconds.min(Duration::from_secs(5)), total: seconds };
        let login = || self.log_in(endpoint, limits);
        let booked = Mutex::new(None::<(String, u32)>);
        let give_up = |server: &str, assumed: u32| {
            let limit = self.args.max_connect_errors.unwrap_or(assumed);
            let most = self.args.give_up.min(limit.saturating_sub(2));
            let left = self.ledger.as_ref().map_or(most, |ledger| ledger.take(server, most));
            *booked.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((server.to_owned(), left));
            left
        };
        let (limit, in_force) = match self.with_login.then(|| self.ask(endpoint)) {
            Some(Ok((limit, in_force))) => (limit, Some(in_force)),
            Some(Err(_)) | None => (None, None),
        };
        // the session comes from the address that the probes come from, but where another was named
        let fresh = in_force.is_some() && endpoint.bind.is_none();
        // well below it, however much others on this host give up meanwhile
        let most = self.args.max_connect_errors.or(limit).unwrap_or(LEAST_LIMIT) / 2;
        let login = self.with_login.then_some(ByLogin { login: &login, most, fresh });
        let how = How {
            trust: self.trust,
            limits,
            polite: self.args.polite,
            at_a_time: AT_A_TIME,
            give_up: &give_up,
            login,
        };
        let result = scan::scan(endpoint, &how, self.cancel.flag());
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
        if let (Some(in_force), Some(tls)) = (in_force, &scan.tls) {
            scan.in_force = Some(in_force.beside(tls));
        }
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
        Ok(scan::in_force(&mut session))
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

/// The client certificate for the login.
pub fn identity(target: &Target) -> Result<Option<ClientIdentity>, Failure> {
    let Some(certificate) = &target.ssl_cert else { return Ok(None) };
    let key = target.ssl_key.as_ref().unwrap_or(certificate);
    ClientIdentity::load(certificate, key)
        .map(Some)
        .map_err(|error| Failure::usage(error.to_string()))
}
