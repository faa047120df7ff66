//! Prints best bid and offer of one instrument whenever they change: `top_of_book URL FEED TOKEN_FILE
//! INSTRUMENT`. What each event does to the book stands in `twinfeed_subscriber::book`.

use twinfeed_subscriber::book::{Books, Level, Top, Trust};
use twinfeed_subscriber::record::FIXED_PRICE_SCALE;
use twinfeed_subscriber::{Builder, Delivered, Event, Handler, Sid};

struct Watch {
    books: Books,
    instrument: u32,
    sid: Option<Sid>,
    shown: Option<Top>,
}

impl Watch {
    fn show(&mut self) {
        let top = self
            .sid
            .and_then(|sid| self.books.top(sid, self.instrument));
        if top == self.shown {
            return;
        }
        self.shown = top;
        match top {
            None => println!("no book"),
            Some(top) => println!(
                "{} – {}{}{}",
                level(top.bid),
                level(top.ask),
                if top.trust == Trust::Suspect {
                    "  suspect"
                } else {
                    ""
                },
                if top.stale { "  stale" } else { "" },
            ),
        }
    }
}

impl Handler for Watch {
    fn record(&mut self, record: &Delivered<'_>) {
        self.sid = Some(record.pos.sid);
        self.books.record(record);
        self.show();
    }

    fn event(&mut self, event: &Event) {
        // The books do what the table in the crate's documentation says.
        self.books.event(event);
        self.show();
    }
}

fn level(level: Option<Level>) -> String {
    level.map_or("-".to_owned(), |level| {
        let (whole, rest) = (
            level.price / FIXED_PRICE_SCALE,
            level.price % FIXED_PRICE_SCALE,
        );
        format!("{} @ {whole}.{:04}", level.size, rest / 100_000)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(feed), Some(token_file), Some(instrument)) = (
        arguments.next(),
        arguments.next(),
        arguments.next(),
        arguments.next(),
    ) else {
        return Err("usage: top_of_book URL FEED TOKEN_FILE INSTRUMENT".into());
    };
    let (mut poller, control) = Builder::new(url, feed.parse()?)
        .token_file(token_file)
        .open()?;
    let control = control.spawn()?;
    let mut watch = Watch {
        books: Books::new(1),
        instrument: instrument.parse()?,
        sid: None,
        shown: None,
    };
    poller.run(&mut watch, &control.stop_flag())?;
    Ok(control.join()?)
}
