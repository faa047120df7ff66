//! An application that goes, and comes again as a new one.

use core::time::Duration;

use super::Fault;
use crate::world::World;

/// One application (drawn by chance) ends; another process of it joins after a while and remembers nothing.
#[derive(Debug)]
pub struct Visit {
    span: Duration,
    gone: Option<usize>,
}

impl Visit {
    /// It is back after `span`.
    #[must_use]
    pub fn away_for(span: Duration) -> Self {
        Self { span, gone: None }
    }
}

impl Fault for Visit {
    fn name(&self) -> &'static str {
        match self.gone {
            Some(_) => "subscriber_comes",
            None => "subscriber_goes",
        }
    }

    fn begins(&self) -> bool {
        self.gone.is_none()
    }

    fn strike(&mut self, world: &mut World) -> Option<Duration> {
        if let Some(subscriber) = self.gone {
            world.come(subscriber);
            return None;
        }
        self.gone = Some(world.send_one_away());
        Some(self.span)
    }
}
