//! One server scanned: which probes are made, and what comes of them.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use openssl::x509::X509Name;

use super::eliminate::{Elimination, Preference};
use super::hello::{Answer, Offer, Protocol};
use super::names;
use super::prober::{Budget, Count, Prober, Stop, is_loopback};
use super::result::{Scan, SuiteSeen, TlsScan, VersionScan};
use super::{policy, system};
use crate::facts::{Flavor, Version};
use crate::printable::printable;
use crate::wire::{self, CarriedTls, Endpoint, Greeting, Limits, Shaken, Trust, WireError};
use crate::x509::KeyAlgorithm;

/// A login; the error says why it did not work.
pub type LogIn<'a> = &'a (dyn Fn() -> Result<(), String> + Sync);

/// How to scan.
pub struct How<'a> {
    pub trust: &'a Trust,
    pub limits: Limits,
    /// One connection at a time, with pauses.
    pub polite: bool,
    /// Connections at a time, at most.
    pub at_a_time: usize,
    /// What may be given up before a login where there is none and this host is no loopback: asked of whoever
    /// keeps count over several scans, with the server's address and limit.
    pub give_up: &'a (dyn Fn(&str, u32) -> u32 + Sync),
    /// Sets the server's count back, and the number after which it has to.
    pub login: Option<(u32, LogIn<'a>)>,
}

/// Scans one server. An error means that nothing was found out; what is missing in a scan is said in it.
pub fn scan(endpoint: &Endpoint, how: &How<'_>, cancel: &AtomicBool) -> Result<Scan, WireError> {
    let began = Instant::now();
    let first = wire::carried(endpoint, how.trust, None, how.limits)?;
    let mut by_address = Endpoint::new(first.address.to_string(), endpoint.port);
    by_address.bind = endpoint.bind;
    let mut opening = first.opening;
    opening.early = !may_lose_what_comes_early(&first.greeting);
    let budget = match how.login {
        _ if is_loopback(first.address) && endpoint.bind.is_none_or(is_loopback) => Budget::Free,
        Some((most, login)) => Budget::Reset { most: most.max(1), login },
        None => {
            let server = by_address.to_string();
            Budget::Fixed((how.give_up)(&server, assumed_limit(&first.greeting)))
        }
    };
    let prober = Prober {
        endpoint: by_address,
        name: endpoint.ip().is_none().then(|| endpoint.host.clone()),
        opening,
        limits: how.limits,
        budget,
        polite: how.polite,
        cancel,
        count: Mutex::new(Count::default()),
    };
    {
        let mut count = prober.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.cost.connections = 1;
        // nobody knows what was left behind here before: the first thing is a login
        if let Budget::Reset { most, .. } = &prober.budget {
            count.since_reset = *most;
        }
    }
    let mut left_out = Vec::new();
    let tls = match first.tls {
        CarriedTls::NotOffered => None,
        CarriedTls::Established(shaken) => {
            Some(look(&prober, how, &first.greeting, first.round_trip, Ok(shaken), &mut left_out))
        }
        CarriedTls::Failed(_, why) => {
            // it was counted, if nothing forbids it: there is no way to know before
            let _ = prober.spend();
            Some(look(&prober, how, &first.greeting, first.round_trip, Err(why), &mut left_out))
        }
    };
    left_out.extend(prober.settle());
    left_out.dedup();
    let mut cost = prober.count.lock().unwrap_or_else(PoisonError::into_inner).cost;
    cost.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Scan {
        schema: 1,
        at: time::OffsetDateTime::now_utc().unix_timestamp(),
        host: printable(&endpoint.host).into_owned(),
        port: endpoint.port,
        address: first.address.to_string(),
        greeting: first.greeting,
        tls,
        cost,
        left_out,
    })
}

/// What the probes saw by the way.
#[derive(Default)]
struct Seen {
    tls: TlsScan,
    answers: Vec<Answer>,
    left_out: Vec<String>,
}

