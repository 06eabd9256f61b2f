//! A new CA in the place of an old one, with nobody locked out on the way: the plan, and how far it
//! has come.
//!
//! Whoever verifies has to trust the new CA before anybody shows a certificate of it, and may forget
//! the old one only when nobody shows one of that any more. So it goes in five stages, in
//! [`Step::ALL`]'s order. What is true of the server is seen by others ([`Seen`]); here it is only
//! judged, and what was done is kept in a file of the new CA's folder ([`State`]).

use std::path::{Path, PathBuf};

use serde::Serialize;

mod clients;
mod state;

pub use clients::{Client, clients};
pub use state::{Bound, Done, Held, State};

/// The folder in the new CA's that holds all of a rotation.
const FOLDER: &str = "rotation";
/// Both CAs, with all above them.
const BOTH: &str = "ca-both.pem";

/// What has to be done, each once, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    NewCa,
    ServerTrustsBoth,
    ClientsTrustBoth,
    ServerCertificate,
    AccountsLoosened,
    ClientCertificates,
    ClientsSwitched,
    AccountsBound,
    ServerDropsOld,
    ClientsDropOld,
}

impl Step {
    pub const ALL: [Self; 10] = [
        Self::NewCa,
        Self::ServerTrustsBoth,
        Self::ClientsTrustBoth,
        Self::ServerCertificate,
        Self::AccountsLoosened,
        Self::ClientCertificates,
        Self::ClientsSwitched,
        Self::AccountsBound,
        Self::ServerDropsOld,
        Self::ClientsDropOld,
    ];
    /// How many stages there are.
    pub const STAGES: u8 = 5;

    /// From 1.
    pub fn stage(self) -> u8 {
        match self {
            Self::NewCa => 1,
            Self::ServerTrustsBoth | Self::ClientsTrustBoth => 2,
            Self::ServerCertificate => 3,
            Self::AccountsLoosened
            | Self::ClientCertificates
            | Self::ClientsSwitched
            | Self::AccountsBound => 4,
            Self::ServerDropsOld | Self::ClientsDropOld => 5,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::NewCa => "make the new CA",
            Self::ServerTrustsBoth => "the server trusts both CAs",
            Self::ClientsTrustBoth => "every client trusts both CAs",
            Self::ServerCertificate => "the server's certificate comes from the new CA",
            Self::AccountsLoosened => "no account names the old issuer",
            Self::ClientCertificates => "every client is issued a certificate of the new CA",
            Self::ClientsSwitched => "every client uses its new certificate",
            Self::AccountsBound => "those accounts name the new issuer",
            Self::ServerDropsOld => "the server no longer trusts the old CA",
            Self::ClientsDropOld => "no client trusts the old CA any more",
        }
    }

    /// Whether it is done on other hosts, by people who say when it is.
    pub fn is_by_people(self) -> bool {
        matches!(self, Self::ClientsTrustBoth | Self::ClientsSwitched | Self::ClientsDropOld)
    }
}

/// What is true of a server and of the new CA at this moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since when it runs: seconds since 1970, UTC.
    pub started: Option<i64>,
    /// What its `ssl_ca` holds; `None` where the file is not on this host.
    pub file: Option<Trusted>,
    /// What the running server made of a client's certificate of the old CA.
    pub takes_old: Tried,
    pub takes_new: Tried,
    /// Which CA the certificate comes from that the running server shows.
    pub certificate: Option<Signer>,
    /// Accounts that name the old issuer; the error says why they cannot be read.
    pub naming_old: Result<Vec<String>, String>,
    /// Accounts of [`State::accounts`] that do not name the new issuer.
    pub unbound: Vec<String>,
    /// Clients of the old CA without a certificate of the new one.
    pub without: Vec<String>,
    /// CAs of both, of which the server's `ssl_crl` has no list; empty where it has no `ssl_crl`.
    pub unlisted: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The old CA, or any above it.
    pub old: bool,
    /// The new CA, and all above it.
    pub new: bool,
}

/// What a server made of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    Taken,
    /// In the handshake; with the alert.
    Refused(String),
    /// Says why.
    NotTried(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    Old,
    New,
    /// A CA that has no part in this.
    Other,
}

/// Where a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// What turns out to be so, without having been entered as done.
    pub so_already: Vec<Step>,
    /// What is to be done now; `None` when it is over.
    pub next: Option<Step>,
    /// Why a step that was done is to be done again.
    pub undone: Option<String>,
}

/// The first step that is not done, or that was undone since.
pub fn position(state: &State, seen: &Seen) -> Position {
    let mut position = Position { so_already: Vec::new(), next: None, undone: None };
    for step in Step::ALL {
        match (state.is_done(step), holds(step, state, seen)) {
            (true, Ok(())) => {}
            (false, Ok(())) if !step.is_by_people() => position.so_already.push(step),
            (done, holds) => {
                position.next = Some(step);
                position.undone = holds.err().filter(|_| done);
                break;
            }
        }
    }
    position
}

