//! What a scan of many servers comes to: the table or the metrics at its end, and the exit status.

use std::collections::BTreeMap;

use super::super::{FINDINGS, Failure, NOT_EXAMINED, print};
use super::saved::Line;
use super::{Format, ScanArgs};
use crate::scan::Scan;
use crate::scan::show::{self, Metrics};

/// No more of a scan is kept than is printed at the end.
#[derive(Default)]
pub struct Outcome {
    pub servers: usize,
    rows: BTreeMap<String, String>,
    metrics: Metrics,
    /// Why the only server could not be scanned.
    alone: Option<String>,
    failed: bool,
    found: bool,
}

impl Outcome {
    pub fn take(&mut self, line: &Line, args: &ScanArgs, many: bool) {
        self.servers += 1;
        let scan = line.scan.as_ref();
        self.failed |= scan.is_none_or(|scan| !scan.left_out.is_empty());
        self.found |= !line.changes.is_empty() || scan.is_some_and(|scan| is_unfit(scan, args));
        match args.format {
            Format::Prometheus => self.metrics.add(&line.target, scan),
            Format::Text if many => {
                let what = scan.ok_or(line.error.as_deref().unwrap_or("?"));
                self.rows.insert(line.target.clone(), show::row(&line.target, what));
            }
            Format::Text | Format::Json => {}
        }
        if !many {
            self.alone.clone_from(&line.error);
        }
    }

    /// The exit status; the error is why nothing is known at all.
    pub fn end(
        &mut self,
        args: &ScanArgs,
        many: bool,
        cancelled: Option<u8>,
    ) -> Result<u8, Failure> {
        match args.format {
            Format::Prometheus => print(&self.metrics.text())?,
            Format::Text if many => print(&self.rows.values().cloned().collect::<String>())?,
            Format::Text | Format::Json => {}
        }
        if let Some(status) = cancelled {
            return Err(Failure {
                code: status,
                message: if self.servers == 0 {
                    "cancelled before anything was found".to_owned()
                } else {
                    "cancelled; what was found until then stands above".to_owned()
                },
            });
        }
        if let Some(why) = self.alone.take() {
            return Err(Failure::not_examined(why));
        }
        Ok(match (self.found, self.failed) {
            (true, _) => FINDINGS,
            (false, true) => NOT_EXAMINED,
            (false, false) => 0,
        })
    }
}

fn is_unfit(scan: &Scan, args: &ScanArgs) -> bool {
    match (&args.policy, &scan.tls) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(name), Some(tls)) => {
            !tls.policies.iter().any(|verdict| &verdict.policy == name && verdict.fits)
        }
    }
}
