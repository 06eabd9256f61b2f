//! Does each account REQUIRE what it should?

pub mod issuer_not_trusted;
pub mod without_require;
