//! The real engine: what the wizard asks for, done by the rooms below.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use self::kept::{certificate, client_file, revoked, signing_ca};
use super::engine::{
    AuthorityForm, ClientLogin, Denial, Engine, KeyKinds, Level, NotPlanned, Offer, Proof,
    ProofRow, Reason, StatementForm,
};
use crate::apply::accounts::{self, Danger};
use crate::apply::{self, Applied, Noting, Plan, Restart, authority};
use crate::ca::{self, Catalog, Store};
use crate::checklist::{Examination, Verdict};
use crate::facts::gather::{Cancel, Progress, gather};
use crate::facts::{AccountName, Require, Target, host, session};
use crate::prove::{self, Expected, Row, Subject, Witness};
use crate::remedy::cipher::Cipher;
use crate::remedy::key_kinds::key_kinds;
use crate::remedy::lockout::{self, Proposal};
use crate::remedy::{Remedy, offer, statement, transport};
use crate::report;
use crate::report::record::{self, Deed, Record};
use crate::rules::Step;
use crate::scan::Scan;
use crate::secret::Secret;
use crate::wire::ClientIdentity;
use crate::x509::Certificate;

mod change;
mod kept;
mod offers;
mod why;

/// Works on real servers.
#[derive(Default)]
pub struct Live {
    /// What the first screen suggests.
    pub suggested: Target,
    /// Who can restart the server; `None`: its DBA.
    pub restart: Option<Arc<dyn Restart>>,
    /// Passwords that are known already.
    pub passwords: Vec<(AccountName, Secret)>,
    /// The server goes when the wizard ends, with all that was changed in it.
    pub throwaway: bool,
    /// Where changes are noted; `None`: nowhere.
    pub journal: Option<PathBuf>,
    /// The CA of a plan that was carried out: what a client has to trust since.
    trust: Mutex<Option<PathBuf>>,
}

impl Live {
    pub fn suggesting(suggested: Target) -> Self {
        Self { suggested, ..Self::default() }
    }
}

impl Engine for Live {
    fn examine(
        &self,
        target: &Target,
        cancel: &Cancel,
        told: &mut dyn FnMut(Progress),
    ) -> Examination {
        let mut target = target.clone();
        if let Some(ca) = &*self.trust.lock().unwrap_or_else(PoisonError::into_inner) {
            target.ssl_ca = Some(ca.clone());
        }
        Examination::judge(gather(&target, cancel, told))
    }

    fn authority_form(&self, exam: &Examination, user: Option<&str>) -> AuthorityForm {
        let mut wishes = authority::Wishes::sensible(&exam.facts, user);
        // for an account: a server certificate that does its work is none of its business
        if user.is_some() && (has_own_ca(&exam.facts.target) || tls_is_healthy(exam)) {
            wishes.server_names.clear();
        }
        AuthorityForm {
            ca_name: wishes.ca_name,
            key: key_kinds(&exam.facts).kinds.first().copied().unwrap_or_default(),
            server_names: wishes.server_names.join(", "),
            client_account: wishes.client,
            folder: wishes.folder,
            is_new: !has_own_ca(&exam.facts.target),
            passphrase: None,
        }
    }

    fn key_kinds(&self, exam: &Examination) -> KeyKinds {
        key_kinds(&exam.facts)
    }

