//! Tries inputs again, without a fuzzer: `replay TARGET FILE...`.

use twinfeed_fuzz_bodies::{run, target};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        eprintln!("usage: replay TARGET FILE...");
        std::process::exit(64);
    };
    for file in arguments {
        println!("{file}");
        run(target(&name), &std::fs::read(&file)?);
    }
    Ok(())
}