struct Look<'a> {
    prober: &'a Prober<'a>,
    workers: usize,
    seen: Mutex<Seen>,
    /// Every suite before TLS 1.3 that is offered.
    old_suites: Vec<u16>,
    first: Option<Shaken>,
}

fn look(
    prober: &Prober<'_>,
    how: &How<'_>,
    greeting: &Greeting,
    round_trip: Duration,
    first: Result<Shaken, String>,
    left_out: &mut Vec<String>,
) -> TlsScan {
    const AT_ONCE: u32 = 8;
    const NEAR: Duration = Duration::from_millis(3);
    // what is under way during a login is counted after it
    let tight = matches!(&prober.budget, Budget::Reset { most, .. } if *most < 2 * AT_ONCE);
    let near = round_trip < NEAR || tight;
    let workers = if how.polite || near { 1 } else { how.at_a_time.max(1) };
    let mut seen = Seen::default();
    let shaken = match first {
        Ok(shaken) => {
            seen.tls.system_faults = system::faults(&shaken.handshake.chain);
            seen.tls.handshake = Some(shaken.handshake.clone());
            Some(shaken)
        }
        Err(why) => {
            seen.tls.handshake_failed = Some(why);
            None
        }
    };
    let modern = shaken
        .as_ref()
        .is_some_and(|shaken| matches!(shaken.handshake.version.as_str(), "TLSv1.2" | "TLSv1.3"));
    let old_suites = if may_be_yassl(greeting) && !modern { of_yassl() } else { old_suites() };
    let look = Look { prober, workers, seen: Mutex::new(seen), old_suites, first: shaken };
    let mut versions = thread::scope(|scope| {
        let modern = || scope.spawn(|| look.tls13());
        let old = || scope.spawn(|| look.upward_to(Protocol::Tls12));
        let older = || scope.spawn(|| look.older());
        let mut all = Vec::new();
        let mut end = |handle: thread::ScopedJoinHandle<'_, Vec<VersionScan>>| {
            all.extend(handle.join().unwrap_or_default());
        };
        if how.polite || near {
            end(modern());
            end(old());
            end(older());
        } else {
            let three = [modern(), old(), older()];
            three.into_iter().for_each(end);
        }
        all
    });
    versions.sort_by_key(|version| std::cmp::Reverse(version.protocol));
    if !versions.iter().any(|version| version.protocol == Protocol::Tls13 && version.offered) {
        look.old_groups(&versions);
    }
    let Seen { mut tls, answers, left_out: left } =
        look.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    left_out.extend(left);
    tls.versions = versions;
    by_the_way(&mut tls, &answers);
    tls.post_quantum = tls.groups.iter().any(|group| names::is_post_quantum(group));
    tls.policies = policy::judge(&tls);
    tls
}

