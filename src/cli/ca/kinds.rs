//! Which keys are of use to the server that a command is for: the one that is asked, or the one named
//! by family and version.

use clap::ValueEnum as _;

use crate::ca::{KeyForm, KeyKind};
use crate::cli::Failure;
use crate::cli::target::TargetArgs;
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Facts, Version};
use crate::remedy::certificates;
use crate::remedy::key_kinds::{KeyKinds, Product, key_kinds};

/// What is known of that server.
pub struct Asked {
    /// What it said, where one was named to be asked.
    pub facts: Option<Facts>,
    pub kinds: KeyKinds,
    pub form: KeyForm,
    /// What counts, where two words differ; else empty.
    pub note: String,
}

impl Asked {
    pub fn of(target: &TargetArgs, product: Option<Product>) -> Result<Self, Failure> {
        let target = target.is_given().then(|| target.resolve()).transpose()?;
        let facts = target.map(|target| gather(&target, &Cancel::default(), &mut |_| ()));
        let (kinds, form) = match (&facts, product) {
            (_, Some(product)) => (product.key_kinds(), product.key_form()),
            (Some(facts), None) => (key_kinds(facts), certificates::key_form(facts)),
            (None, None) => {
                let kinds = KeyKind::value_variants().to_vec();
                (KeyKinds { kinds, why: "" }, KeyForm::default())
            }
        };
        let note = match (&facts, product) {
            (Some(facts), Some(product)) => differs(product, facts),
            _ => String::new(),
        };
        Ok(Self { facts, kinds, form, note })
    }
}

/// What counts where --for says something else than the server.
fn differs(product: Product, facts: &Facts) -> String {
    let Some(server) = facts.server.read() else { return String::new() };
    let (Version(major, minor, _), Version(for_major, for_minor, _)) =
        (server.version, product.version);
    if (product.flavor, for_major, for_minor) == (server.flavor, major, minor) {
        return String::new();
    }
    format!(
        "--for counts: the key is for {} {for_major}.{for_minor}, though the server that was asked \
         is {} {major}.{minor}; leave --for out to go by the server\n",
        product.flavor.name(),
        server.flavor.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn the_product_named_counts_and_says_so_where_the_server_is_another() {
        let facts = testing::healthy();
        let said = |text: &str| differs(text.parse().unwrap(), &facts);
        let server = facts.server.read().unwrap();
        let Version(major, minor, _) = server.version;
        let own = format!("{}-{major}.{minor}", server.flavor.name());
        assert_eq!(said(&own), "");
        let note = said("mysql-5.6");
        assert!(note.starts_with("--for counts: the key is for MySQL 5.6, though"), "{note}");
    }
}