/// Whether what a step was to bring about is so. What people do elsewhere cannot be seen.
///
/// # Errors
/// Why it is not, or why nobody can tell.
pub fn holds(step: Step, state: &State, seen: &Seen) -> Result<(), String> {
    let names = |names: &[String]| crate::printable::printable(&names.join(", ")).into_owned();
    match step {
        Step::NewCa | Step::ClientsTrustBoth | Step::ClientsSwitched | Step::ClientsDropOld => {
            Ok(())
        }
        Step::ServerTrustsBoth => {
            if !seen.unlisted.is_empty() {
                // with one missing it refuses everybody, as if it did not know the CA
                return Err(format!("its ssl_crl has no list of {}", names(&seen.unlisted)));
            }
            restarted(state, seen)?;
            trusts("new", seen.file.map(|file| file.new), &seen.takes_new)?;
            if state.drops_old() {
                return Ok(());
            }
            trusts("old", seen.file.map(|file| file.old), &seen.takes_old)
        }
        Step::ServerCertificate => match seen.certificate {
            Some(Signer::New | Signer::Other) => restarted(state, seen),
            Some(Signer::Old) => Err("the running server shows a certificate of the old CA".into()),
            None => Err("the running server shows no certificate".into()),
        },
        Step::AccountsLoosened => match &seen.naming_old {
            Ok(accounts) if accounts.is_empty() => Ok(()),
            Ok(accounts) => Err(format!("the old issuer is named by {}", names(accounts))),
            Err(why) => Err(format!("the accounts cannot be read: {why}")),
        },
        Step::ClientCertificates if seen.without.is_empty() => Ok(()),
        Step::ClientCertificates => {
            Err(format!("the new CA has no certificate of {}", names(&seen.without)))
        }
        Step::AccountsBound if seen.unbound.is_empty() => Ok(()),
        Step::AccountsBound => {
            Err(format!("the new issuer is not named by {}", names(&seen.unbound)))
        }
        Step::ServerDropsOld => {
            restarted(state, seen)?;
            if seen.file.is_some_and(|file| file.old) {
                return Err("its ssl_ca holds the old CA".into());
            }
            match &seen.takes_old {
                Tried::Taken => {
                    return Err(
                        "the running server takes a certificate of the old CA: it has not \
                                read its ssl_ca again"
                            .into(),
                    );
                }
                Tried::NotTried(why) if seen.file.is_none() => {
                    return Err(format!("whether it takes certificates of the old CA: {why}"));
                }
                Tried::Refused(_) | Tried::NotTried(_) => {}
            }
            trusts("new", seen.file.map(|file| file.new), &seen.takes_new)
        }
    }
}

/// Whether all that is missing of the step under way is a restart of the server.
pub fn awaits_restart(state: &State, seen: &Seen, step: Step) -> bool {
    state.under_way == Some(step) && restarted(state, seen).is_err()
}

/// What a server reads only when it starts, it has read.
fn restarted(state: &State, seen: &Seen) -> Result<(), String> {
    const CLOCKS: i64 = 1; // both count whole seconds
    match (state.restart_due, seen.started) {
        (None, _) => Ok(()),
        (Some(due), Some(started)) if started + CLOCKS >= due => Ok(()),
        _ => Err("the server was not restarted since its files were changed".to_owned()),
    }
}

fn trusts(which: &str, file: Option<bool>, tried: &Tried) -> Result<(), String> {
    match (file, tried) {
        (Some(false), _) => Err(format!("its ssl_ca does not hold the {which} CA")),
        (_, Tried::Refused(why)) => Err(format!(
            "the running server refuses a certificate of the {which} CA ({why}): it has not read \
             its ssl_ca again"
        )),
        (None, Tried::NotTried(why)) => {
            Err(format!("whether the server trusts the {which} CA: {why}"))
        }
        (Some(true), Tried::NotTried(_)) | (_, Tried::Taken) => Ok(()),
    }
}