impl Look<'_> {
    /// TLS 1.3: suites and groups in the same rounds, as long as both may be left.
    fn tls13(&self) -> Vec<VersionScan> {
        let likely = [0x1302, 0x1303, 0x1301];
        let universe: Vec<u16> =
            names::suites().iter().filter(|one| one.is_modern()).map(|one| one.number).collect();
        let mut suites = Elimination::of(universe.clone(), Vec::new());
        let mut groups = Elimination::of(names::groups(), Vec::new());
        if let Some(first) = self.first.as_ref().filter(|s| s.handshake.version == "TLSv1.3") {
            suites.know(first.suite, likely.to_vec());
            if let Some(group) = first.group.as_deref().and_then(of_openssl) {
                groups.know(group, names::groups());
            }
        }
        if self.prober.is_careful() {
            return self.tls13_carefully(suites, groups);
        }
        while suites.found().len() < likely.len() {
            let (Some(some), Some(these)) = (suites.next(), groups.next()) else { break };
            let answer = self.ask(Protocol::Tls13, &some.offered, &these.offered);
            let both = answer.as_ref().ok().and_then(|answer| answer.as_ref());
            if let Some(answer) = both {
                suites.answered(&some, Some(answer.suite));
                groups.answered(&these, answer.group);
            } else {
                suites.give_up(&some);
                groups.give_up(&these);
                break;
            }
        }
        if suites.found().is_empty() {
            // refused with everything in it: there is no TLS 1.3
            return vec![Self::version(Protocol::Tls13, &[suites], true)];
        }
        let found = suites.found();
        let (done, known) = thread::scope(|scope| {
            let others = scope.spawn(|| {
                self.eliminate(&mut groups, |these| {
                    let answer = self.ask(Protocol::Tls13, &found, these)?;
                    Ok(answer.and_then(|answer| answer.group))
                })
            });
            let all = names::groups();
            let done = self.eliminate(&mut suites, |some| {
                Ok(self.ask(Protocol::Tls13, some, &all)?.map(|answer| answer.suite))
            });
            (done, others.join().unwrap_or(false))
        });
        self.note_groups(&groups.found());
        vec![Self::version(Protocol::Tls13, &[suites], done && known)]
    }

    fn tls13_carefully(&self, mut suites: Elimination, groups: Elimination) -> Vec<VersionScan> {
        let (mut mine, mut others) = split(&suites, &self.library(Protocol::Tls13));
        let all = names::groups();
        let mut done = self.carry(Protocol::Tls13, &mut mine);
        done &= self.eliminate(&mut others, |some| {
            Ok(self.ask(Protocol::Tls13, some, &all)?.map(|answer| answer.suite))
        });
        suites = joined(suites, &mine, &others);
        if suites.found().is_empty() {
            return vec![Self::version(Protocol::Tls13, &[suites], done)];
        }
        let found = suites.found();
        let (mut mine, mut others) = split(&groups, &LIBRARY_GROUPS);
        done &= self.eliminate(&mut mine, |these| {
            match self.prober.carried(Protocol::Tls13, &found, these)? {
                Ok(Some(shaken)) => Ok(shaken.group.as_deref().and_then(of_openssl)),
                Ok(None) => Ok(None),
                Err(()) => {
                    Ok(self.ask(Protocol::Tls13, &found, these)?.and_then(|answer| answer.group))
                }
            }
        });
        done &= self.eliminate(&mut others, |these| {
            Ok(self.ask(Protocol::Tls13, &found, these)?.and_then(|answer| answer.group))
        });
        self.note_groups(&joined(groups, &mine, &others).found());
        vec![Self::version(Protocol::Tls13, &[suites], done)]
    }

    /// All versions before TLS 1.2: a hello with the highest of them tells which, if any.
    fn older(&self) -> Vec<VersionScan> {
        let mut found = Vec::new();
        let mut top = Protocol::Tls11;
        loop {
            let offers = self.old_suites.clone();
            let Ok(answer) = self.ask(top, &offers, &names::groups()) else { return found };
            let chosen = answer.and_then(|answer| Some((answer.protocol?, answer.suite)));
            let Some((protocol, suite)) = chosen.filter(|(protocol, _)| *protocol <= top) else {
                found.extend(down_from(top).map(VersionScan::none));
                return found;
            };
            found.extend(down_from(top).filter(|one| *one > protocol).map(VersionScan::none));
            let mut elimination = Elimination::of(offers.clone(), Vec::new());
            elimination.know(suite, offers);
            found.extend(self.suites_of(protocol, elimination));
            let Some(below) = down_from(protocol).nth(1) else { return found };
            top = below;
        }
    }

    fn upward_to(&self, protocol: Protocol) -> Vec<VersionScan> {
        let mut elimination = Elimination::of(self.old_suites.clone(), Vec::new());
        let first = self.first.as_ref();
        if let Some(first) = first.filter(|shaken| shaken.handshake.version == protocol.name()) {
            elimination.know(first.suite, self.library(protocol));
        }
        self.suites_of(protocol, elimination)
    }

    fn suites_of(&self, protocol: Protocol, mut elimination: Elimination) -> Vec<VersionScan> {
        let all = names::groups();
        let bare = |offered: &[u16]| {
            let answer = self.ask(protocol, offered, &all)?;
            let chosen = answer.filter(|answer| answer.protocol == Some(protocol));
            Ok(chosen.map(|answer| answer.suite))
        };
        if self.prober.is_careful() {
            let (mut mine, mut others) = split(&elimination, &self.library(protocol));
            let mut done = self.carry(protocol, &mut mine);
            done &= self.eliminate(&mut others, bare);
            let order = vec![joined(elimination, &mine, &others), mine];
            return vec![Self::version(protocol, &order, done)];
        }
        elimination.likely(self.likely(protocol));
        let done = self.eliminate(&mut elimination, bare);
        vec![Self::version(protocol, &[elimination], done)]
    }

    /// The groups of a server without TLS 1.3, from its part of the key exchange.
    fn old_groups(&self, versions: &[VersionScan]) {
        let Some(version) = versions.iter().find(|version| version.offered) else { return };
        let suites: Vec<u16> = version
            .suites
            .iter()
            .filter(|suite| suite.iana.contains("_ECDHE_"))
            .map(|suite| suite.number)
            .collect();
        if suites.is_empty() {
            return;
        }
        let mut groups = Elimination::of(names::groups(), Vec::new());
        self.eliminate(&mut groups, |these| {
            Ok(self.ask(version.protocol, &suites, these)?.and_then(|answer| answer.group))
        });
        self.note_groups(&groups.found());
    }

    fn carry(&self, protocol: Protocol, elimination: &mut Elimination) -> bool {
        self.eliminate(elimination, |offered| {
            match self.prober.carried(protocol, offered, &[])? {
                Ok(shaken) => Ok(shaken.map(|shaken| shaken.suite)),
                // too weak for the library, which says no more
                Err(()) => Ok(self
                    .ask(protocol, offered, &names::groups())?
                    .filter(|answer| answer.protocol == Some(protocol))
                    .map(|answer| answer.suite)),
            }
        })
    }

    fn ask(
        &self,
        protocol: Protocol,
        suites: &[u16],
        groups: &[u16],
    ) -> Result<Option<Answer>, Stop> {
        let host = self.prober.name.as_deref();
        let answer = self.prober.bare(&Offer { protocol, suites, groups, host })?;
        if let Some(answer) = &answer {
            self.seen().answers.push(answer.clone());
        }
        Ok(answer)
    }

    /// Runs an elimination to its end, with as many rounds at a time as there are workers; whether it
    /// came there.
    fn eliminate(
        &self,
        elimination: &mut Elimination,
        ask: impl Fn(&[u16]) -> Result<Option<u16>, Stop> + Sync,
    ) -> bool {
        let workers = if self.prober.is_careful() { 1 } else { self.workers };
        let state = Mutex::new((elimination, None::<Stop>));
        let changed = Condvar::new();
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            let mut held = lock();
            loop {
                if held.1.is_some() || held.0.is_over() {
                    changed.notify_all();
                    return;
                }
                let Some(round) = held.0.next() else {
                    held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                drop(held);
                let answer = ask(&round.offered);
                held = lock();
                match answer {
                    Ok(chosen) => held.0.answered(&round, chosen),
                    Err(stop) => {
                        held.0.give_up(&round);
                        held.1.get_or_insert(stop);
                    }
                }
                changed.notify_all();
            }
        };
        if workers == 1 {
            work();
        } else {
            thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
        }
        let stopped = lock().1.take();
        if let Some(stop) = &stopped {
            let words = match stop {
                Stop::Budget(why) => why.clone(),
                Stop::Failed(error) => error.to_string(),
                Stop::Cancelled => "the scan was cancelled".to_owned(),
            };
            let mut seen = self.seen();
            if !seen.left_out.contains(&words) {
                seen.left_out.push(words);
            }
        }
        stopped.is_none()
    }

    fn version(protocol: Protocol, found: &[Elimination], complete: bool) -> VersionScan {
        // the last of them is the one whose rounds tell about the order
        let order = found.last().map_or(Preference::Unknown, Elimination::preference);
        let mut numbers = found.first().map_or_else(Vec::new, Elimination::found);
        if order == Preference::Client {
            // in what order they were met says nothing
            let place = |one: &u16| names::suites().iter().position(|suite| suite.number == *one);
            numbers.sort_by_key(place);
        }
        let suites: Vec<SuiteSeen> = numbers
            .into_iter()
            .map(|number| SuiteSeen {
                number,
                name: names::suite_name(number),
                iana: names::suite(number).map_or_else(String::new, |suite| suite.iana.to_owned()),
            })
            .collect();
        let order = match order {
            Preference::Server => "server",
            Preference::Client => "client",
            Preference::Unknown => "unknown",
        };
        VersionScan {
            protocol,
            offered: !suites.is_empty(),
            suites,
            order: order.to_owned(),
            complete,
        }
    }

    /// What this host's library can offer of a version.
    fn library(&self, protocol: Protocol) -> Vec<u16> {
        let modern = protocol == Protocol::Tls13;
        let known = names::suites().iter().filter(|one| one.is_modern() == modern);
        known
            .filter(|one| one.openssl.is_some() && super::library::has(one.number))
            .map(|one| one.number)
            .filter(|one| modern || self.old_suites.contains(one))
            .collect()
    }

    /// What a server with a certificate like this one's likes best, in OpenSSL's order.
    fn likely(&self, protocol: Protocol) -> Vec<u16> {
        let Some(first) = &self.first else { return Vec::new() };
        let leaf = first.handshake.chain.first().and_then(|leaf| leaf.public_key.as_ref());
        let rsa = leaf
            .is_some_and(|key| matches!(key.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss));
        let fits = |iana: &str| {
            let kind = if rsa { "_RSA_WITH_" } else { "_ECDSA_WITH_" };
            let usual = iana.contains("_AES_") || iana.contains("CHACHA20");
            let rare = ["CCM", "PSK", "DSS", "anon"].iter().any(|part| iana.contains(part));
            let new = iana.contains("GCM")
                || iana.contains("CHACHA")
                || iana.ends_with("SHA256")
                || iana.ends_with("SHA384");
            iana.contains(kind) && usual && !rare && (protocol == Protocol::Tls12 || !new)
        };
        names::suites().iter().filter(|one| fits(one.iana)).map(|one| one.number).collect()
    }

    fn note_groups(&self, groups: &[u16]) {
        self.seen().tls.groups = groups.iter().map(|group| names::group_name(*group)).collect();
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VersionScan {
    fn none(protocol: Protocol) -> Self {
        let order = "unknown".to_owned();
        Self { protocol, offered: false, suites: Vec::new(), order, complete: true }
    }
}

/// What came along with the answers that were asked for.
fn by_the_way(tls: &mut TlsScan, answers: &[Answer]) {
    let old: Vec<&Answer> =
        answers.iter().filter(|one| one.protocol < Some(Protocol::Tls13)).collect();
    if !old.is_empty() {
        tls.session_ids = Some(old.iter().any(|one| one.session_id));
        tls.tickets = Some(old.iter().any(|one| one.ticket));
        tls.compression = Some(old.iter().any(|one| one.compression));
        tls.secure_renegotiation = Some(old.iter().all(|one| one.secure_renegotiation));
        tls.extended_master_secret = Some(old.iter().all(|one| one.extended_master_secret));
        tls.dh_bits = old.iter().filter_map(|one| one.dh_bits).min();
        if old.iter().any(|one| one.complete) {
            tls.asks_certificate = Some(old.iter().any(|one| one.asks_certificate.is_some()));
        }
    }
    for scheme in old.iter().filter_map(|one| one.signature) {
        let name = names::signature_name(scheme);
        if !tls.signs_with.contains(&name) {
            tls.signs_with.push(name);
        }
    }
    let asked = old.iter().find_map(|one| one.asks_certificate.as_ref());
    if let Some(request) = asked {
        tls.client_signatures =
            request.signatures.iter().map(|s| names::signature_name(*s)).collect();
        tls.client_cas = request
            .authorities
            .iter()
            .filter_map(|der| X509Name::from_der(der).ok())
            .map(|name| printable(&crate::x509::Name::from_openssl(&name).display()).into_owned())
            .collect();
    }
}

fn down_from(top: Protocol) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().rev().filter(move |one| *one <= top)
}

