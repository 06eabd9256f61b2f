//! `mytls man` and `mytls completions`: written from the definition that reads the arguments.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, print};

/// Print the manual page of mytls, or of one of its commands
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls man | man -l -\n  mytls man ca create > mytls-ca-create.1"
)]
pub struct ManArgs {
    /// Of which command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Print what lets a shell complete the commands and options
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls completions bash > /etc/bash_completion.d/mytls\n  \
                  mytls completions zsh > ~/.zfunc/_mytls"
)]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut name = command.get_name().to_owned();
    for word in &args.command {
        let shown = crate::printable::printable(word);
        let found = command.find_subcommand(word).cloned().ok_or_else(|| {
            Failure::usage(format!("{name} has no command {shown}; mytls --help lists them"))
        })?;
        name = format!("{name} {}", found.get_name());
        command = found;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::not_examined(format!("the page cannot be written: {error}")))?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}

pub fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mytls", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