/// The file with both CAs, for clients, in the new CA's folder.
pub fn both_file(to: &Path) -> PathBuf {
    to.join(FOLDER).join(BOTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is before anything but the new CA is made.
    fn at_first() -> Seen {
        Seen {
            started: Some(1000),
            file: Some(Trusted { old: true, new: false }),
            takes_old: Tried::Taken,
            takes_new: Tried::Refused("unknown ca".into()),
            certificate: Some(Signer::Old),
            naming_old: Ok(vec!["app@%".into()]),
            unbound: Vec::new(),
            without: vec!["app".into()],
            unlisted: Vec::new(),
        }
    }

    fn state(done: &[Step]) -> State {
        let mut state = State::new(Path::new("/old"), 1);
        for step in done {
            state.enter(*step, 1);
        }
        state
    }

    #[test]
    fn one_step_comes_after_the_other_and_people_are_waited_for() {
        let mut seen = at_first();
        let mut state = state(&[Step::NewCa]);
        let next = |state: &State, seen: &Seen| position(state, seen).next;
        assert_eq!(next(&state, &seen), Some(Step::ServerTrustsBoth));
        (seen.file, seen.takes_new) = (Some(Trusted { old: true, new: true }), Tried::Taken);
        assert_eq!(position(&state, &seen).so_already, [Step::ServerTrustsBoth]);
        assert_eq!(next(&state, &seen), Some(Step::ClientsTrustBoth));
        state.enter(Step::ServerTrustsBoth, 2);
        state.enter(Step::ClientsTrustBoth, 2);
        assert_eq!(next(&state, &seen), Some(Step::ServerCertificate));
        seen.certificate = Some(Signer::New);
        assert_eq!(next(&state, &seen), Some(Step::AccountsLoosened));
        (seen.naming_old, seen.unbound) = (Ok(Vec::new()), vec!["app@%".into()]);
        assert_eq!(next(&state, &seen), Some(Step::ClientCertificates));
        seen.without.clear();
        assert_eq!(next(&state, &seen), Some(Step::ClientsSwitched));
        state.enter(Step::ClientsSwitched, 3);
        assert_eq!(next(&state, &seen), Some(Step::AccountsBound));
        seen.unbound.clear();
        assert_eq!(next(&state, &seen), Some(Step::ServerDropsOld));
        // stopped between the file and the reload: that is ended, not taken back
        state.under_way = Some(Step::ServerDropsOld);
        seen.file = Some(Trusted { old: false, new: true });
        assert_eq!(next(&state, &seen), Some(Step::ServerDropsOld));
        seen.takes_old = Tried::Refused("unknown ca".into());
        assert_eq!(next(&state, &seen), Some(Step::ClientsDropOld));
        state.enter(Step::ServerDropsOld, 4);
        state.enter(Step::ClientsDropOld, 4);
        assert_eq!(next(&state, &seen), None);
    }

    #[test]
    fn what_somebody_undid_is_to_be_done_again() {
        let both = [Step::NewCa, Step::ServerTrustsBoth, Step::ClientsTrustBoth];
        let found = position(&state(&both), &at_first());
        assert_eq!(found.next, Some(Step::ServerTrustsBoth));
        assert_eq!(found.undone.as_deref(), Some("its ssl_ca does not hold the new CA"));
    }

    #[test]
    fn a_file_that_the_running_server_has_not_read_is_not_enough() {
        let file = Some(Trusted { old: true, new: true });
        let seen = Seen { file, ..at_first() };
        let why = holds(Step::ServerTrustsBoth, &state(&[]), &seen).unwrap_err();
        assert!(why.contains("has not read its ssl_ca again"), "{why}");
        let seen = Seen { takes_new: Tried::NotTried("no network".into()), ..seen };
        assert_eq!(holds(Step::ServerTrustsBoth, &state(&[]), &seen), Ok(()));
        let blind = Seen { file: None, ..seen };
        assert!(holds(Step::ServerTrustsBoth, &state(&[]), &blind).is_err());
    }

    #[test]
    fn a_server_that_reads_its_files_at_its_start_has_to_be_restarted() {
        let file = Some(Trusted { old: true, new: true });
        let blind = || Tried::NotTried("too old a library".into());
        let mut seen = Seen { file, takes_old: blind(), takes_new: blind(), ..at_first() };
        let mut state = state(&[Step::NewCa]);
        state.restart_due = Some(2000);
        assert!(!awaits_restart(&state, &seen, Step::ServerTrustsBoth), "it was not begun");
        state.under_way = Some(Step::ServerTrustsBoth);
        assert!(awaits_restart(&state, &seen, Step::ServerTrustsBoth));
        let why = position(&state, &seen);
        assert_eq!((why.next, why.so_already.len()), (Some(Step::ServerTrustsBoth), 0));
        seen.started = Some(2001);
        assert_eq!(position(&state, &seen).so_already, [Step::ServerTrustsBoth]);
        seen.started = None;
        assert!(holds(Step::ServerDropsOld, &state, &seen).is_err());
    }

    #[test]
    fn the_old_ca_is_not_gone_while_the_server_takes_its_certificates() {
        let state = state(&[]);
        let mut seen = at_first();
        (seen.file, seen.takes_new) = (Some(Trusted { old: false, new: true }), Tried::Taken);
        assert!(holds(Step::ServerDropsOld, &state, &seen).unwrap_err().contains("takes"));
        seen.takes_old = Tried::NotTried("no key is here".into());
        assert_eq!(holds(Step::ServerDropsOld, &state, &seen), Ok(()));
        seen.file = None;
        assert!(holds(Step::ServerDropsOld, &state, &seen).is_err());
    }
}
