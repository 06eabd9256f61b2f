//! What the server at hand lets the wizard offer, and which account a line is about.

use super::engine::StatementForm;
use super::state::State;
use crate::facts::AccountName;
use crate::printable::printable;
use crate::remedy::statement::{Dialect, Form};

impl State {
    /// The forms of a statement that this server knows, of the two there are.
    fn forms(&self) -> Vec<StatementForm> {
        let server = self.exam.as_ref().and_then(|exam| exam.facts.server.read());
        let known = server.map_or(&[][..], |server| Dialect::of(server).forms());
        let form = |form: &Form| match form {
            Form::Alter => Some(StatementForm::Alter),
            Form::Grant => Some(StatementForm::Grant),
            Form::Create => None,
        };
        known.iter().filter_map(form).collect()
    }

    pub fn knows_both_forms(&self) -> bool {
        self.forms().len() > 1
    }

    /// The form that was chosen, where the server knows it.
    pub fn form_in_effect(&self) -> StatementForm {
        let known = self.forms();
        let first = known.first().copied().unwrap_or_default();
        if known.contains(&self.statement_form) { self.statement_form } else { first }
    }

    /// The account that the finding under the cursor begins with.
    pub fn account_of_finding(&self) -> Option<AccountName> {
        let title = &self.selected_finding()?.title;
        let named = |name: &AccountName| {
            // a user's name may be the beginning of another's
            title.starts_with(&*printable(&name.user)) && title.starts_with(&format!("{name} "))
        };
        self.accounts().iter().map(|account| &account.name).find(|name| named(name)).cloned()
    }
}
