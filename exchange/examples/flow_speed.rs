//! How many messages a second does one core generate, pack and put on two lines?
//!
//! `cargo run --release -p twinfeed-exchange --example flow_speed`

use std::time::Instant;

use twinfeed_exchange::exchange::{Exchange, Sink};
use twinfeed_exchange::flow::{Flow, FlowConfig};
use twinfeed_exchange::{Content, ExchangeConfig, LineId};

const MESSAGES: u64 = 5_000_000;

/// Counts bytes, so that nothing is optimised away.
struct Counter(u64);

impl Sink for Counter {
    fn packet(&mut self, _: LineId, packet: &[u8]) {
        self.0 += packet.len() as u64;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let mut flow = Flow::new(FlowConfig::default(), 1, 0, MESSAGES);
    let bytes: u64 = (0..MESSAGES)
        .map(|index| flow.next(index * 200).len() as u64)
        .sum();
    report("flow alone", bytes, begin);

    let mut config = ExchangeConfig::default();
    config.sessions.messages = std::num::NonZeroU64::new(MESSAGES);
    config.sessions.count = Some(1);
    let content = Content::load(&config)?;
    let mut exchange = Exchange::new(config, content)?;
    let (mut counter, mut now_ns) = (Counter(0), 0);
    let begin = Instant::now();
    while !exchange.is_done() {
        exchange.poll(now_ns, &mut counter);
        now_ns += 100_000;
    }
    report("exchange, both lines", counter.0, begin);
    Ok(())
}

fn report(what: &str, bytes: u64, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    let rate = MESSAGES as f64 / seconds / 1e6;
    println!("{what}: {MESSAGES} messages, {bytes} bytes, {seconds:.2} s, {rate:.2} M/s");
}
