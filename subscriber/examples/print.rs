//! Prints every record and event of a feed: `print URL FEED TOKEN_FILE`.

use twinfeed_subscriber::record::RecordRef;
use twinfeed_subscriber::{Builder, Delivered, Event, Handler, RecordBody};

struct Print;

impl Handler for Print {
    fn record(&mut self, record: &Delivered<'_>) {
        match record.any_dbn() {
            Some(RecordRef::Mbo(order)) => println!(
                "{} instrument {} order {} {}{} {} @ {}",
                record.pos,
                order.hd.instrument_id,
                order.order_id,
                char::from(order.action),
                char::from(order.side),
                order.size,
                order.price,
            ),
            Some(other) => println!("{} type {:#04x}", record.pos, other.header().rtype),
            None => println!(
                "{} {:?}, {} bytes",
                record.pos,
                record.kind,
                record.body.len()
            ),
        }
    }

    fn event(&mut self, event: &Event) {
        println!("-- {event:?}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(feed), Some(token_file)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: print URL FEED TOKEN_FILE".into());
    };
    let builder = Builder::new(url, feed.parse()?).token_file(token_file);
    let (mut poller, control) = builder.open()?;
    let control = control.spawn()?;
    poller.run(&mut Print, &control.stop_flag())?;
    Ok(control.join()?)
}
