//! Whether somebody in the middle would be noticed, for each kind of client.

use super::result::TlsScan;
use crate::ca::pack::driver;

/// Sentences: what a client needs for it, whether this server lets it, and what drivers do when nothing is said.
pub fn noticed(tls: &TlsScan) -> Vec<String> {
    let shaken = tls.handshake.as_ref();
    let given = shaken.and_then(|shaken| shaken.faults.as_ref());
    let holds =
        given.is_some_and(Vec::is_empty) || tls.system_faults.as_ref().is_some_and(Vec::is_empty);
    let named = shaken.is_some_and(|shaken| shaken.name_matches);
    let lets = match (holds, named, given) {
        (true, true, _) => "this server lets them",
        (true, false, _) => "this certificate is for another name, so they would refuse it",
        (false, _, Some(_)) => {
            "this chain does not hold under the CA given, so they would refuse it"
        }
        (false, _, None) => "give the CA with --ssl-ca to see whether this server lets them",
    };
    let (mut plain, mut blind) = (Vec::new(), Vec::new());
    for driver in driver::all() {
        let known = if driver.by_default.starts_with("no TLS") { &mut plain } else { &mut blind };
        known.push(driver.name);
    }
    vec![
        format!("noticed by clients that verify CA and name (docs/clients.md); {lets}"),
        format!("by default without TLS at all: {}", plain.join(", ")),
        // from 11.4 on the client of MariaDB compares what the password stands for
        format!(
            "by default encrypted to whoever answers (mariadb before 11.4): {}",
            blind.join(", ")
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Handshake;

    #[test]
    fn it_hangs_on_the_chain_and_the_name_and_every_driver_is_named_once() {
        let tls = |faults, name_matches| TlsScan {
            handshake: Some(Handshake { faults, name_matches, ..Handshake::default() }),
            ..TlsScan::default()
        };
        assert!(noticed(&tls(Some(Vec::new()), true))[0].ends_with("this server lets them"));
        assert!(noticed(&tls(Some(Vec::new()), false))[0].contains("another name"));
        let unknown = noticed(&tls(None, true));
        assert!(unknown[0].contains("--ssl-ca"), "{unknown:?}");
        for driver in driver::all() {
            let named = |line: &&String| {
                line.rsplit(": ").next().unwrap().split(", ").any(|name| name == driver.name)
            };
            assert_eq!(unknown.iter().filter(named).count(), 1, "{}", driver.name);
        }
    }
}
