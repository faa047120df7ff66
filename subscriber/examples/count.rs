//! Counts records, once a second: `count URL FEED TOKEN_FILE`. Shows the poll loop itself, for
//! applications that have other work on the same thread.

use std::time::{Duration, Instant};

use twinfeed_subscriber::{Builder, Delivered, Event, Handler, Leg};

#[derive(Default)]
struct Count {
    records: u64,
    from: [u64; 2],
    gaps: u64,
    switches: u64,
}

impl Handler for Count {
    fn record(&mut self, record: &Delivered<'_>) {
        self.records += 1;
        self.from[record.leg.index()] += 1;
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Gap { .. } | Event::AdministrativeGap { .. } => self.gaps += 1,
            Event::Switched(_) => self.switches += 1,
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(feed), Some(token_file)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: count URL FEED TOKEN_FILE".into());
    };
    let (mut poller, control) = Builder::new(url, feed.parse()?)
        .token_file(token_file)
        .open()?;
    let control = control.spawn()?;
    let mut count = Count::default();
    let mut next = Instant::now() + Duration::from_secs(1);
    while !poller.is_closed() {
        let work = poller.poll(256, &mut count);
        if Instant::now() >= next {
            next += Duration::from_secs(1);
            let [zero, one] = Leg::BOTH.map(|leg| count.from[leg.index()]);
            let (records, gaps, switches) = (count.records, count.gaps, count.switches);
            println!("{records} records ({zero} + {one}), {gaps} gaps, {switches} switches");
        }
        poller.idle(work);
    }
    Ok(control.join()?)
}
