//! Begins in mid-session with a snapshot, and prints best bid and offer of every instrument that changes: `late_join URL FEED
//! TOKEN_FILE`. A gap makes books suspect: then another snapshot is asked for.

use twinfeed_subscriber::book::{Books, Level};
use twinfeed_subscriber::record::{FIXED_PRICE_SCALE, MboMsg};
use twinfeed_subscriber::{
    Builder, Delivered, Event, FeedIndex, From, Handler, Piece, RecordBody, Sid,
};

struct App {
    books: Books,
    /// Source streams whose books are suspect.
    suspect: Vec<Sid>,
}

impl Handler for App {
    fn record(&mut self, record: &Delivered<'_>) {
        self.books.record(record);
        if let Some(order) = record.dbn::<MboMsg>() {
            self.show(record.pos.sid, order.hd.instrument_id.get());
        }
    }

    fn event(&mut self, event: &Event) {
        self.books.event(event);
        match event {
            Event::Gap { sid, .. } | Event::Divergence { sid, .. } => self.suspect.push(*sid),
            _ => {}
        }
        println!("{event:?}");
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        self.books.snapshot(sid, piece);
        match piece {
            Piece::Begin { cursor, orders, .. } => {
                println!("snapshot at {cursor}: {orders} orders");
            }
            Piece::End { .. } => {
                let instruments: Vec<u32> = self.books.instruments(sid).collect();
                for instrument in instruments {
                    self.show(sid, instrument);
                }
            }
            _ => {}
        }
    }
}

impl App {
    fn show(&self, sid: Sid, instrument: u32) {
        if let Some(top) = self.books.top(sid, instrument) {
            let (bid, ask) = (level(top.bid), level(top.ask));
            println!("{instrument}: {bid} – {ask} {:?}", top.trust);
        }
    }
}

fn level(level: Option<Level>) -> String {
    level.map_or("-".to_owned(), |level| {
        let price = level.price as f64 / FIXED_PRICE_SCALE as f64;
        format!("{} @ {price:.4}", level.size)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(feed), Some(token_file)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: late_join URL FEED TOKEN_FILE".into());
    };
    let (mut poller, control) = Builder::new(url, feed.parse()?)
        .token_file(token_file)
        .from(From::Snapshot)
        .open()?;
    let control = control.spawn()?;
    let mut app = App {
        books: Books::new(1),
        suspect: Vec::new(),
    };
    while !poller.is_closed() {
        let work = poller.poll(256, &mut app);
        for sid in app.suspect.drain(..) {
            poller.refresh(FeedIndex(0), sid);
        }
        poller.idle(work);
    }
    Ok(control.join()?)
}
