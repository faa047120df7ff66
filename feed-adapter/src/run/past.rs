//! How does the thread that fetches pasts begin, and who hears of what it fetched?

use std::io;

use crossbeam::channel::Receiver;

use crate::config::Config;
use crate::error::AdapterError;
use crate::mailbox::{Command, Mailbox};
use crate::source::soup::past::{Errand, Fetcher};

/// Starts the thread, named `past`, if a source's past may be fetched; it ends when nobody is left who could ask for one.
pub(super) fn start(
    config: &Config,
    errands: Receiver<Errand>,
    mailbox: Mailbox,
) -> Result<(), AdapterError> {
    let (mut sources, mut snapshots) = (Vec::new(), Vec::new());
    for source in &config.sources {
        if let Some(servers) = source.snapshot_servers()? {
            snapshots.push((source.sid, servers));
        }
        let wanted = source.soup.as_ref().is_some_and(|soup| soup.past);
        if let Some(servers) = source.servers()?.filter(|_| wanted) {
            sources.push((source.sid, servers));
        }
    }
    if sources.is_empty() && snapshots.is_empty() {
        return Ok(());
    }
    let fetcher = Fetcher::new(
        (config.itch50_settings(), config.trading_day),
        config.pair.context_buffer,
        sources,
        snapshots,
        Box::new(move |sid, attempt, fetched| {
            mailbox.tell(Command::Fetched(sid, attempt, fetched))
        }),
    );
    let started: io::Result<_> = std::thread::Builder::new()
        .name("past".to_owned())
        .spawn(move || fetcher.run(&errands));
    started
        .map(drop)
        .map_err(AdapterError::system("start the thread that fetches pasts"))
}
