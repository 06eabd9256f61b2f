//! Certificates for many accounts at once, from a table.

use std::collections::{HashMap, HashSet};

use rcgen::ExtendedKeyUsagePurpose;

use super::authority::pem;
use super::key::Certified;
use super::protect::pem_block;
use super::same_name;
use super::store::{Draft, Entry, Kind};
use super::{Authority, CaError, KeyKind, PlainName, Store, Validity};
use crate::secret::Secret;
use crate::x509::certificate::{hex, hex_upper};

/// One account of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// The user; `user@host` when a host is given that is not `%`.
    pub name: PlainName,
    pub days: Option<u32>,
}

/// A line that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub line: usize,
    pub why: String,
}

/// What became of a table.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub issued: Vec<Entry>,
    /// Who has a certificate that is still good, and until when; left as it is.
    pub had: Vec<(PlainName, i64)>,
}

/// Reads a table of `user[,host][,days]`, a line each; a first line with the word
/// `user` in it is its header. Empty lines and those that begin with `#` are passed over. Every bad line is named.
pub fn parse(text: &str) -> Result<Vec<Row>, Vec<BadLine>> {
    let (mut rows, mut bad) = (Vec::<Row>::new(), Vec::new());
    let mut columns = ["user", "host", "days"].map(str::to_owned).to_vec();
    let mut seen: HashMap<PlainName, usize> = HashMap::new();
    let mut first = true;
    for (at, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = at + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let fields = match fields(text) {
            Ok(fields) => fields,
            Err(why) => {
                bad.push(BadLine { line, why });
                continue;
            }
        };
        let named = |name: &String| name.eq_ignore_ascii_case("user");
        let is_header = std::mem::take(&mut first) && fields.iter().any(named);
        if is_header {
            columns = fields.iter().map(|name| name.to_ascii_lowercase()).collect();
            let odd =
                columns.iter().find(|name| !["user", "host", "days"].contains(&name.as_str()));
            if let Some(odd) = odd {
                let odd = crate::printable::printable(odd);
                let why = format!("there is no column `{odd}`; the columns are user, host, days");
                return Err(vec![BadLine { line, why }]);
            }
            continue;
        }
        match row(line, &columns, &fields) {
            Err(why) => bad.push(BadLine { line, why }),
            Ok(row) => match seen.insert(row.name.clone(), line) {
                Some(before) => {
                    let why = format!("{} stands in line {before} already", row.name);
                    bad.push(BadLine { line, why });
                }
                None => rows.push(row),
            },
        }
    }
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}

/// The fields of a line; in double quotes a comma is a comma, and two quotes are one.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut chars) = (false, text.trim_end_matches('\r').chars().peekable());
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => fields.push(String::new()),
            _ => fields[last].push(c),
        }
    }
    if quoted {
        return Err("a double quote is opened and not closed".to_owned());
    }
    Ok(fields.into_iter().map(|field| field.trim().to_owned()).collect())
}

fn row(line: usize, columns: &[String], fields: &[String]) -> Result<Row, String> {
    if fields.len() > columns.len() {
        return Err(format!("it has {} fields; there are {} columns", fields.len(), columns.len()));
    }
    // Without a header `app,90` has no host: a host is no number.
    let bare_days = |field: &str| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
    let of = |name: &str| {
        let at = columns.iter().position(|column| column == name)?;
        fields.get(at).map(String::as_str).filter(|field| !field.is_empty())
    };
    let (host, days) = match (of("host"), of("days")) {
        (Some(days), None) if bare_days(days) => (None, Some(days)),
        other => other,
    };
    let user = of("user").ok_or("the user is missing")?;
    if let Some(mark) = [';', '\t'].into_iter().find(|mark| user.contains(*mark)) {
        let mark = if mark == ';' { "semicolons" } else { "tabs" };
        return Err(format!(
            "{mark} stand where commas are to part the columns: save the table with commas"
        ));
    }
    let name = PlainName::of_account(user, host.unwrap_or("%"));
    let name = name.map_err(|error| error.to_string())?;
    let wrong = || "days is a number from 1 to 36500".to_owned();
    let days = days.map(|days| days.parse().ok().filter(|days| (1..=36_500).contains(days)));
    let days = days.map(|days: Option<u32>| days.ok_or_else(wrong)).transpose()?;
    Ok(Row { line, name, days })
}

