//! Does each account REQUIRE what it should?

pub mod without_require;
