//! Who runs the control half when the application does not want to?

use std::thread::{self, JoinHandle};

use twinfeed_control::StopFlag;

use super::Control;
use crate::error::Error;
use crate::filter::FilterSwitch;
use crate::monitor::Monitor;
use crate::snapshots::Refresher;

/// Name of the library's thread.
const THREAD: &str = "tf-control";

impl Control {
    /// Starts a thread named `tf-control` that runs the control half.
    ///
    /// # Errors
    /// [`Error::Thread`] when it cannot be started.
    pub fn spawn(self) -> Result<ControlThread, Error> {
        let (stop, monitor) = (StopFlag::new(), self.monitor());
        let filter = self.filter_switch();
        let refresher = self.refresher();
        let flag = stop.clone();
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || self.run(&flag))
            .map_err(|error| Error::Thread {
                name: THREAD,
                cause: error.to_string(),
            })?;
        Ok(ControlThread {
            stop,
            monitor,
            filter,
            refresher,
            thread: Some(thread),
        })
    }
}

/// The running control half; dropping it tells it to end, without waiting.
#[derive(Debug)]
pub struct ControlThread {
    stop: StopFlag,
    monitor: Monitor,
    filter: FilterSwitch,
    refresher: Option<Refresher>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl ControlThread {
    /// A view for other threads.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// What changes the filter, for other threads.
    #[must_use]
    pub fn filter_switch(&self) -> FilterSwitch {
        self.filter.clone()
    }

    /// What wants snapshots in mid-session, for other threads; `None` where none are asked for: see [`crate::Builder::snapshots`].
    #[must_use]
    pub fn refresher(&self) -> Option<Refresher> {
        self.refresher.clone()
    }

    /// The flag that ends it, for a signal handler's thread.
    #[must_use]
    pub fn stop_flag(&self) -> StopFlag {
        self.stop.clone()
    }

    /// Ends the subscription and waits until it is given back: up to stream-admin's next sign of life (one
    /// second), or a request's time limit when stream-admin hangs.
    ///
    /// # Errors
    /// What ended the control half before, if something did.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stop.stop();
        self.wait()
    }

    /// Waits until the subscription ends by itself.
    ///
    /// # Errors
    /// What ended it, unless access was withdrawn or it was stopped.
    pub fn join(mut self) -> Result<(), Error> {
        self.wait()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn wait(&mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| {
            Err(Error::Thread {
                name: THREAD,
                cause: "it panicked; this is a defect of the library".to_owned(),
            })
        })
    }
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
