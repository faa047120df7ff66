//! How are packets dropped on their way, and counted?
//!
//! A table of nftables at the entrance of one host, in front of everything else, with one rule and its counter. It is gone
//! when the filter is dropped; what it dropped is asked before, and is the proof that it did.

use std::sync::atomic::{AtomicU64, Ordering};

use twinfeed_harness::Error;

use super::host::Door;

/// A rule that is in force.
#[derive(Debug)]
pub struct Filter {
    host: Door,
    table: String,
}

impl Filter {
    pub(super) fn start(host: Door, rule: &str) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let table = format!("fault{}", NEXT.fetch_add(1, Ordering::Relaxed));
        // -300 is where nothing has looked at the packet yet (`raw`).
        let text = format!(
            "table inet {table} {{\n counter dropped {{ }}\n chain entrance {{\n\
             type filter hook input priority -300; policy accept;\n\
             {rule} counter name dropped drop\n }}\n}}\n"
        );
        host.run("filter at", &["nft", "-f", "-"], &text)?;
        Ok(Self { host, table })
    }

    /// Packets dropped so far.
    ///
    /// # Errors
    /// With what `nft` says.
    pub fn dropped(&self) -> Result<u64, Error> {
        let words = ["nft", "list", "counter", "inet", &self.table, "dropped"];
        let text = self.host.run("count at", &words, "")?;
        Ok(packets(&text).unwrap_or(0))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // It goes with its host if not now.
        let words = ["nft", "delete", "table", "inet", &self.table];
        let _ = self.host.run("unfilter", &words, "");
    }
}

/// Of `packets 12 bytes 3456`.
fn packets(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_read_from_the_words_of_nft() {
        let text = "table inet fault1 {\n\tcounter dropped {\n\t\tpackets 12 bytes 3456\n\t}\n}\n";
        assert_eq!(packets(text), Some(12));
        assert_eq!(packets("table inet fault1 { }"), None);
    }
}
