//! Does a table say what the one in the repository says?

/// Compares `text` with `protocol/tables/<name>.md`, which `UPDATE_TABLES=1` writes anew.
#[track_caller]
pub(crate) fn assert_committed(name: &str, text: &str) {
    let path = format!("{}/tables/{name}.md", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text, committed,
        "{path} is out of date: UPDATE_TABLES=1 writes it anew, and the difference shows the change"
    );
}