impl Store {
    /// Issues for every row, all of them or none; rows whose name has a certificate that is good
    /// at `now` (seconds since 1970) are passed over. A name that stands twice is refused.
    pub fn issue_clients(
        &self,
        rows: &[Row],
        key: KeyKind,
        days: u32,
        now: i64,
    ) -> Result<Batch, CaError> {
        let mut names = HashSet::new();
        if let Some(row) = rows.iter().find(|row| !names.insert(&row.name)) {
            return Err(CaError::Repeated { name: row.name.clone() });
        }
        let mut work = self.begin()?;
        let mut batch = Batch::default();
        // The last of each name is the one whose files lie in its folder: where that was revoked, one
        // before it that was not is of no use to anybody.
        let last: HashMap<&str, &Entry> = (work.index.entries.iter())
            .filter(|entry| entry.kind == Kind::Client && !entry.dropped)
            .filter_map(|entry| Some((entry.names.first()?.as_str(), entry)))
            .collect();
        let good: HashMap<&str, i64> = (last.into_iter())
            .filter(|(_, entry)| entry.is_current() && entry.not_after > now)
            .map(|(name, entry)| (name, entry.not_after))
            .collect();
        let (had, wanted): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| good.contains_key(row.name.as_str()));
        batch.had = had.iter().map(|row| (row.name.clone(), good[row.name.as_str()])).collect();
        let old = same_name::replaced(self.dir());
        let mut known = same_name::Known::new();
        same_name::collect(&mut known, self.dir(), &work.index.entries);
        if let Some(old) = &old {
            same_name::collect(&mut known, &old.dir, &old.entries);
        }
        let (mut usual, mut again) = (Vec::new(), Vec::new());
        for row in wanted {
            match self.authority().other_subject(&known, &row.name)? {
                Some(before) => {
                    let validity = Validity::From { now, days: row.days.unwrap_or(days) };
                    let issued =
                        self.authority().issue_again(&before, key.generate()?, validity)?;
                    let names = vec![row.name.to_string()];
                    again.push(Draft::new(&issued, Kind::Client, names, true)?);
                }
                None => usual.push(row),
            }
        }
        let mut drafts = self.authority().prepare_clients(&usual, key, days, now)?;
        drafts.append(&mut again);
        batch.issued = drafts.iter().map(|draft| draft.entry.clone()).collect();
        if !drafts.is_empty() {
            work.commit(drafts)?;
        }
        Ok(batch)
    }
}

impl Authority {
    /// As [`Authority::issue_client`] for each, and what the list says of it, without reading back
    /// what was just written: OpenSSL takes longer to parse a certificate than to sign one.
    pub fn prepare_clients(
        &self,
        rows: &[&Row],
        kind: KeyKind,
        days: u32,
        now: i64,
    ) -> Result<Vec<Draft>, CaError> {
        let press = self.press()?;
        let intermediates = self.intermediates_pem()?;
        let house = self.house();
        // the same for nearly every row, and reading the CA's dates takes a while
        let usual = self.exact(Validity::From { now, days })?;
        let draft = |row: &&Row| {
            let key = kind.generate()?;
            let public = Certified::new(&key)?;
            let subject = Self::subject_under(house.as_ref(), &row.name);
            let validity = match row.days.filter(|own| *own != days) {
                Some(days) => self.exact(Validity::From { now, days })?,
                None => usual,
            };
            let mut params = self.leaf_params(&subject, validity, &public)?;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let der = press.certificate(&params, &public)?;
            let leaf = pem_block("CERTIFICATE", &der);
            let pkcs8 = public.pkcs8(&key)?;
            let entry = Entry {
                serial: params.serial_number.as_ref().map(serial_hex).unwrap_or_default(),
                // plain names: nothing in them is escaped by any library
                subject: match &house {
                    Some(house) => format!("/O={house}/CN={}", row.name),
                    None => format!("/CN={}", row.name),
                },
                not_before: params.not_before.unix_timestamp(),
                not_after: params.not_after.unix_timestamp(),
                sha256: hex(&openssl::sha::sha256(&der)),
                key: kind.describe().to_owned(),
                ..Entry::empty(Kind::Client, vec![row.name.to_string()])
            };
            let certificate = format!("{leaf}{intermediates}");
            let key = Some(Secret::new(pem_block("PRIVATE KEY", &pkcs8)));
            Ok(Draft { entry, leaf, certificate, key })
        };
        rows.iter().map(draft).collect()
    }

