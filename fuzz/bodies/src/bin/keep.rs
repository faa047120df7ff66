//! Which few inputs reach the most?
//!
//! Reads the control file of a libFuzzer merge, which says of every input what it reaches, and fills `FOLDER` with the
//! inputs that a greedy choice takes: each time the one that adds the most per byte, until nothing adds anything or a
//! bound is met. Files are named by their content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Most files of a corpus.
const MOST_FILES: usize = 50;
/// Most bytes of a corpus.
const MOST_BYTES: u64 = 190_000;

struct Reached {
    path: PathBuf,
    bytes: u64,
    features: BTreeSet<u32>,
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [control, folder] = arguments.as_slice() else {
        eprintln!("usage: keep CONTROL-FILE FOLDER");
        std::process::exit(64);
    };
    let mut inputs = read(&fs::read_to_string(control)?);
    let all: BTreeSet<u32> = inputs
        .iter()
        .flat_map(|it| it.features.iter().copied())
        .collect();
    let (mut kept, mut bytes, mut seen) = (Vec::new(), 0, BTreeSet::new());
    while kept.len() < MOST_FILES {
        inputs.retain(|it| bytes + it.bytes <= MOST_BYTES);
        let gain = |it: &Reached| it.features.difference(&seen).count() as u64;
        // Per byte, but a short input is not worth more than one of 64.
        let best = inputs
            .iter()
            .max_by_key(|it| gain(it) * 1_000_000 / it.bytes.max(64));
        let Some(best) = best.filter(|it| gain(it) > 0) else {
            break;
        };
        kept.push(fs::read(&best.path)?);
        bytes += best.bytes;
        seen.extend(best.features.iter().copied());
    }
    replace(folder, &kept)?;
    let (files, reached, all) = (kept.len(), seen.len(), all.len());
    println!(
        "{}: {files} files, {bytes} bytes, {reached} of {all} features",
        folder.display()
    );
    Ok(())
}

/// Number of inputs, number of those that are there already, their names, then of each what it reaches.
fn read(control: &str) -> Vec<Reached> {
    let mut lines = control.lines();
    let count = lines
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let mut inputs: Vec<_> = lines
        .by_ref()
        .skip(1)
        .take(count)
        .map(|path| Reached {
            path: path.into(),
            bytes: fs::metadata(path).map_or(u64::MAX, |it| it.len()),
            features: BTreeSet::new(),
        })
        .collect();
    for line in lines {
        let mut words = line.split(' ');
        if words.next() != Some("FT") {
            continue;
        }
        let place = words.next().and_then(|place| place.parse::<usize>().ok());
        if let Some(input) = place.and_then(|place| inputs.get_mut(place)) {
            input.features = words.filter_map(|word| word.parse().ok()).collect();
        }
    }
    inputs
}

fn replace(folder: &Path, kept: &[Vec<u8>]) -> io::Result<()> {
    for old in fs::read_dir(folder)? {
        fs::remove_file(old?.path())?;
    }
    for bytes in kept {
        fs::write(folder.join(name(bytes)), bytes)?;
    }
    Ok(())
}

/// 64-bit FNV-1a: a name, nothing more.
fn name(bytes: &[u8]) -> String {
    let digest = bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
    format!("{digest:016x}")
}
