//! What changes a store, all of it under its lock.

use super::index::{Event, Index};
use super::lock::Lock;
use super::pending::{self, Draft};
use super::{Destination, Entry, Kind, Store};
use crate::ca::authority::pem;
use crate::ca::files::Written;
use crate::ca::{CaError, Issued};
use crate::printable::shown;
use crate::x509::OneLine;

/// A store, its lock, and its list as it is while the lock is held.
pub(in crate::ca) struct Work<'a> {
    pub store: &'a Store,
    pub index: Index,
    lock: Lock,
}

impl<'a> Work<'a> {
    pub(super) fn begin(store: &'a Store) -> Result<Self, CaError> {
        super::refuse_foreign(&store.dir)?;
        let lock = Lock::take(&store.dir, Lock::PATIENCE, store.waiting)?;
        let (work, _) = Self::settled(store, lock)?;
        Ok(work)
    }

    pub(super) fn take_up(store: &'a Store, lock: Lock) -> Result<Vec<String>, CaError> {
        super::refuse_foreign(&store.dir)?;
        Ok(Self::settled(store, lock)?.1)
    }

    /// With the lock held, whatever is under way was stopped.
    fn settled(store: &'a Store, lock: Lock) -> Result<(Self, Vec<String>), CaError> {
        sweep(&store.dir);
        let index = Index::read(&store.dir)?;
        index.settle_down(&lock, &store.dir)?;
        let settled = pending::settle(&store.dir, &index)?;
        let mut notes = settled.notes;
        let mut work = Self { store, index, lock };
        work.drop_all(&settled.dropped)?;
        if pending::lists_are_due(&store.dir) {
            let file = shown(&store.dir.join(Store::CRL_FILE));
            // what cannot be signed now is no reason not to issue
            notes.push(match work.sign_lists(&crate::ca::crl::Update::default()) {
                Ok(_) => {
                    let revoked = work.index.entries.iter().filter(|one| one.revoked.is_some());
                    format!(
                        "the list of what is revoked was about to be signed when mytls was stopped: \
                         {file} is signed now, and of all that was issued {} are revoked; look whether the \
                         one you meant is among them (mytls ca list --all), and give it to the servers",
                        revoked.count()
                    )
                }
                Err(error) => format!(
                    "the list of what is revoked was about to be signed when mytls was stopped, and \
                     cannot be signed now: {error}; until it is, {file} does not say all: mytls ca crl"
                ),
            });
        }
        Ok((work, notes))
    }

    /// Enters events in the list.
    pub(in crate::ca) fn append(&mut self, events: Vec<Event>) -> Result<(), CaError> {
        self.index.append(&self.lock, &self.store.dir, events)
    }

    /// Issues: all of them or, whatever fails, none. What the store keeps is laid in its place,
    /// and returned.
    pub(in crate::ca) fn commit(
        &mut self,
        mut drafts: Vec<Draft>,
    ) -> Result<Vec<Written>, CaError> {
        for draft in drafts.iter_mut().filter(|draft| draft.key.is_some()) {
            draft.entry.files = pending::place(&draft.entry);
        }
        let mut written = Vec::new();
        for entry in &self.enter(&drafts)? {
            let laid = pending::deliver(&self.store.dir, entry)?;
            written.extend(laid.into_iter().flat_map(|(_, files)| files));
        }
        pending::sync(&self.store.dir)?;
        Ok(written)
    }

    /// Issues one whose files somebody else lays; see [`Store::issue_server_to`].
    pub(in crate::ca) fn hand_out<T>(
        mut self,
        issued: &Issued,
        draft: Draft,
        to: &Destination,
        lay: impl FnOnce(&Issued) -> Result<T, CaError>,
    ) -> Result<T, CaError> {
        let (files, deployed) = (to.files.clone(), to.deployed);
        let draft = Draft { entry: Entry { files, deployed, ..draft.entry }, ..draft };
        let serial = draft.entry.serial.clone();
        self.enter(&[draft])?;
        match lay(issued) {
            Ok(laid) => {
                pending::clear(&self.store.dir, &serial)?;
                Ok(laid)
            }
            Err(error) => {
                self.drop_all(&[serial])?;
                Err(error)
            }
        }
    }

