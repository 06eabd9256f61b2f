//! Issuing into a store: what is entered in its list, and where the files lie.

use super::pending::{self, Draft};
use super::{Destination, Kind, Store};
use crate::ca::{CaError, ClientSpec, Issued, KeyKind, PlainName, San, ServerSpec, Validity};

impl Store {
    /// Issues a server certificate, named after the first of its hosts, and enters it in the list.
    pub fn issue_server(
        &self,
        sans: &[San],
        key: KeyKind,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        self.issue_server_as(&self.authority.server_spec(sans, key, validity)?)
    }

    /// [`Self::issue_server`] with every detail given.
    pub fn issue_server_as(&self, spec: &ServerSpec) -> Result<Issued, CaError> {
        let issued = self.authority.issue_server(spec)?;
        self.record(&issued, Kind::Server, spec.sans.iter().map(San::to_string).collect())?;
        Ok(issued)
    }

    /// Issues a server certificate and has its files laid where `lay` does, in the place of the one
    /// that lay there. Should that fail, the certificate is dropped: its key is no more.
    pub fn issue_server_to<T>(
        &self,
        spec: &ServerSpec,
        to: &Destination,
        lay: impl FnOnce(&Issued) -> Result<T, CaError>,
    ) -> Result<(Issued, T), CaError> {
        let issued = self.authority.issue_server(spec)?;
        let names = spec.sans.iter().map(San::to_string).collect();
        let mut draft = Draft::new(&issued, Kind::Server, names, true)?;
        let work = self.begin()?;
        draft.entry.instead_of = work.lies_there(&draft.entry.names, to);
        let laid = work.hand_out(&issued, draft, to, lay)?;
        Ok((issued, laid))
    }

    /// Issues the certificate of an account, enters it in the list, and lays what the client needs
    /// into [`Self::client_dir`]; what lay there before is kept as a backup.
    pub fn issue_client(
        &self,
        account: &PlainName,
        key: KeyKind,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let issued = self.authority.issue_client_in(&self.dir, account, key, validity)?;
        self.enter_client(account, issued)
    }

    /// [`Self::issue_client`] with every detail given.
    pub fn issue_client_as(
        &self,
        account: &PlainName,
        spec: &ClientSpec,
    ) -> Result<Issued, CaError> {
        self.enter_client(account, self.authority.issue_client(spec)?)
    }

    fn enter_client(&self, account: &PlainName, issued: Issued) -> Result<Issued, CaError> {
        let draft = Draft::new(&issued, Kind::Client, vec![account.to_string()], true)?;
        self.begin()?.commit(vec![draft])?;
        Ok(issued)
    }

    /// Enters a certificate of this CA in its list, and keeps a copy of it. Its files are laid by
    /// whoever calls this; those of a client belong into [`Self::client_dir`].
    pub fn record(&self, issued: &Issued, kind: Kind, names: Vec<String>) -> Result<(), CaError> {
        let mut draft = Draft::new(issued, kind, names, false)?;
        draft.entry.files = pending::place(&draft.entry);
        self.begin()?.commit(vec![draft])?;
        Ok(())
    }

    /// [`Self::record`] for a server whose files somebody else lays there, in the place of the one
    /// that lay there.
    pub fn record_server(
        &self,
        issued: &Issued,
        names: Vec<String>,
        to: &Destination,
    ) -> Result<(), CaError> {
        let mut draft = Draft::new(issued, Kind::Server, names, false)?;
        let mut work = self.begin()?;
        draft.entry.instead_of = work.lies_there(&draft.entry.names, to);
        (draft.entry.files, draft.entry.deployed) = (to.files.clone(), to.deployed);
        work.commit(vec![draft]).map(drop)
    }
}