/// Two eliminations of what is open: what the library can offer, and the rest.
fn split(whole: &Elimination, library: &[u16]) -> (Elimination, Elimination) {
    let open = whole.open();
    let mine = library.iter().copied().filter(|one| open.contains(one)).collect();
    let others = open.iter().copied().filter(|one| !library.contains(one)).collect();
    (Elimination::of(mine, Vec::new()), Elimination::of(others, Vec::new()))
}

fn joined(mut whole: Elimination, mine: &Elimination, others: &Elimination) -> Elimination {
    let found: Vec<u16> = mine.found().into_iter().chain(others.found()).collect();
    for (at, one) in found.iter().enumerate() {
        whole.know(*one, found[at..].to_vec());
    }
    whole
}

const LIBRARY_GROUPS: [u16; 10] = [0x1d, 0x17, 0x1e, 0x19, 0x18, 0x100, 0x101, 0x102, 0x103, 0x104];

/// OpenSSL's short name of a group.
fn of_openssl(name: &str) -> Option<u16> {
    Some(match name {
        "X25519" => 0x1d,
        "X448" => 0x1e,
        "prime256v1" => 0x17,
        "secp384r1" => 0x18,
        "secp521r1" => 0x19,
        "ffdhe2048" => 0x100,
        "ffdhe3072" => 0x101,
        "ffdhe4096" => 0x102,
        "ffdhe6144" => 0x103,
        "ffdhe8192" => 0x104,
        _ => return None,
    })
}

