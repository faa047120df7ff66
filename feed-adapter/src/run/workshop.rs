//! How does the workshop's thread begin, and who hears of what it makes?

use std::io;

use crossbeam::channel::Receiver;
use twinfeed_wire::Sid;
use twinfeed_wire::link::{ContextTaken, Frame};

use crate::config::Config;
use crate::link::voice::Voice;
use crate::mailbox::{Command, Mailbox};
use crate::transfer::workshop::{Errand, Made, Output, Workshop};

/// Starts the thread, named `workshop`; it ends when nobody is left who could ask for something.
pub(super) fn start(
    config: &Config,
    errands: Receiver<Errand>,
    mailbox: Mailbox,
    voice: Voice,
) -> io::Result<()> {
    let mut workshop = Workshop::new(
        config.itch50_settings(),
        config.trading_day,
        config.pair.context_buffer,
    );
    if config.pair.context_transfer {
        workshop.set_aside();
    }
    let told = ToBoth { mailbox, voice };
    std::thread::Builder::new()
        .name("workshop".to_owned())
        .spawn(move || workshop.run(&errands, told))
        .map(drop)
}

struct ToBoth {
    mailbox: Mailbox,
    voice: Voice,
}

impl Output for ToBoth {
    fn made(&mut self, sid: Sid, transfer: u32, made: Made) -> bool {
        self.mailbox.tell(Command::Made(sid, transfer, made))
    }

    fn taken(&mut self, pairing: u64, taken: ContextTaken) {
        self.voice.say(pairing, Frame::ContextTaken(taken));
    }
}
