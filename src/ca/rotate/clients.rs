//! The certificates that the old CA issued, and the new one issues again.

use openssl::x509::X509;

use crate::ca::renew::like;
use crate::ca::{CaError, Catalog, Draft, Entry, Issued, Kind, Store, Validity};

/// A client of the old CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its certificate of the old CA, the newest.
    pub entry: Entry,
    /// Whether the new CA has issued it one.
    pub has_new: bool,
    /// Whether somebody else has its key, who handed in a request.
    pub by_request: bool,
}

/// Whoever has a certificate of the old CA that is still good.
pub fn clients(old: &Catalog, new: &Catalog, now: i64) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    let good =
        |entry: &&Entry| entry.kind == Kind::Client && entry.is_current() && entry.not_after >= now;
    for entry in old.entries.iter().filter(good) {
        let has_new = new.entries.iter().filter(good).any(|theirs| theirs.subject == entry.subject);
        let client = Client { entry: entry.clone(), has_new, by_request: entry.files.is_empty() };
        match clients.iter_mut().find(|known| known.entry.subject == entry.subject) {
            Some(known) => *known = client,
            None => clients.push(client),
        }
    }
    clients
}

impl Store {
    /// Issues to each of these clients of another CA, under the same subject byte for byte, with a
    /// new key of the same kind: all of them or, whatever fails, none. The files lie in the folders
    /// of this store.
    pub fn take_over(
        &self,
        old: &Catalog,
        clients: &[&Client],
        validity: Validity,
    ) -> Result<Vec<Entry>, CaError> {
        let draft = |client: &&Client| {
            let certificate = old.certificate(&client.entry.serial)?;
            let issued =
                self.authority().issue_again(&certificate, key(&certificate)?, validity)?;
            Draft::new(&issued, Kind::Client, client.entry.names.clone(), true)
        };
        let drafts: Vec<Draft> = clients.iter().map(draft).collect::<Result<_, CaError>>()?;
        let entries = drafts.iter().map(|draft| draft.entry.clone()).collect();
        if !drafts.is_empty() {
            self.begin()?.commit(drafts)?;
        }
        Ok(entries)
    }

    /// A certificate for what this one is for, with a new key of the same kind; it is in no list
    /// until it is recorded.
    pub fn issue_like(&self, old: &X509, validity: Validity) -> Result<Issued, CaError> {
        self.authority().issue_again(old, key(old)?, validity)
    }
}

/// A new key like the one of this certificate; of the usual kind where it has one of no use here.
fn key(certificate: &X509) -> Result<openssl::pkey::PKey<openssl::pkey::Private>, CaError> {
    Ok(like(certificate).unwrap_or_default().generate()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::batch::parse;
    use crate::ca::crl::{Reason, Update};
    use crate::ca::renew::Renewal;
    use crate::ca::{AuthoritySpec, Destination, KeyKind};

    #[test]
    fn clients_keep_their_names_and_are_issued_to_once() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let dir = folder.path().join(name);
            Store::create(&dir, &AuthoritySpec::named(&name.parse().unwrap())).unwrap()
        };
        let (old, new) = (make("Old CA"), make("New CA"));
        for (name, kind) in [("app", KeyKind::P384), ("web", KeyKind::P256)] {
            old.issue_client(&name.parse().unwrap(), kind, Validity::LEAF).unwrap();
        }
        let read = |store: &Store| Catalog::read(store.dir()).unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let renewal = Renewal { same_key: false, validity: Validity::LEAF };
        old.renew(&old.list().unwrap()[0], renewal, None).unwrap();
        let found = clients(&read(&old), &read(&new), now);
        assert_eq!(found.len(), 2, "the renewed one counts once");
        let all: Vec<&Client> = found.iter().collect();
        let entries = new.take_over(&read(&old), &all, Validity::LEAF).unwrap();
        assert_eq!(entries[0].subject, "/O=Old CA/CN=web");
        let app = new.certificate(&entries[1].serial).unwrap();
        assert_eq!(like(&app).unwrap(), KeyKind::P384);
        assert!(app.verify(&new.authority().key).unwrap());
        assert!(new.client_dir(&"app".parse().unwrap()).join("client-key.pem").exists());
        let found = clients(&read(&old), &read(&new), now);
        assert!(found.iter().all(|client| client.has_new));
        // issued once more, by name and by table, they fit what REQUIRE SUBJECT asks for
        for name in ["app", "new"] {
            new.issue_client(&name.parse().unwrap(), KeyKind::P256, Validity::LEAF).unwrap();
        }
        let web = new.list().unwrap()[0].serial.clone();
        new.revoke(&[web], Reason::Unspecified, &Update::default()).unwrap();
        new.issue_clients(&parse("web\n").unwrap(), KeyKind::P256, 397, now).unwrap();
        let subjects = new.list().unwrap().split_off(2);
        let subjects: Vec<&str> = subjects.iter().map(|entry| entry.subject.as_str()).collect();
        assert_eq!(subjects, ["/O=Old CA/CN=app", "/O=New CA/CN=new", "/O=Old CA/CN=web"]);
        assert!(clients(&read(&old), &read(&new), now + 500 * 86_400).is_empty(), "all expired");
    }

    #[test]
    fn a_servers_certificate_is_recorded_in_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let spec = AuthoritySpec::named(&"CA".parse().unwrap());
        let store = Store::create(&folder.path().join("ca"), &spec).unwrap();
        let to = Destination { files: vec!["/c".into(), "/k".into()], deployed: true };
        let server =
            store.authority().server_spec(&["db1".parse().unwrap()], KeyKind::P256, Validity::LEAF);
        let first = store.authority().issue_server(&server.unwrap()).unwrap();
        let second = store.issue_like(&first.certificate, Validity::LEAF).unwrap();
        for issued in [&first, &second] {
            store.record_server(issued, vec!["db1".into()], &to).unwrap();
        }
        let entries = store.list().unwrap();
        assert_eq!(entries.iter().map(Entry::is_current).collect::<Vec<_>>(), [false, true]);
        assert!(entries[1].deployed && entries[1].files == to.files);
    }
}