    pub(super) fn intermediates_pem(&self) -> Result<String, CaError> {
        let path = self.path();
        let intermediates = path.iter().filter(|ca| !super::authority::is_root(ca)).cloned();
        pem(&intermediates.collect::<Vec<_>>())
    }
}

fn serial_hex(serial: &rcgen::SerialNumber) -> String {
    hex_upper(serial.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(usize, String, Option<u32>)> {
        let rows = parse(text).unwrap();
        rows.into_iter().map(|row| (row.line, row.name.to_string(), row.days)).collect()
    }

    #[test]
    fn tables_are_read_with_and_without_a_header() {
        let row = |line, name: &str, days| (line, name.to_owned(), days);
        assert_eq!(
            names("app\nweb,%\n\n# no\n\"a, b\",10.0.0.%,90\r\nsvc,30\n"),
            [
                row(1, "app", None),
                row(2, "web", None),
                row(5, "a, b@10.0.0.%", Some(90)),
                row(6, "svc", Some(30))
            ]
        );
        assert_eq!(names("\u{feff}User,Days\napp,7\n"), [row(2, "app", Some(7))]);
        assert_eq!(names("days,user\n,user\n"), [row(2, "user", None)]);
        assert_eq!(names("net,10.1.0.0/255.255.0.0"), [row(1, "net@10.1.0.0_255.255.0.0", None)]);
    }

    #[test]
    fn every_bad_line_is_named() {
        let bad = parse("app\nJörg\nweb,%,0\napp\n,x\na,b,1,c\n\"q\n\x1b[2J\n").unwrap_err();
        let lines: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
        assert!(bad[2].why.contains("line 1 already"), "{bad:?}");
        assert!(bad.iter().all(|bad| !bad.why.contains('\x1b')));
        let bad = parse("user,password\napp,x\n").unwrap_err();
        assert!(bad[0].why.contains("no column `password`"), "{bad:?}");
        for table in ["web;10.1.%;30\n", "user;host;days\n", "web\t10.1.%\n"] {
            let bad = parse(table).unwrap_err();
            assert!(bad[0].why.contains("save the table with commas"), "{bad:?}");
        }
    }

    #[test]
    fn what_a_batch_says_of_itself_is_what_the_certificates_say() {
        let folder = tempfile::tempdir().unwrap();
        let root = Authority::create(&super::super::AuthoritySpec::named(&"R".parse().unwrap()));
        let root = root.unwrap();
        let spec = super::super::AuthoritySpec::named(&"Issuing".parse().unwrap());
        let issuing = root.issue_authority(&spec).unwrap();
        let store = Store::install(&folder.path().join("ca"), issuing).unwrap();
        let rows = parse("app\nweb,10.0.0.%\nlong,%,5000\na,1\nb\nc\n").unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let twice = [&rows[..], &rows[..1]].concat();
        let refused = store.issue_clients(&twice, KeyKind::P256, 397, now).unwrap_err();
        assert!(refused.to_string().starts_with("app stands twice"), "{refused}");
        assert!(store.list().unwrap().is_empty(), "nothing was issued");
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let batch = store.issue_clients(&rows, kind, 397, now).unwrap();
            for entry in &batch.issued {
                let kept = store.certificate(&entry.serial).unwrap();
                let certificate = crate::x509::Certificate::from_openssl(&kept);
                let mut read = Entry::new(&certificate, Kind::Client, entry.names.clone());
                assert_eq!(*entry, read);
                let path = store.authority().path();
                let purpose = crate::x509::chain::Purpose::Client;
                assert_eq!(
                    crate::x509::chain::verify(&kept, &path[..1], &path[1..], purpose),
                    Ok(())
                );
                let folder = store.client_dir(&entry.names[0].parse().unwrap());
                let own = std::fs::read(folder.join("client-cert.pem")).unwrap();
                assert_eq!(crate::x509::pem::certificates(&own).unwrap().len(), 2);
                let key = std::fs::read(folder.join("client-key.pem")).unwrap();
                let key = crate::x509::pem::private_key(&key).unwrap().key;
                assert!(kept.public_key().unwrap().public_eq(&key));
                read.files = super::super::store::client_files(
                    &std::path::Path::new("clients").join(&entry.names[0]),
                )
                .to_vec();
                assert!(store.list().unwrap().contains(&read));
            }
            if kind == KeyKind::P256 {
                assert_eq!((batch.issued.len(), batch.had.len()), (6, 0));
            } else {
                assert_eq!((batch.issued.len(), batch.had.len()), (0, 6), "they have one");
            }
        }
    }
}
