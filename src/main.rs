//! Arguments, run, exit status: nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    mytls::cli::main()
}
