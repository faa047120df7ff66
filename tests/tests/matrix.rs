//! Does `docs/reliability.md` say what the tests show?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use twinfeed_tests::matrix;

#[test]
fn every_row_is_shown_by_tests_that_are_there_or_is_open() {
    assert_eq!(matrix::faults(), Vec::<String>::new());
}

#[test]
fn the_page_is_what_the_rows_make() {
    let (path, page) = (matrix::top().join("docs/reliability.md"), matrix::page());
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    let path = path.display();
    assert!(
        page == committed,
        "{path} is out of date: UPDATE_TABLES=1 writes it anew, and the difference shows the change"
    );
}
