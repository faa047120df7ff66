//! Would the simulated world notice if a machine were wrong?
//!
//! A *mutant* is one deliberate fault: an edit of a machine's source, written down in `list/`. All of them are built into
//! one copy of the machines at once, each as a choice that is made when the copy starts, so that there is one build and
//! not one per mutant. A mutant is *caught* when some seed's world breaks a promise under it and keeps it without.
//!
//! ```text
//!  list/*.toml ─► inject ─► a copy of the workspace below target/ ─► one program ─┬─ mutant 1, seed 12 ─► caught
//!  the sources ──────┘                                                            ├─ mutant 2, seed 3  ─► caught
//!                                                                                 └─ none, all of them ─► no violation
//! ```
//!
//! **Invariant:** nothing in the machines knows of mutants; what is shipped has no such choice in it.
#![forbid(unsafe_code)]

pub mod caught;
pub mod inject;
pub mod list;
pub mod page;
pub mod trial;
pub mod workshop;
pub mod worlds;
