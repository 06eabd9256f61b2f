//! Numbers and names of suites, groups and signature schemes: data, from IANA's registries.

use std::sync::LazyLock;

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub number: u16,
    pub iana: &'static str,
    /// As servers and clients spell it in `ssl_cipher`.
    pub openssl: Option<&'static str>,
}

impl Suite {
    /// Of TLS 1.3, which shares no suites with those before it.
    pub fn is_modern(&self) -> bool {
        matches!(self.number, 0x1301..=0x1307 | 0x00c6 | 0x00c7 | 0xc0b4 | 0xc0b5)
    }
}

static SUITES: LazyLock<Vec<Suite>> = LazyLock::new(|| {
    let lines = include_str!("../../assets/scan/suites.txt").lines();
    let words = lines.filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split(' ');
        let number = u16::from_str_radix(words.next()?, 16).ok()?;
        let (iana, openssl) = (words.next()?, words.next()?);
        Some(Suite { number, iana, openssl: Some(openssl).filter(|name| *name != "-") })
    });
    words.collect()
});

/// All, those that OpenSSL knows first, in its order of preference.
pub fn suites() -> &'static [Suite] {
    &SUITES
}

pub fn suite(number: u16) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.number == number)
}

/// What is wrong with a suite, in words, and whether it is broken altogether; `None`: nothing.
pub fn weakness(iana: &str) -> Option<(&'static str, bool)> {
    let has = |part: &str| iana.contains(part);
    let single_des = has("_DES_") || has("DES40") || has("RC2");
    Some(match () {
        () if has("_NULL_") => ("no encryption", true),
        () if has("anon") => ("nobody proves who he is", true),
        () if has("EXPORT") => ("keys cut to 40 or 56 bits", true),
        () if has("RC4") => ("RC4", true),
        () if single_des => ("DES", true),
        () if has("_MD5") => ("MD5", true),
        () if has("3DES") => ("3DES", false),
        () if !has("_WITH_") => return None,
        () if !has("DHE_") => ("no forward secrecy", false),
        () if has("_CBC_") => ("CBC", false),
        () => return None,
    })
}

#[cfg(test)]
/// By IANA's name or OpenSSL's.
pub fn suite_named(name: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.openssl == Some(name) || suite.iana == name)
}

/// OpenSSL's name, which `ssl_cipher` takes; IANA's where there is none.
pub fn suite_name(number: u16) -> String {
    suite(number).map_or_else(
        || format!("0x{number:04X}"),
        |suite| suite.openssl.unwrap_or(suite.iana).to_owned(),
    )
}

/// IANA, TLS Supported Groups; number and name.
const GROUPS: [(u16, &str); 47] = [
    (0x11ec, "X25519MLKEM768"),
    (0x001d, "X25519"),
    (0x0017, "P-256"),
    (0x001e, "X448"),
    (0x0019, "P-521"),
    (0x0018, "P-384"),
    (0x0100, "ffdhe2048"),
    (0x0101, "ffdhe3072"),
    (0x0102, "ffdhe4096"),
    (0x0103, "ffdhe6144"),
    (0x0104, "ffdhe8192"),
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
    (0x0200, "MLKEM512"),
    (0x0201, "MLKEM768"),
    (0x0202, "MLKEM1024"),
    (0x6399, "X25519Kyber768Draft00"),
    (0x639a, "SecP256r1Kyber768Draft00"),
    (0x001f, "brainpoolP256r1tls13"),
    (0x0020, "brainpoolP384r1tls13"),
    (0x0021, "brainpoolP512r1tls13"),
    (0x0029, "curveSM2"),
    (0x001a, "brainpoolP256r1"),
    (0x001b, "brainpoolP384r1"),
    (0x001c, "brainpoolP512r1"),
    (0x0016, "secp256k1"),
    (0x0015, "P-224"),
    (0x0014, "secp224k1"),
    (0x0013, "P-192"),
    (0x0012, "secp192k1"),
    (0x0011, "secp160r2"),
    (0x0010, "secp160r1"),
    (0x000f, "secp160k1"),
    (0x000e, "sect571r1"),
    (0x000d, "sect571k1"),
    (0x000c, "sect409r1"),
    (0x000b, "sect409k1"),
    (0x000a, "sect283r1"),
    (0x0009, "sect283k1"),
    (0x0008, "sect239k1"),
    (0x0007, "sect233r1"),
    (0x0006, "sect233k1"),
    (0x0005, "sect193r2"),
    (0x0004, "sect193r1"),
    (0x0003, "sect163r2"),
    (0x0002, "sect163r1"),
    (0x0001, "sect163k1"),
];

/// Every group, the likely ones first.
pub fn groups() -> Vec<u16> {
    GROUPS.iter().map(|(number, _)| *number).collect()
}

pub fn group_name(number: u16) -> String {
    let known = GROUPS.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("0x{number:04X}"), |(_, name)| (*name).to_owned())
}

/// Whether it withstands a quantum computer: ML-KEM is in it.
pub fn is_post_quantum(name: &str) -> bool {
    name.contains("MLKEM") || name.contains("Kyber")
}

/// IANA, TLS SignatureScheme.
pub fn signature_name(number: u16) -> String {
    let name = match number {
        0x0403 => "ecdsa_secp256r1_sha256",
        0x0503 => "ecdsa_secp384r1_sha384",
        0x0603 => "ecdsa_secp521r1_sha512",
        0x0807 => "ed25519",
        0x0808 => "ed448",
        0x0804 => "rsa_pss_rsae_sha256",
        0x0805 => "rsa_pss_rsae_sha384",
        0x0806 => "rsa_pss_rsae_sha512",
        0x0809 => "rsa_pss_pss_sha256",
        0x080a => "rsa_pss_pss_sha384",
        0x080b => "rsa_pss_pss_sha512",
        0x0401 => "rsa_pkcs1_sha256",
        0x0501 => "rsa_pkcs1_sha384",
        0x0601 => "rsa_pkcs1_sha512",
        0x0904 => "mldsa44",
        0x0905 => "mldsa65",
        0x0906 => "mldsa87",
        0x0303 => "ecdsa_sha224",
        0x0301 => "rsa_pkcs1_sha224",
        0x0203 => "ecdsa_sha1",
        0x0201 => "rsa_pkcs1_sha1",
        0x0202 => "dsa_sha1",
        0x0402 => "dsa_sha256",
        _ => return format!("0x{number:04X}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_weak_is_told_from_what_is_broken() {
        for (suite, expected) in [
            ("TLS_AES_256_GCM_SHA384", None),
            ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", None),
            ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Some(("CBC", false))),
            ("TLS_RSA_WITH_AES_256_GCM_SHA384", Some(("no forward secrecy", false))),
            ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", Some(("3DES", false))),
            ("TLS_RSA_WITH_DES_CBC_SHA", Some(("DES", true))),
            ("TLS_ECDHE_RSA_WITH_NULL_SHA", Some(("no encryption", true))),
        ] {
            assert_eq!(weakness(suite), expected, "{suite}");
        }
    }

    #[test]
    fn every_suite_is_there_once_and_found_by_either_name() {
        let mut numbers: Vec<u16> = suites().iter().map(|suite| suite.number).collect();
        assert!(numbers.len() > 350, "{}", numbers.len());
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|two| two[0] != two[1]));
        let suite = suite_named("ECDHE-RSA-AES256-GCM-SHA384").unwrap();
        assert_eq!((suite.number, suite.iana), (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"));
        assert!(!suite.is_modern() && suite_named("TLS_AES_128_CCM_SHA256").unwrap().is_modern());
    }
}
