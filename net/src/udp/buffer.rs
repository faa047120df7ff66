//! How much buffer did the kernel grant, and what must be set to get what was asked for?

use std::fmt;

/// Which of a socket's two buffers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// `SO_RCVBUF`, bounded by `net.core.rmem_max`.
    Receive,
    /// `SO_SNDBUF`, bounded by `net.core.wmem_max`.
    Send,
}

impl Direction {
    /// The sysctl that bounds it.
    pub fn sysctl(self) -> &'static str {
        match self {
            Self::Receive => "net.core.rmem_max",
            Self::Send => "net.core.wmem_max",
        }
    }
}

/// A buffer as it was asked for and as it was read back. Whether a clamp is an error is for the
/// caller to say; [`fmt::Display`] says what to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct BufferReport {
    /// Which buffer.
    pub direction: Direction,
    /// Bytes asked for; `None` left the host's default.
    pub requested: Option<usize>,
    /// Bytes granted: half of what getsockopt(2) says, as the kernel doubles requests to account
    /// for its own bookkeeping (socket(7)).
    pub granted: usize,
}

impl BufferReport {
    /// Whether the kernel granted less than asked for.
    pub fn is_clamped(&self) -> bool {
        self.requested
            .is_some_and(|requested| self.granted < requested)
    }
}

impl fmt::Display for BufferReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.direction {
            Direction::Receive => "receive buffer",
            Direction::Send => "send buffer",
        };
        let granted = self.granted;
        match self.requested {
            Some(requested) if self.is_clamped() => {
                let sysctl = self.direction.sysctl();
                write!(
                    f,
                    "{name} of {requested} bytes was clamped to {granted}; set it with `sysctl -w \
                     {sysctl}={requested}`"
                )
            }
            _ => write!(f, "{name} of {granted} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clamp_names_the_sysctl_and_both_sizes() {
        let report = |granted| BufferReport {
            direction: Direction::Receive,
            requested: Some(1_000),
            granted,
        };
        assert!(!report(1_000).is_clamped() && report(999).is_clamped());
        assert_eq!(report(1_000).to_string(), "receive buffer of 1000 bytes");
        assert_eq!(
            report(999).to_string(),
            "receive buffer of 1000 bytes was clamped to 999; set it with `sysctl -w \
             net.core.rmem_max=1000`"
        );
    }
}
