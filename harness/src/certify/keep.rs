//! What is left behind of a scenario, for whoever looks into it?
//!
//! ```text
//!  <directory>/<scenario>/
//!    packets.jsonl   every packet in the order of sending: when, on which line, what
//!    truth.json      what is owed, run by run
//!    output.txt      the handler's output, line by line, as faults number them
//!    handler.log     its standard error
//! ```
//!
//! The first two follow from scenario, seed and rate alone.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;
use twinfeed_exchange::mold::HEADER_LEN;

use super::score::Script;
use crate::error::Error;

/// Writes what is sent and what is owed.
///
/// # Errors
/// When a file cannot be written.
pub fn script(directory: &Path, script: &Script) -> Result<(), Error> {
    put(&directory.join("packets.jsonl"), &packets(script))?;
    put(&directory.join("truth.json"), &truth(script))
}

/// Writes what the handler said.
///
/// # Errors
/// When the file cannot be written.
pub fn output(directory: &Path, lines: &[String]) -> Result<(), Error> {
    let mut text = lines.join("\n");
    text.push('\n');
    put(&directory.join("output.txt"), &text)
}

fn packets(script: &Script) -> String {
    let mut text = String::new();
    for packet in &script.prelude {
        let line = described(packet);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", json!({"at_ns": null, "packet": line}));
    }
    for packet in &script.packets {
        let line = json!({
            "at_ns": packet.at_ns, "line": packet.line.to_string(), "note": packet.note,
            "packet": described(&packet.bytes),
        });
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The header taken apart, if there is one, and all bytes.
fn described(packet: &[u8]) -> serde_json::Value {
    let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    match packet.split_first_chunk::<HEADER_LEN>() {
        None => json!({"hex": hex}),
        Some((header, _)) => {
            let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &it| (sum << 8) | u64::from(it));
            json!({
                "session": String::from_utf8_lossy(&header[..10]),
                "sequence": number(&header[10..18]),
                "count": number(&header[18..]),
                "hex": hex,
            })
        }
    }
}

fn truth(script: &Script) -> String {
    let lives = script.truth.lives.iter().map(|life| {
        let runs = life.runs();
        let runs = runs.map(|(from, to, fate)| json!({"from": from, "to": to, "fate": fate}));
        json!({
            "session": life.name, "first": life.first, "next": life.next(), "end": life.end,
            "runs": runs.collect::<Vec<_>>(),
        })
    });
    let lives: Vec<_> = lives.collect();
    let value = json!({"lives": lives, "silences": script.truth.silences});
    format!("{value:#}\n")
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))
}
