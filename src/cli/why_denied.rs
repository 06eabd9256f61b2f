//! `mytls why-denied`: why an account cannot log in.

use std::process::ExitCode;

use clap::Args;

use super::account_login::{LoginArgs, stopped};
use super::check::Format;
use super::target::TargetArgs;
use super::{FINDINGS, Failure, NOT_EXAMINED, print};
use crate::apply::Plan;
use crate::facts::AccountName;
use crate::facts::gather::{Cancel, gather};
use crate::printable::printable_json;
use crate::prove::Witness;
use crate::prove::why::{self, Who};
use crate::wire::Endpoint;

/// Say why an account cannot log in
///
/// Makes the one login that its client makes, reads in the server's log why it was refused, compares
/// what the account asks for with what was shown, and says which of them it is and what mends it.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    mut_arg("user", |login| login.long(None)),
    after_help = "Examples:\n  mytls why-denied --user app --cert client.pem --key client.key -h db1 --ssl-ca ca.pem\n  \
    MYTLS_ACCOUNT_PASSWORD=… mytls why-denied --user app@10.0.% --cert client.pem -h db1\n\n\
    -u, -p and --defaults-file are an administrator's, who may read accounts and the log; without,\n\
    what the server lets out to anybody is judged. Without a key nothing is tried with the certificate.\n\
    Exit status: 0 it is let in, 1 a reason was found, 2 bad usage, 3 none was found."
)]
pub struct WhyDeniedArgs {
    /// Whose login: a user, or the account that is meant as user@host
    #[arg(id = "account", long = "user", value_name = "USER", required = true)]
    account: String,
    #[command(flatten)]
    login: LoginArgs,
    /// As a client that uses no TLS
    #[arg(long, conflicts_with_all = ["cert", "key"])]
    no_tls: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &WhyDeniedArgs) -> Result<ExitCode, Failure> {
    let name: AccountName =
        args.account.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let (identity, looked_at) = args.login.shown()?;
    let password = args.login.password()?;
    let who = Who {
        user: name.user.clone(),
        account: args.account.contains('@').then_some(name),
        password: password.as_ref(),
        tls: !args.no_tls,
        identity,
        looked_at,
    };
    // one login is soon over: whoever wants it to end waits for that, and the server is put back
    let _stopped = stopped()?;
    let facts = gather(&args.target.resolve()?, &Cancel::default(), &mut |_| ());
    let endpoint = Endpoint { bind: args.login.bind_address, ..why::endpoint(&facts) };
    let mut witness = Witness::open(&facts, Plan::session_of(&facts).as_ref());
    let attempt = why::try_login(&facts, &who, &endpoint, &mut witness);
    drop(witness);
    let attempt = attempt.map_err(Failure::not_examined)?;
    let denial = why::examine(&facts, &attempt);
    match args.format {
        Format::Text => print(&denial.text())?,
        Format::Json => {
            let object = serde_json::to_string_pretty(&denial).map_err(|error| {
                Failure::not_examined(format!("the answer cannot be written: {error}"))
            })?;
            print(&format!("{}\n", printable_json(&object)))?;
        }
    }
    Ok(ExitCode::from(match (denial.let_in, denial.causes.is_empty()) {
        (true, _) => 0,
        (false, false) => FINDINGS,
        (false, true) => NOT_EXAMINED,
    }))
}