    /// The server's certificate whose key and file are replaced by what is laid there. Of a folder that
    /// is carried to a server, another server's may have lain there before: that is not replaced.
    pub(super) fn lies_there(&self, names: &[String], to: &Destination) -> Option<String> {
        const PAIR: std::ops::Range<usize> = 0..2;
        let pair = to.files.get(PAIR)?;
        let same_names = |entry: &Entry| {
            entry.names.len() == names.len() && names.iter().all(|name| entry.names.contains(name))
        };
        let before = self.index.entries.iter().rfind(|entry| {
            entry.kind == Kind::Server
                && entry.is_current()
                && entry.files.get(PAIR) == Some(pair)
                && (to.deployed && entry.deployed || same_names(entry))
        });
        before.map(|entry| entry.serial.clone())
    }

    /// These were handed to nobody: the list says so before their keys go.
    fn drop_all(&mut self, serials: &[String]) -> Result<(), CaError> {
        if serials.is_empty() {
            return Ok(());
        }
        let events = serials.iter().map(|serial| Event::Dropped { serial: serial.clone() });
        self.append(events.collect())?;
        serials.iter().try_for_each(|serial| pending::clear(&self.store.dir, serial))
    }

    /// The files on the disk, then the lines in the list.
    fn enter(&mut self, drafts: &[Draft]) -> Result<Vec<Entry>, CaError> {
        self.refuse_taken(drafts)?;
        let ca = self.store.authority.ca_pem()?;
        pending::stage(&self.store.dir, drafts, &ca)?;
        let entries: Vec<Entry> = drafts.iter().map(|draft| draft.entry.clone()).collect();
        let events = entries.iter().cloned().map(Event::Issued).collect();
        if let Err(error) = self.append(events) {
            pending::settle(&self.store.dir, &self.index)?; // none has a line: all go
            return Err(error);
        }
        Ok(entries)
    }

    fn refuse_taken(&self, drafts: &[Draft]) -> Result<(), CaError> {
        let own = self.store.authority.summary().subject.oneline(OneLine::OpenSsl3);
        let mut kinds = self.index.kinds();
        for draft in drafts {
            let Entry { serial, subject, kind, .. } = &draft.entry;
            let other = kinds.insert(subject, *kind).filter(|other| other != kind);
            let taken = other.map(Kind::name).or((own == *subject).then_some("CA"));
            if let Some(kind) = taken {
                return Err(CaError::SubjectTaken { subject: subject.clone(), kind });
            }
            if self.index.get(serial).is_some() {
                return Err(CaError::SerialTaken { serial: serial.clone() });
            }
        }
        Ok(())
    }

    /// After the lists of revoked certificates were signed.
    pub(in crate::ca) fn lists_are_signed(&self) -> Result<(), CaError> {
        pending::lists_are_signed(&self.store.dir)
    }

    /// Before a revocation is entered.
    pub(in crate::ca) fn announce_lists(&self) -> Result<(), CaError> {
        pending::announce_lists(&self.store.dir)
    }
}

/// What a run left that was stopped while it wrote one of the store's own files anew: with the lock held
/// nobody is writing them.
fn sweep(dir: &std::path::Path) {
    let left = |name: &str| {
        let own = [Store::CRL_FILE, Store::KEY_FILE];
        own.iter().any(|own| name.strip_prefix('.').is_some_and(|rest| rest.starts_with(own)))
    };
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(left) {
            let _ = std::fs::remove_file(entry.path()); // the next run tries again
        }
    }
}

impl Draft {
    /// `with_key`: the store is to lay it where it belongs.
    pub(in crate::ca) fn new(
        issued: &Issued,
        kind: Kind,
        names: Vec<String>,
        with_key: bool,
    ) -> Result<Self, CaError> {
        Ok(Self {
            entry: Entry::new(&issued.summary(), kind, names),
            leaf: pem(std::slice::from_ref(&issued.certificate))?,
            certificate: issued.certificate_pem()?,
            key: if with_key { Some(issued.key_pem()?) } else { None },
        })
    }
}
