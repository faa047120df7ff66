//! What did a whole bench come to, and what follows?
//!
//! [`model`] is the one document, [`claims`] what it proves, [`kills`] what a kill costs beside other systems; everything else here only shows it: [`table`] to a terminal, [`html`]
//! with [`plot`]s to a browser, [`hgrm`] to programs that draw histograms, and `report.json` to the rest.

pub(crate) mod claims;
pub(crate) mod hgrm;
pub(crate) mod html;
pub(crate) mod kills;
pub(crate) mod model;
pub(crate) mod plot;
pub(crate) mod table;
pub(crate) mod words;
