//! How does one text hold every fault at once?
//!
//! ```text
//!  E   ─►   (if crate::mutant::on(3) { R3 } else if crate::mutant::on(9) { R9 } else { E })
//! ```
//!
//! Expressions stand in parentheses, statements do not. Faults of one place share it; faults of places that overlap are
//! refused, for neither would be what its author read.

use core::ops::Range;
use std::collections::BTreeMap;

use crate::list::{Edit, Mutant};

/// An edit that cannot be applied.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// The text is not there, or more than once.
    #[error(
        "mutant `{mutant}`: its `{what}` stands {times} times in {file}, not once: \
         the source has changed, so write the mutant anew, or remove it if it has lost its meaning\n{text}"
    )]
    Occurs {
        /// Which.
        mutant: String,
        /// Which of its texts.
        what: &'static str,
        /// How often.
        times: usize,
        /// Where.
        file: String,
        /// The text.
        text: String,
    },
    /// Two edits touch the same text and not the same place.
    #[error("mutants `{one}` and `{other}` overlap in {file}: let both replace the same text")]
    Overlap {
        /// One.
        one: String,
        /// The other.
        other: String,
        /// Where.
        file: String,
    },
    /// It changes nothing.
    #[error("mutant `{0}` replaces a text by itself: it would never be caught")]
    Same(String),
}

/// A fault with the number by which it is chosen.
#[derive(Clone, Copy, Debug)]
struct Choice<'a> {
    number: usize,
    mutant: &'a str,
    edit: &'a Edit,
}

/// The number of the mutant at `index` of the list; 0 is none of them.
#[must_use]
pub const fn number(index: usize) -> usize {
    index + 1
}