    fn authority(&self, exam: &Examination) -> Result<Option<Catalog>, String> {
        match exam.facts.target.ca_dir.as_deref().filter(|dir| Store::exists(dir)) {
            Some(dir) => Catalog::read(dir).map(Some).map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }

    fn issued(&self, exam: &Examination, serial: &str) -> Result<Certificate, String> {
        let dir = exam.facts.target.ca_dir.as_deref().ok_or("it is not known where the CA is")?;
        ca::store::copy_of(dir, serial)
            .map(|x509| Certificate::from_openssl(&x509))
            .map_err(|error| error.to_string())
    }

    fn plan_renewal(
        &self,
        exam: &Examination,
        serial: &str,
        same_key: bool,
    ) -> Result<Plan, NotPlanned> {
        apply::register::renewal(&exam.facts, serial, same_key)
    }

    fn plan_revocation(
        &self,
        exam: &Examination,
        serial: &str,
        reason: Reason,
    ) -> Result<Plan, NotPlanned> {
        apply::register::revocation(&exam.facts, serial, reason)
    }

    fn plan_authority(&self, exam: &Examination, form: &AuthorityForm) -> Result<Plan, NotPlanned> {
        let names =
            form.server_names.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
        let wishes = authority::Wishes {
            ca_name: form.ca_name.clone(),
            key: form.key,
            server_names: names.map(str::to_owned).collect(),
            client: form.client_account.clone(),
            folder: form.folder.clone(),
            passphrase: form.passphrase.clone(),
        };
        authority::plan(&exam.facts, &wishes)
    }

    fn plan_remedy(&self, exam: &Examination, remedy: &Remedy) -> Result<Plan, NotPlanned> {
        let mut plan = apply::remedy::plan(&exam.facts, remedy)?;
        if transport::is_asked(remedy) {
            let refused = lockout::forecast(&exam.facts, Proposal::SecureTransport);
            plan.warnings.extend(refused.warnings());
            plan.asked_again = refused.own.map(|_| "lockout");
        }
        Ok(plan)
    }

    fn offer(
        &self,
        exam: &Examination,
        accounts: &[AccountName],
        level: Level,
        form: StatementForm,
        cipher: Option<&str>,
    ) -> Result<Offer, String> {
        let target = &exam.facts.target;
        let file = |name: &AccountName| client_file(target, name, "client-cert.pem");
        let made = |name: &AccountName| file(name).as_deref().and_then(certificate);
        let revoked: Vec<String> =
            accounts.iter().filter_map(|name| revoked(&exam.facts, &made(name)?)).collect();
        let valid = |name: &AccountName| {
            made(name).filter(|certificate| kept::revoked(&exam.facts, certificate).is_none())
        };
        let cipher = cipher.map(Cipher::parse).transpose().map_err(|why| why.to_string())?;
        let wish = offer::Wish { level, cipher: cipher.as_ref(), form: written_as(form) };
        let offer = offer::offer(&exam.facts, accounts, wish, &valid);
        let mut offer = offer.map_err(|why| match revoked.first() {
            Some(revoked) => format!("{revoked}; {why}"),
            None => why,
        })?;
        offer.warnings.extend(revoked);
        let (subject, issuer) = match offer.orders.as_slice() {
            [(_, Require::Specified { subject, issuer, .. })] => (subject.clone(), issuer.clone()),
            _ => Default::default(),
        };
        let certificate = match accounts {
            [one] => file(one).filter(|_| valid(one).is_some()),
            _ => None,
        };
        Ok(Offer {
            statement: offer.written.sql(),
            undo: offer.undo.sql(),
            subject,
            issuer,
            certificate,
            explain: offer.explain,
            warnings: offer.warnings,
            orders: offer.orders,
        })
    }

    fn plan_accounts(
        &self,
        exam: &Examination,
        orders: &[(AccountName, Require)],
        form: StatementForm,
    ) -> Result<Plan, NotPlanned> {
        let plan = accounts::plan_as(&exam.facts, orders, written_as(form))
            .map_err(|error| error.to_string())?;
        let mut warnings = plan.forecast.warnings();
        warnings.extend(plan.warnings.iter().cloned());
        let title = match plan.changes.as_slice() {
            [one] => match one.after.require() {
                Some(require) => format!("{} REQUIRE {}", one.name, require.describe()),
                None => plan.title.clone(),
            },
            _ => plan.title.clone(),
        };
        Ok(Plan {
            title,
            session: Some(plan.session.clone()),
            warnings,
            asked_again: plan.danger().map(|Danger::OwnSession| "lockout"),
            accounts: Some(Arc::new(plan)),
            ..Plan::default()
        })
    }

    fn apply(
        &self,
        target: &Target,
        plan: &Plan,
        told: &mut dyn FnMut(&str),
    ) -> Result<Applied, (Applied, String)> {
        if let Some(accounts) = &plan.accounts {
            return self.apply_to_accounts(plan, accounts, told);
        }
        // Before anything is done: should this program be killed, what it came to can be taken back.
        let noting = self.journal.as_ref().and_then(|file| {
            let begun = Noting::begin(file, plan, target.display(), plan.server.clone());
            let failed =
                |error| told(&format!("this change cannot be noted in the journal: {error}"));
            begun.map_err(failed).ok()
        });
        let mut result = apply::run_noted(plan, self.restart.as_deref(), noting.as_ref(), told);
        let whole = result.is_ok();
        let applied = match &mut result {
            Ok(applied) => applied,
            Err(failed) => &mut failed.0,
        };
        if let Some(noting) = noting {
            if let Err(error) = noting.end(applied, whole) {
                told(&format!("how this ended could not be noted in the journal: {error}"));
            }
            if !self.throwaway && !applied.undo.is_empty() {
                applied.done.push(format!("noted in the journal: mytls undo {}", noting.id()));
            }
        }
        if let (Ok(_), Some(ca)) = (&result, &plan.trust) {
            *self.trust.lock().unwrap_or_else(PoisonError::into_inner) = Some(ca.clone());
        }
        result.map_err(|failed| (failed.0, failed.1.to_string()))
    }

    fn can_restart(&self) -> bool {
        self.restart.is_some()
    }

    fn prove(
        &self,
        exam: &Examination,
        account: &AccountName,
        password: &Secret,
        cancel: &Cancel,
        told: &mut dyn FnMut(ProofRow),
    ) -> Result<Proof, String> {
        let facts = &exam.facts;
        // What it requires now, not when somebody looked last.
        let accounts = fresh_accounts(exam)?;
        let known = accounts.iter().find(|known| known.name == *account);
        let known = known.ok_or_else(|| format!("there is no account {account} any more"))?;
        let file = |name| {
            client_file(&facts.target, account, name)
                .ok_or_else(|| format!("{account} has no certificate here yet; c makes one"))
        };
        let identity = ClientIdentity::load(&file("client-cert.pem")?, &file("client-key.pem")?)
            .map_err(|error| error.to_string())?;
        let shown = identity.chain.first().map(|x509| Certificate::from_openssl(x509));
        if let Some(revoked) = shown.and_then(|shown| revoked(facts, &shown)) {
            return Err(revoked);
        }
        let ca = signing_ca(&facts.target, &identity);
        let subject = Subject::of(facts, known, Some(password), identity, ca)?;
        let mut witness = Witness::open(facts, Plan::session_of(facts).as_ref());
        let mut told = |row: &Row| told(proof_row(row));
        let matrix = prove::matrix(&subject, &mut witness, &mut told, &|| cancel.is_cancelled());
        Ok(Proof {
            account: matrix.account.clone(),
            against: matrix.against.clone(),
            rows: matrix.rows.iter().map(proof_row).collect(),
            seconds: matrix.seconds,
            heard: matrix.heard_in.clone().ok_or(matrix.unheard.clone().unwrap_or_default()),
            corrected: matrix.corrected.clone(),
        })
    }

    fn locked_key(&self, exam: &Examination, account: &AccountName) -> Option<bool> {
        kept::locked_key(&exam.facts.target, account)
    }

    fn client_files(
        &self,
        exam: &Examination,
        account: &AccountName,
    ) -> Option<(PathBuf, PathBuf)> {
        let file = |name| client_file(&exam.facts.target, account, name);
        Some((file("client-cert.pem")?, file("client-key.pem")?))
    }

    fn why_denied(
        &self,
        exam: &Examination,
        account: &AccountName,
        login: &ClientLogin,
    ) -> Result<Denial, String> {
        why::denied(&exam.facts, account, login)
    }

    fn scan(
        &self,
        exam: &Examination,
        cancel: &Cancel,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<Scan, String> {
        offers::scan(&exam.facts, cancel, told)
    }

    fn known_password(&self, account: &AccountName) -> Option<Secret> {
        let known = self.passwords.iter().find(|(name, _)| name == account);
        known.map(|(_, password)| password.clone())
    }

    fn report(
        &self,
        exam: &Examination,
        done: &[Applied],
        proofs: &[Proof],
        form: report::Form,
    ) -> String {
        let by = host::who();
        let record = Record {
            changes: done.iter().map(|applied| Deed::of_walk(applied, &by)).collect(),
            proofs: proofs.iter().map(proof_words).collect(),
            left: done.iter().flat_map(|applied| applied.left.clone()).collect(),
            throwaway: self.throwaway,
            by,
        };
        // strings, numbers and lists can always be written
        form.write(exam, &record).unwrap_or_default()
    }

    fn suggest_target(&self) -> Target {
        self.suggested.clone()
    }
}

fn written_as(form: StatementForm) -> statement::Form {
    match form {
        StatementForm::Alter => statement::Form::Alter,
        StatementForm::Grant => statement::Form::Grant,
    }
}

fn has_own_ca(target: &Target) -> bool {
    target.ca_dir.as_deref().is_some_and(Store::exists)
}

/// The server presents a certificate, and nothing about it or its chain is broken.
fn tls_is_healthy(exam: &Examination) -> bool {
    let well = |step: &Step| exam.verdict(*step) < Verdict::Warning;
    exam.facts.handshake().is_some() && [Step::Key, Step::Chain].iter().all(well)
}

/// The accounts as they are at this moment.
fn fresh_accounts(exam: &Examination) -> Result<Vec<crate::facts::Account>, String> {
    let (target, route) =
        Plan::session_of(&exam.facts).ok_or("there is no session with the server")?;
    let mut conn = session::open(&target, &route).map_err(|error| error.to_string())?;
    let over = match route {
        session::Route::Socket(_) => crate::facts::Transport::Socket,
        session::Route::Tcp { .. } => crate::facts::Transport::Tcp,
    };
    let server =
        crate::facts::server::read(&mut conn, over).map_err(|error| session::words(&error))?;
    match server.accounts {
        crate::facts::Source::Read(accounts) => Ok(accounts),
        crate::facts::Source::Unread(unread) => Err(unread.why),
    }
}

fn proof_row(row: &Row) -> ProofRow {
    ProofRow {
        case: row.case.title().to_owned(),
        expected_in: row.expected == Expected::LetIn,
        happened: row.happened.title().to_owned(),
        holds: row.was_tried().then(|| row.holds()),
        detail: row.note(),
        reason: row.reason.clone().filter(|_| row.was_tried()),
    }
}

/// The matrix as the report has it.
fn proof_words(proof: &Proof) -> record::Proof {
    let login = |row: &ProofRow| record::Login {
        with: row.case.clone(),
        must: if row.expected_in { "let in" } else { "refused" }.to_owned(),
        was: row.happened.clone(),
        holds: row.holds,
        note: row.detail.clone(),
        server_said: row.reason.as_ref().map_or_else(Vec::new, |reason| reason.lines.clone()),
    };
    let account = proof.account.to_string();
    record::Proof {
        require: String::new(),
        against: proof.against.clone(),
        rows: proof.rows.iter().map(login).collect(),
        summary: match (proof.broken(), proof.holds()) {
            (Some(broken), _) => broken,
            (None, true) => format!("Proved: every login to {account} came out as it must."),
            (None, false) => format!("Not proved: not every login to {account} was tried."),
        },
        proved: proof.holds(),
        account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::wire::TlsOffer;

    #[test]
    fn a_certificate_for_an_account_leaves_a_healthy_server_its_own() {
        let names =
            |exam: &Examination, user| Live::default().authority_form(exam, user).server_names;
        let healthy = Examination::judge(testing::healthy());
        assert_eq!(names(&healthy, Some("app")), "");
        assert!(names(&healthy, None).contains("db1.example"), "asked for on purpose");
        let mut facts = testing::healthy();
        let crate::facts::Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::NotOffered;
        assert!(names(&Examination::judge(facts), Some("app")).contains("db1.example"));
    }

    #[test]
    fn the_report_of_a_sandbox_takes_nothing_back() {
        let done = Applied {
            done: vec!["wrote /tmp/x/my.cnf".into()],
            undo: vec!["mv /tmp/x/my.cnf.1 /tmp/x/my.cnf".into()],
            ..Applied::default()
        };
        let exam = Examination::judge(testing::healthy());
        let mut live = Live::default();
        let done = [done];
        assert!(live.report(&exam, &done, &[], report::Form::Html).contains("mv /tmp"));
        live.throwaway = true;
        let report = live.report(&exam, &done, &[], report::Form::Html);
        assert!(report.contains("the server was a sandbox") && !report.contains("mv /tmp"));
    }
}
