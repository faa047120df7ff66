//! Every input that was worth keeping, once more.
//!
//! `fuzz/corpus/<target>` is what reaches the most code in the fewest bytes, `fuzz/regressions/<target>` what was once a
//! finding, by the name of what was wrong.
#![allow(
    clippy::unwrap_used,
    reason = "an input that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use twinfeed_fuzz_bodies::{TARGETS, Target, run, seeds};

/// Most files of one corpus.
const MOST_FILES: usize = 50;
/// Most bytes of one corpus.
const MOST_BYTES: u64 = 200_000;

fn folder(kind: &str, target: &Target) -> PathBuf {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fuzz.join(kind).join(target.name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Names the input before it is tried: a panic says what was wrong, this says with which.
fn replay(target: &Target, path: &Path) {
    let bytes = fs::read(path).unwrap();
    println!("{}: {}", target.name, path.display());
    run(target, &bytes);
}

#[test]
fn every_corpus_holds_and_is_small() {
    for target in TARGETS {
        let files = files(&folder("corpus", target));
        assert!(!files.is_empty(), "{} has a corpus", target.name);
        assert!(
            files.len() <= MOST_FILES,
            "{}: {} files",
            target.name,
            files.len()
        );
        let bytes: u64 = files
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum();
        assert!(bytes <= MOST_BYTES, "{}: {bytes} bytes", target.name);
        for path in &files {
            replay(target, path);
        }
    }
}

#[test]
fn what_was_once_a_finding_is_none_any_more() {
    for target in TARGETS {
        for path in files(&folder("regressions", target)) {
            replay(target, &path);
        }
    }
}

#[test]
fn every_seed_holds() {
    for target in TARGETS {
        let seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "{} has a seed", target.name);
        for seed in seeds {
            run(target, &seed);
        }
    }
}

#[test]
fn every_target_has_its_binary_and_no_other_is_there() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names: Vec<_> = TARGETS
        .iter()
        .map(|target| format!("{}.rs", target.name))
        .collect();
    names.sort();
    let found = files(&fuzz.join("fuzz_targets"));
    let found: Vec<_> = found
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy())
        .collect();
    assert_eq!(found, names);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let line = format!("name = \"{}\"", target.name);
        assert!(manifest.contains(&line), "fuzz/Cargo.toml: {line}");
    }
}
