//! What does a person see in a browser?
//!
//! One file with everything in it, so that it works on a machine without a way out. It asks
//! `/status.json` once a second and draws; it writes text only, never markup, from what it is told.

/// The page.
pub(crate) const HTML: &str = include_str!("index.html");

/// Nothing from elsewhere, nothing to elsewhere.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                          connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
