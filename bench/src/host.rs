//! Where was it measured?
//!
//! Numbers mean nothing without the machine they come from. Whatever cannot be learnt is `unknown`,
//! never guessed.

use std::fmt;
use std::fs;
use std::process::Command;

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::Serialize;

/// The machine and the source.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    /// Largest receive buffer that the kernel grants, bytes.
    pub(crate) rmem_max: Option<u64>,
    /// Load averages at the start: what else ran.
    pub(crate) load: String,
    /// Commit of the source, with `-dirty` if it differed.
    pub(crate) commit: String,
    /// When the bench began, UTC.
    pub(crate) date: String,
    /// `release` or `debug`.
    pub(crate) profile: &'static str,
}

impl fmt::Display for Host {
    /// The line above every table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores, {}, load {}, commit {}, {} build",
            self.cores, self.processor, self.load, self.commit, self.profile
        )
    }
}

impl Host {
    pub(crate) fn look() -> Self {
        let of_kernel = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
            text.map_or_else(|_| unknown(), |text| text.trim().to_owned())
        };
        Self {
            name: of_kernel("hostname"),
            kernel: format!("{} {}", of_kernel("ostype"), of_kernel("osrelease")),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1_024),
            rmem_max: fs::read_to_string("/proc/sys/net/core/rmem_max")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            load: fs::read_to_string("/proc/loadavg").map_or_else(
                |_| unknown(),
                |text| text.split(' ').take(3).collect::<Vec<_>>().join(" "),
            ),
            commit: commit().unwrap_or_else(unknown),
            date: Zoned::now()
                .with_time_zone(TimeZone::UTC)
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }

    /// Name of the record's folder: date and commit.
    pub(crate) fn record_name(&self) -> String {
        format!(
            "{}-{}",
            self.date.get(..10).unwrap_or("unknown"),
            self.commit
        )
    }
}

/// `<key> : <value>` or `<key>: <value>` in a file of such lines.
fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if dirty.is_empty() {
        commit
    } else {
        format!("{commit}-dirty")
    })
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_described_and_names_a_folder() {
        let host = Host::look();
        assert!(host.cores >= 1 && host.kernel.len() > 3);
        let name = host.record_name();
        assert!(
            name.starts_with("20") && name.as_bytes()[10] == b'-',
            "{name}"
        );
        assert!(!name.contains(['/', ' ']), "{name}");
    }
}
