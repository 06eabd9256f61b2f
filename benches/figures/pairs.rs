//! A folder of a thousand keys and certificates: which belong together, by mytls and by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};

use crate::{Figure, MYTLS, RUNS, table, timed};

const PAIRS: usize = 1000;
/// Half of them are RSA, and making such a key takes a tenth of a second and more: so many different
/// ones there are, each in several pairs. To whoever compares them this makes no difference.
const RSA_KEYS: usize = 20;
/// So many pairs the loop is given; a thousand would take it half a minute a run.
const BY_HAND: usize = 100;
const RUNS_BY_HAND: usize = 5;

/// The DBA's loop: the two sums of each pair, side by side. Of EC keys it says nothing of use, since
/// they have no modulus: two sums of nothing, which are equal.
const LOOP: &str = r#"
for certificate in "$1"/*-cert.pem; do
    key=${certificate%-cert.pem}-key.pem
    one=$(openssl x509 -noout -modulus -in "$certificate" 2>&1 | openssl md5)
    other=$(openssl rsa -noout -modulus -in "$key" 2>&1 | openssl md5)
    [ "$one" = "$other" ] || echo "$certificate: $key does not belong to it"
done
"#;

pub fn measure() {
    let folder = std::env::temp_dir().join("pairs");
    make(&folder.join("all"), PAIRS);
    make(&folder.join("some"), BY_HAND);
    let check = || {
        let mut command = Command::new(MYTLS);
        command.arg("check").arg("--files").arg(folder.join("all"));
        command
    };
    let by_hand = || {
        let mut command = Command::new("sh");
        command.args(["-c", LOOP, "sh"]).arg(folder.join("some"));
        command
    };
    let said = check().output().expect("mytls was built before this ran").stdout;
    let said = String::from_utf8_lossy(&said);
    let wanted = format!("{} files, {PAIRS} pairs, 0 problems", 2 * PAIRS);
    assert_eq!(said.lines().last(), Some(wanted.as_str()));
    timed(by_hand()); // both warm

    let mut times = [const { Vec::new() }; 2];
    for run in 0..RUNS {
        times[0].push(timed(check()));
        if run < RUNS_BY_HAND {
            let scale = f64::from(u32::try_from(PAIRS / BY_HAND).expect("a small number"));
            times[1].push(timed(by_hand()) * scale);
        }
    }
    let [check, by_hand] = times.map(Figure::of);
    table(
        &format!("{PAIRS} pairs of keys and certificates in a folder, half RSA 2048, half P-256"),
        "ms",
        &[
            ("mytls check --files", check, None),
            (
                &format!("openssl in a loop ({BY_HAND} pairs, times {})", PAIRS / BY_HAND),
                by_hand,
                Some(check),
            ),
        ],
    );
    println!("mytls is {:.0} times as fast as the loop", by_hand.median / check.median);
}

/// Pairs named `db0001-cert.pem` and `db0001-key.pem`.
fn make(folder: &Path, pairs: usize) {
    fs::create_dir_all(folder).expect("TMPDIR is there and writable");
    let rsa: Vec<PKey<Private>> = (0..RSA_KEYS.min(pairs))
        .map(|_| PKey::from_rsa(Rsa::generate(2048).expect("OpenSSL makes keys")).expect("as well"))
        .collect();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL knows it");
    for at in 0..pairs {
        let key = if at % 2 == 0 {
            rsa[at / 2 % rsa.len()].clone()
        } else {
            let key = EcKey::generate(&group).expect("OpenSSL makes keys");
            PKey::from_ec_key(key).expect("as well")
        };
        let name = |end: &str| -> PathBuf { folder.join(format!("db{at:04}-{end}.pem")) };
        let certificate = certificate(&format!("db{at:04}.example"), &key);
        let pem = certificate.and_then(|certificate| certificate.to_pem());
        fs::write(name("cert"), pem.expect("it is sound")).expect("there is room");
        let pem = key.private_key_to_pem_pkcs8().expect("it is sound");
        fs::write(name("key"), pem).expect("there is room");
    }
}

fn certificate(host: &str, key: &PKey<Private>) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, host)?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    let (from, to) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(90)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
