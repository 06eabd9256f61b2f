//! Is the server there at all?

pub mod not_running;
