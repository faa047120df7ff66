//! What does a test let go wrong in this process, and at which exact place?
//!
//! A signal from outside cannot hit the microsecond between two datagrams. So a debug build can be told to kill
//! itself, and before that not to hear or not to say something:
//!
//! ```text
//!  TWINFEED_TEST_KILL=sent,from=2           read once at the start; a wrong value is refused
//!
//!  order ─► gathered ─► originates ─► said ─► peer ─► is_deaf_to ─► slot ─► reaches_only ─► sent
//! ```
//!
//! Or to convert wrongly: `TWINFEED_TEST_WRONG_PRICE=5000..9000/7`, see `wrong_price`. Or, as backup, to judge announcements
//! at exact distances from their slots: `TWINFEED_TEST_DISTANCE=16:1,0,-1`, see `distance`.
//!
//! The functions here are the places, called by the data thread on its way. Without the variables they do nothing;
//! in a release build they are empty and nobody reads a variable. What is done there is in `planned`.

#[cfg(debug_assertions)]
mod distance;
#[cfg(debug_assertions)]
mod planned;
#[cfg(debug_assertions)]
mod wrong_price;

use twinfeed_net::udp::{Destinations, ReceiverConfig};
use twinfeed_wire::link::Frame;
use twinfeed_wire::{Adm, Msn};

use crate::config::ConfigError;
use crate::decode::Parts;
use crate::link::notice::Heard;
use crate::mailbox::Ordered;

/// What `variable` holds, if it is set, is the plan from here on; `example` shows how it is written, `what` says what it does.
#[cfg(debug_assertions)]
fn read_plan<T: std::fmt::Debug>(
    plan: &std::sync::OnceLock<T>,
    variable: &'static str,
    (example, what): (&str, &str),
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<(), ConfigError> {
    let Some(text) = std::env::var_os(variable) else {
        return Ok(());
    };
    let read = read(&text.to_string_lossy()).map_err(|fault| {
        ConfigError::new(
            variable,
            fault,
            format!("unset it, or write it as {example}"),
        )
    })?;
    tracing::warn!(plan = ?read, "{variable} is set: {what}");
    let _ = plan.set(read);
    Ok(())
}

/// Reads the variables, before the data thread starts.
///
/// # Errors
/// Names what no fault is called.
pub(crate) fn read_environment() -> Result<(), ConfigError> {
    #[cfg(debug_assertions)]
    {
        distance::read_environment()?;
        planned::read_environment()?;
        wrong_price::read_environment()?;
    }
    Ok(())
}

/// How a line's packets are taken: one at a time where a source is to stop at an exact place.
pub(crate) fn taken(setup: ReceiverConfig) -> ReceiverConfig {
    #[cfg(debug_assertions)]
    if distance::is_planned() {
        return setup.batch(1);
    }
    setup
}

/// Whether the source must wait, so many records being processed.
#[inline]
pub(crate) fn source_waits(processed: Msn) -> bool {
    #[cfg(debug_assertions)]
    {
        distance::here(|distances| distances.source_waits(processed)).unwrap_or(false)
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = processed;
        false
    }
}

/// Whether this is not heard now but comes from [`ripe`] later.
#[inline]
pub(crate) fn keeps_back(heard: &Heard, processed: Msn) -> bool {
    #[cfg(debug_assertions)]
    {
        distance::here(|distances| distances.keeps_back(heard, processed)).unwrap_or(false)
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = (heard, processed);
        false
    }
}

/// The next word of the peer's that was kept back and is to be heard now.
#[inline]
pub(crate) fn ripe(processed: Msn) -> Option<Frame> {
    #[cfg(debug_assertions)]
    {
        distance::here(|distances| distances.ripe(processed)).flatten()
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = processed;
        None
    }
}

/// Source message `sseq` was converted to these records.
#[inline]
pub(crate) fn converted(sseq: u64, parts: &mut Parts) {
    #[cfg(debug_assertions)]
    wrong_price::converted(sseq, parts);
    #[cfg(not(debug_assertions))]
    let _ = (sseq, parts);
}

/// Orders that are carried out now that this one came.
#[inline]
pub(crate) fn gathered(ordered: Ordered) -> impl Iterator<Item = Ordered> {
    #[cfg(debug_assertions)]
    {
        planned::here(|faults| faults.gathered(ordered)).map_or_else(
            || Some(ordered).into_iter().chain(Vec::new()),
            |all| None.into_iter().chain(all),
        )
    }
    #[cfg(not(debug_assertions))]
    {
        std::iter::once(ordered)
    }
}

/// An administrative message is about to be originated under this number.
#[inline]
pub(crate) fn originates(number: Adm) {
    #[cfg(debug_assertions)]
    planned::here(|faults| faults.originates(number));
    #[cfg(not(debug_assertions))]
    let _ = number;
}

/// What is said to the peer now that this is to be.
#[inline]
pub(crate) fn said(frame: Frame) -> impl Iterator<Item = Frame> {
    #[cfg(debug_assertions)]
    {
        planned::here(|faults| faults.said(frame)).map_or_else(
            || Some(frame).into_iter().chain(Vec::new()),
            |all| None.into_iter().chain(all),
        )
    }
    #[cfg(not(debug_assertions))]
    {
        std::iter::once(frame)
    }
}

/// The kernel has this commitment.
#[inline]
pub(crate) fn committed(frame: &Frame) {
    #[cfg(debug_assertions)]
    planned::here(|faults| faults.committed(frame));
    #[cfg(not(debug_assertions))]
    let _ = frame;
}

/// Whether this word of the peer's is not heard.
#[inline]
pub(crate) fn is_deaf_to(frame: &Frame) -> bool {
    #[cfg(debug_assertions)]
    {
        planned::here(|faults| faults.is_deaf_to(frame)).unwrap_or(false)
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = frame;
        false
    }
}

/// Whom alone this datagram reaches; `None`: everybody.
#[inline]
pub(crate) fn reaches_only(bytes: &[u8], everybody: &Destinations) -> Option<Destinations> {
    #[cfg(debug_assertions)]
    {
        planned::here(|faults| faults.reaches_only(bytes, everybody)).flatten()
    }
    #[cfg(not(debug_assertions))]
    {
        let _ = (bytes, everybody);
        None
    }
}

/// The datagrams handed over so far are with the kernel.
#[inline]
pub(crate) fn sent() {
    #[cfg(debug_assertions)]
    planned::here(planned::Faults::sent);
}
