//! How does a signal become a value that a thread can wait for?

use crossbeam::channel::{Receiver, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use twinfeed_control::StopFlag;

use crate::error::AdapterError;

/// A thread that waits for signals; the first TERM or INT also ends every wait for stream-admin.
pub(crate) fn signals(stop: StopFlag) -> Result<Receiver<i32>, AdapterError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(AdapterError::system("listen to signals"))?;
    let (sending, receiving) = unbounded();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if signal != SIGHUP {
                    stop.stop();
                }
                if sending.send(signal).is_err() {
                    return;
                }
            }
        })
        .map_err(AdapterError::system("start the signals' thread"))?;
    Ok(receiving)
}
