//! Is the server there at all?

pub mod config_refused;
pub mod not_running;
pub mod option_in_other_group;
pub mod tls_options_refused;
