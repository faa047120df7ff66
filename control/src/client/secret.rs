//! How is a token kept out of logs?

use std::fmt;
use std::path::Path;

use super::Error;

/// A token that prints as dots.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

/// Longest token that is read from a file, in bytes.
const LIMIT: usize = 4096;

impl Secret {
    /// A token from memory.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when it is empty or cannot stand in a header.
    pub fn new(token: impl Into<String>) -> Result<Self, Error> {
        let token = token.into();
        let plain = token.bytes().all(|b| b.is_ascii_graphic());
        if token.is_empty() || token.len() > LIMIT || !plain {
            return Err(Error::Configuration {
                culprit: "token".to_owned(),
                cause: format!("it is empty, longer than {LIMIT} bytes, or not plain ASCII"),
                remedy: "put the token alone on the first line",
            });
        }
        Ok(Self(token))
    }

    /// A token from the first line of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when it cannot be read or holds no token.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::Configuration {
            culprit: format!("token file {}", path.display()),
            cause: error.to_string(),
            remedy: "create it, readable by this process only",
        })?;
        Self::new(text.lines().next().unwrap_or_default().trim())
    }

    /// The token itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_prints() {
        let secret = Secret::new("s3cr3t").unwrap();
        assert!(!format!("{secret:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_token_file_is_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "abc123 \n# rotated monthly\n").unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().expose(), "abc123");
        let missing = Secret::from_file(&folder.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("none"), "{missing}");
    }

    #[test]
    fn a_token_that_cannot_stand_in_a_header_is_refused() {
        for wrong in ["", "a b", "a\nb", "é"] {
            assert!(Secret::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
