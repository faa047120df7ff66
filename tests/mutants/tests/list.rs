//! The list of mutants fits the sources, and the page says what the list says.

use twinfeed_mutants::inject::{files, inject};
use twinfeed_mutants::list::{self, Mutant};
use twinfeed_mutants::{caught, page, worlds};

/// How many deliberate faults there are at least.
const LEAST: usize = 30;

fn mutants() -> Vec<Mutant> {
    list::read(&list::folder()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn uncaught() -> Vec<Mutant> {
    list::read(&list::uncaught()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn every_mutant_fits_the_sources() {
    for mutants in [mutants(), uncaught()] {
        for file in files(&mutants) {
            let text = std::fs::read_to_string(list::root().join(file)).unwrap();
            if let Err(misfit) = inject(file, &text, &mutants) {
                panic!("{misfit}");
            }
        }
    }
}

#[test]
fn the_page_names_every_fault_that_no_seed_has_caught_yet() {
    let text = std::fs::read_to_string(page::file()).unwrap();
    let (_, section) = text.split_once("\n## Not caught yet\n").unwrap();
    for mutant in uncaught() {
        let name = &mutant.name;
        assert!(
            section.contains(&format!("| `{name}` |")),
            "docs/mutants.md does not say why `{name}` is not caught"
        );
        assert!(
            mutants().iter().all(|it| it.name != *name),
            "`{name}` is in both lists"
        );
    }
}

#[test]
fn there_are_enough_and_each_has_a_seed_that_catches_it() {
    let (mutants, caught) = (mutants(), caught::read(&caught::file()).unwrap());
    assert!(mutants.len() >= LEAST, "{} mutants", mutants.len());
    for mutant in &mutants {
        let by = caught.get(&mutant.name);
        let by =
            by.unwrap_or_else(|| panic!("`{}` has no seed: run `mutants --search`", mutant.name));
        assert!(
            worlds::kind(&by.kind).is_some(),
            "`{}`: {by:?}",
            mutant.name
        );
    }
    for name in caught.keys() {
        assert!(
            mutants.iter().any(|it| it.name == *name),
            "`{name}` is no mutant"
        );
    }
}

#[test]
fn the_page_says_what_the_list_says() {
    let text = std::fs::read_to_string(page::file()).unwrap();
    let table = page::table(&mutants(), &caught::read(&caught::file()).unwrap());
    let fresh = page::with_table(&text, &table).unwrap();
    assert!(
        fresh == text,
        "docs/mutants.md is stale: run `mutants --search --missing`"
    );
}
