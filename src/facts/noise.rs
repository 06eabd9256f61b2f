//! Noise for property tests: the same every time, from a seed.

/// xorshift64*: no cryptography, only variety.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.number() >> 33) % end as u64).expect("fits: it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[2]
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }

    /// The bytes with a few of them changed, cut out, doubled or moved.
    pub fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let to = at + self.below((bytes.len() - at).min(40) + 1);
            match self.below(5) {
                0 => bytes[at] = self.byte(),
                1 => drop(bytes.drain(at..to)),
                2 => bytes.truncate(at),
                3 => bytes.splice(at..at, whole[..to.min(whole.len())].to_vec()).for_each(drop),
                _ => bytes.insert(at, [0, 0xff, 0x80, b'-', b'\n', 0x1b][self.below(6)]),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Noise;
    use crate::facts::{ServerConfig, Version, config, files, log, trust};
    use crate::printable::printable;
    use crate::x509::{Certificate, Name, OneLine, der, pem, testing};

    /// Broken inputs for each parser.
    const CASES: u64 = 3000;

    /// For a megabyte of anything, on a machine that has other things to do and without any
    /// optimisation.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Nothing that a terminal obeys.
    fn assert_tame(text: &str) {
        let wild = |c: char| {
            c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.chars().any(wild), "{text:?}");
    }

    #[test]
    fn pem_and_der_in_any_state_are_read_or_refused() {
        let identity = testing::root("Noise").issue_server("db1.example");
        let certificate = identity.certificate.to_pem().unwrap();
        let key = identity.key.private_key_to_pem_pkcs8().unwrap();
        let whole = identity.certificate.to_der().unwrap();
        for case in 0..CASES {
            let mut noise = Noise::new(case);
            for base in [&certificate, &key, &whole] {
                let bytes = noise.damage(base);
                if let Err(defect) = pem::certificates(&bytes) {
                    assert_tame(&defect.to_string());
                }
                if let Err(defect) = pem::private_key(&bytes) {
                    assert_tame(&defect.to_string());
                }
                if let Ok(x509) = openssl::x509::X509::from_der(&bytes) {
                    let read = Certificate::from_openssl(&x509);
                    assert_tame(&read.subject.display());
                    for library in [OneLine::OpenSsl3, OneLine::OpenSsl1] {
                        assert_tame(&read.subject.oneline(library));
                    }
                }
                assert!(der::elements(&bytes).count() <= bytes.len());
                let _ = der::extension(&bytes, &[0x55, 0x1d, 0x13]);
            }
            let bytes = noise.bytes(200);
            let _ = (pem::certificates(&bytes), pem::private_key(&bytes));
            assert!(der::elements(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn revocation_lists_in_any_state_are_read_or_passed_over() {
        let whole = include_bytes!("noise-crl.pem");
        assert_eq!(trust::crls(whole).len(), 1);
        let two = [&whole[..100], b"\n", whole].concat();
        assert_eq!(trust::crls(&two).len(), 1, "the one that is not cut off");
        for case in 0..CASES {
            let mut noise = Noise::new(case);
            for crl in trust::crls(&noise.damage(whole)) {
                assert_tame(&crl.issuer.display());
            }
            assert_eq!(trust::crls(&noise.bytes(200)), []);
        }
    }

    /// What is found in them does not matter here, only that there is an end.
    #[test]
    fn the_worst_megabyte_takes_no_time() {
        const SIZE: usize = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let fill = |piece: &str| piece.repeat(SIZE / piece.len()).into_bytes();
        let identity = testing::root("Same");
        let certificate = String::from_utf8(identity.certificate.to_pem().unwrap()).unwrap();
        let option_lines = |line: &str| [b"[mysqld]\n", &fill(line)[16..]].concat();
        let persisted: Vec<String> =
            (0..SIZE / 24).map(|n| format!("\"v{n}\":{{\"Value\":\"1\"}},")).collect();
        let persisted = persisted.concat();
        let persisted = format!("{{\"mysql_dynamic_variables\":{{{persisted}\"x\":1}}}}");
        let deep_json = [fill("{\"mysql_a\":").as_slice(), b"1"].concat();
        let worst: [(&str, Vec<u8>); 14] = [
            ("begins", fill("-----BEGIN CERTIFICATE-----\n")),
            ("begins of lists", fill("-----BEGIN X509 CRL-----\n")),
            ("ends of lists", fill("-----END X509 CRL-----\n")),
            (
                "one block",
                [
                    b"-----BEGIN CERTIFICATE-----\n",
                    &fill("MIIB\n")[..],
                    b"-----END CERTIFICATE-----\n",
                ]
                .concat(),
            ),
            ("certificates", fill(&certificate)),
            ("nested", fill("\x30\x7f")),
            ("zeros", vec![0; SIZE]),
            ("line ends", vec![b'\n'; SIZE]),
            ("one line", option_lines("a")),
            ("escapes", option_lines("\\\"")),
            ("options", option_lines("ssl_key=1\nssl_key=2\n")),
            ("groups", fill("[mysqld]\n")),
            ("persisted", persisted.into_bytes()),
            ("deep", deep_json),
        ];
        for (name, bytes) in worst {
            let bytes = &bytes[..bytes.len().min(SIZE)];
            let started = Instant::now();
            let _ = pem::private_key(bytes);
            let x509s = pem::certificates(bytes).unwrap_or_default();
            let _ = (trust::crls(bytes), crate::x509::chain::signers(&x509s));
            let path = folder.path().join("file");
            std::fs::write(&path, bytes).unwrap();
            let _ = config::read(Some(&path), None).map(|config| config.lost.len() <= 100);
            let _ = (log::read(&path), log::version(&path), files::bytes(&path));
            std::fs::rename(&path, folder.path().join("mysqld-auto.cnf")).unwrap();
            let mut config = ServerConfig::default();
            config::read_persisted(folder.path(), &mut config);
            assert!(config.persisted.len() <= 2000, "{name}");
            let _ = serde_json::from_slice::<crate::facts::Facts>(bytes);
            assert!(der::elements(bytes).count() <= SIZE);
            assert!(started.elapsed() < PATIENCE, "{name}: {:?}", started.elapsed());
            eprintln!("{name}: {:?}", started.elapsed());
        }
    }

    #[test]
    fn thousands_of_certificates_of_one_name_are_not_all_tried() {
        let same: Vec<_> = (0..200).map(|_| testing::root("Same").certificate).collect();
        let started = Instant::now();
        let signers = crate::x509::chain::signers(&same);
        assert!(signers.iter().all(Option::is_none));
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    }

    #[test]
    fn what_people_type_and_paste_is_read_or_refused() {
        let bases = [
            "ERROR 2026 (HY000): SSL connection error: error:0A000086:SSL routines::certificate",
            "[fe80::1%eth0]:3306",
            "db1.example:3306",
            "DNS:*.example.com",
            "10.0.0.1",
            "10.11.19-MariaDB-deb12",
        ];
        for case in 0..CASES {
            let mut noise = Noise::new(case);
            for base in bases {
                let text = String::from_utf8_lossy(&noise.damage(base.as_bytes())).into_owned();
                let _ = Version::parse(&text);
                if let Err(error) = text.parse::<crate::wire::Endpoint>() {
                    assert_tame(&error.to_string());
                }
                if let Err(error) = text.parse::<crate::ca::San>() {
                    assert_tame(&error.to_string());
                }
            }
        }
    }

    #[test]
    fn option_files_of_any_bytes_are_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        let base = b"[mysqld]\nssl-ca = \"/a b\"\n!includedir /no/such\n[mysqld-8.0]\nssl_key=/k\n";
        for case in 0..CASES {
            let mut noise = Noise::new(case);
            let bytes = if case % 2 == 0 { noise.damage(base) } else { noise.bytes(300) };
            std::fs::write(&file, &bytes).unwrap();
            match config::read(Some(&file), None) {
                Ok(config) => assert!(config.options.len() + config.lost.len() <= bytes.len()),
                Err(why) => assert_tame(&why),
            }
            std::fs::write(
                folder.path().join("mysqld-auto.cnf"),
                noise.damage(
                    br#"{"Version": 2, "mysql_dynamic_variables": {"ssl_key": {"Value": "/k"}}}"#,
                ),
            )
            .unwrap();
            let mut config = ServerConfig::default();
            config::read_persisted(folder.path(), &mut config);
            assert!(config.persisted.len() <= 10);
        }
    }

    #[test]
    fn the_end_of_any_log_is_read_and_tame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        let base = "x [ERROR] SSL error \u{1b}[2J \u{202e}TLS\n\
                    mysqld (mysqld 9.7.4) starting as process 9\n[ERROR] \u{7}Aborting\r\n";
        for case in 0..CASES {
            let mut noise = Noise::new(case);
            std::fs::write(&path, noise.damage(base.as_bytes())).unwrap();
            let lines = log::read(&path).unwrap();
            assert!(lines.len() <= 12);
            for line in &lines {
                assert_tame(line);
            }
            let _ = log::version(&path);
        }
    }

    #[test]
    fn saved_facts_and_names_in_any_state_are_read_or_refused() {
        let facts = crate::rules::testing::healthy();
        let whole = serde_json::to_vec(&facts).unwrap();
        for case in 0..CASES / 10 {
            let mut noise = Noise::new(case);
            if let Ok(facts) = serde_json::from_slice::<crate::facts::Facts>(&noise.damage(&whole))
            {
                let judged = crate::checklist::Examination::judge(facts);
                for finding in &judged.findings {
                    assert_tame(&finding.title);
                    finding.evidence.iter().for_each(|seen| assert_tame(&seen.value));
                }
            }
        }
        let name = br#"{"rdns":[[{"key":"CN","value":"1b5b324a","text":"\u001b[2J\u202e"}]]}"#;
        for case in 0..CASES {
            if let Ok(name) = serde_json::from_slice::<Name>(&Noise::new(case).damage(name)) {
                name.rdns.iter().flatten().for_each(|part| assert_tame(&printable(&part.text)));
                let _ = name.oneline(OneLine::YaSsl);
            }
        }
    }
}
