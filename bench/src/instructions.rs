//! Which path's instructions are to be counted?
//!
//! Takes one path so often and says how often; `bench/instructions` runs it under callgrind, which counts inside of the
//! functions that the benches time ([`decode`]'s `take_slots`, [`arbiter`]'s `hand_over`) and nowhere else.

use crate::error::Error;
use crate::{arbiter, decode};

/// Which path, and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// What is done.
    path: Way,
    /// With at least so many messages.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    messages: u64,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Way {
    /// An adapter takes trades in.
    Trades,
    /// An adapter takes in what touches 100,000 resting orders.
    Mix,
    /// An arbiter is handed one leg, a record in each datagram.
    OneLeg1,
    /// Both legs.
    BothLegs1,
    /// One leg, 16 records in each datagram.
    OneLeg16,
    /// Both legs, likewise.
    BothLegs16,
}

/// Does it and prints how many messages those were; returns whether all came through.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    if args.messages == 0 {
        let fault = "at least 1".to_owned();
        return Err(Error::Flag {
            flag: "--messages",
            fault,
        });
    }
    let done = match args.path {
        Way::Trades => decode::take_trades(args.messages),
        Way::Mix => decode::take_mix(args.messages),
        Way::OneLeg1 => arbiter::hand_over(false, 1, args.messages),
        Way::BothLegs1 => arbiter::hand_over(true, 1, args.messages),
        Way::OneLeg16 => arbiter::hand_over(false, 16, args.messages),
        Way::BothLegs16 => arbiter::hand_over(true, 16, args.messages),
    };
    if let Some(messages) = done {
        println!("{messages}");
    }
    Ok(done.is_some())
}