fn old_suites() -> Vec<u16> {
    names::suites().iter().filter(|one| !one.is_modern()).map(|one| one.number).collect()
}

/// All that yaSSL has; it takes no hello with many more.
fn of_yassl() -> Vec<u16> {
    vec![
        0x39, 0x38, 0x33, 0x32, 0x35, 0x2f, 0x16, 0x13, 0x0a, 0x05, 0x04, 0x15, 0x12, 0x09, 0x74,
        0x73, 0x72, 0x79, 0x78, 0x77, 0x7e, 0x7d, 0x7c,
    ]
}

/// MySQL before 5.7.28 and MariaDB before 10.4 may have been built with it.
fn may_be_yassl(greeting: &Greeting) -> bool {
    match (greeting.flavor, greeting.version) {
        (Flavor::MariaDb, Some(version)) => version < Version(10, 4, 0),
        (_, Some(version)) => version < Version(5, 7, 28),
        (_, None) => false,
    }
}

/// `max_connect_errors` where nobody changed it.
pub fn assumed_limit(greeting: &Greeting) -> u32 {
    let early = greeting.version.is_some_and(|version| version < Version(5, 6, 6));
    if early && greeting.flavor == Flavor::MySql { 10 } else { 100 }
}

/// Before 5.7 what came along with the request was read with it, and lost.
fn may_lose_what_comes_early(greeting: &Greeting) -> bool {
    may_be_yassl(greeting)
}