/// The files that the mutants change.
#[must_use]
pub fn files(mutants: &[Mutant]) -> Vec<&str> {
    let edits = mutants.iter().flat_map(|mutant| &mutant.edit);
    let mut files: Vec<&str> = edits.map(|edit| edit.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// The text of `file` with every fault of it as a choice.
///
/// # Errors
/// The first [`Misfit`]; it names the mutant and what to do.
pub fn inject(file: &str, text: &str, mutants: &[Mutant]) -> Result<String, Misfit> {
    let choices = mutants.iter().enumerate().flat_map(|(index, mutant)| {
        let edits = mutant.edit.iter().filter(|edit| edit.file == file);
        edits.map(move |edit| Choice {
            number: number(index),
            mutant: &mutant.name,
            edit,
        })
    });
    let mut places: BTreeMap<(usize, usize), Vec<Choice<'_>>> = BTreeMap::new();
    for choice in choices {
        let place = place(text, &choice)?;
        if text[place.clone()] == choice.edit.replace {
            return Err(Misfit::Same(choice.mutant.to_owned()));
        }
        let there = places.entry((place.start, place.end)).or_default();
        there.push(choice);
    }
    let mut injected = String::with_capacity(2 * text.len());
    let (mut copied, mut before) = (0, "");
    for (&(from, until), choices) in &places {
        let mutant = choices.first().map_or("", |choice| choice.mutant);
        if from < copied {
            return Err(Misfit::Overlap {
                one: before.to_owned(),
                other: mutant.to_owned(),
                file: file.to_owned(),
            });
        }
        injected.push_str(&text[copied..from]);
        injected.push_str(&chosen(&text[from..until], choices));
        (copied, before) = (until, mutant);
    }
    injected.push_str(&text[copied..]);
    for choice in places.values().flatten() {
        for begin in &choice.edit.unconst {
            injected = without_const(&injected, begin, choice)?;
        }
    }
    Ok(injected)
}

/// What an edit replaces.
fn place(text: &str, choice: &Choice<'_>) -> Result<Range<usize>, Misfit> {
    let edit = choice.edit;
    let around = once(text, &edit.find, "find", choice)?;
    match &edit.part {
        None => Ok(around..around + edit.find.len()),
        Some(part) => {
            let from = around + once(&edit.find, part, "part", choice)?;
            Ok(from..from + part.len())
        }
    }
}

fn once(
    text: &str,
    sought: &str,
    what: &'static str,
    choice: &Choice<'_>,
) -> Result<usize, Misfit> {
    let mut found = text.match_indices(sought).map(|(at, _)| at);
    match (found.next(), found.count()) {
        (Some(at), 0) if !sought.is_empty() => Ok(at),
        (first, more) => Err(Misfit::Occurs {
            mutant: choice.mutant.to_owned(),
            what,
            times: usize::from(first.is_some()) + more,
            file: choice.edit.file.clone(),
            text: sought.to_owned(),
        }),
    }
}

/// The choice between `original` and what the mutants say instead.
fn chosen(original: &str, choices: &[Choice<'_>]) -> String {
    let mut chosen = String::new();
    for &Choice { number, edit, .. } in choices {
        chosen += &format!(
            "if crate::mutant::on({number}) {{ {} }} else ",
            edit.replace
        );
    }
    chosen += &format!("{{ {original} }}");
    let statements = original.trim_end().ends_with([';', '}']);
    match statements {
        true => chosen,
        false => format!("({chosen})"),
    }
}

/// The text with one `const fn` less; it may be none already, for the sake of another mutant.
fn without_const(text: &str, begin: &str, choice: &Choice<'_>) -> Result<String, Misfit> {
    let plain = begin.replacen("const fn", "fn", 1);
    match text.matches(begin).count() {
        0 if text.contains(&plain) => Ok(text.to_owned()),
        _ => {
            let at = once(text, begin, "unconst", choice)?;
            let (before, behind) = (&text[..at], &text[at + begin.len()..]);
            Ok(format!("{before}{plain}{behind}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "const fn a() -> bool { x < y }\nfn b() { one(); two(); }\nfn c() { one(); }\n";

    fn mutant(name: &str, find: &str, part: Option<&str>, replace: &str) -> Mutant {
        Mutant {
            name: name.into(),
            rule: String::new(),
            breaks: String::new(),
            edit: vec![Edit {
                file: "f".into(),
                find: find.into(),
                part: part.map(str::to_owned),
                replace: replace.into(),
                unconst: Vec::new(),
            }],
        }
    }

    fn injected(mutants: &[Mutant]) -> Result<String, Misfit> {
        inject("f", TEXT, mutants)
    }

    #[test]
    fn an_expression_stands_in_parentheses_and_a_statement_does_not() {
        let mut expression = mutant("m", "x < y", None, "x <= y");
        expression.edit[0].unconst = vec!["const fn a(".into()];
        let statement = mutant("n", "one(); two();", Some("two();"), "");
        let text = injected(&[expression, statement]).unwrap();
        assert_eq!(
            text,
            "fn a() -> bool { (if crate::mutant::on(1) { x <= y } else { x < y }) }\n\
             fn b() { one(); if crate::mutant::on(2) {  } else { two(); } }\nfn c() { one(); }\n"
        );
    }

    #[test]
    fn two_faults_of_one_place_share_it() {
        let one = mutant("one", "x < y", None, "x <= y");
        let other = mutant("other", "{ x < y }", Some("x < y"), "true");
        let text = injected(&[one, other]).unwrap();
        let both = "(if crate::mutant::on(1) { x <= y } else if crate::mutant::on(2) { true } else { x < y })";
        assert!(text.contains(both), "{text}");
    }

    #[test]
    fn a_text_that_is_not_there_once_is_refused_by_the_name_of_its_mutant() {
        for (find, part, times) in [
            ("z", None, 0),
            ("one();", None, 2),
            ("two();", Some("z"), 0),
            ("", None, TEXT.len() + 1),
        ] {
            let refused = injected(&[mutant("m", find, part, "r")]).unwrap_err();
            assert!(
                matches!(&refused, Misfit::Occurs { mutant, times: seen, .. } if mutant == "m" && *seen == times),
                "{refused}"
            );
        }
    }

    #[test]
    fn overlap_and_sameness_are_refused() {
        let one = mutant("one", "one(); two();", None, "");
        let other = mutant("other", "two();", None, "");
        assert!(matches!(
            injected(&[one, other]),
            Err(Misfit::Overlap { .. })
        ));
        let same = mutant("same", "x < y", None, "x < y");
        assert_eq!(injected(&[same]), Err(Misfit::Same("same".into())));
    }

    #[test]
    fn other_files_are_left_alone() {
        let elsewhere = mutant("m", "not here", None, "r");
        assert_eq!(inject("g", TEXT, &[elsewhere]), Ok(TEXT.into()));
    }
}
