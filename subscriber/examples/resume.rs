//! Adds up the volume of every trade exactly once, whatever ends the program and however often: `resume URL FEED TOKEN_FILE
//! STATE_FILE`. Kill it, even with SIGKILL, start it again with the same file, and the sum goes on.
//!
//! The sum and the cursors are one state, kept in one file that is replaced as a whole. So there is no moment in which a
//! trade is in the sum and not behind the cursor, or the other way round. An application with a database writes both
//! in one transaction instead.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use twinfeed_subscriber::record::code::action;
use twinfeed_subscriber::record::{MboMsg, UNDEF_ORDER_SIZE};
use twinfeed_subscriber::{
    Builder, Cursors, Delivered, Event, Handler, RecordBody as _, ResetCause, Tail,
};

/// What the program would lose, and makes again, if it were killed.
const SAVE_EVERY: Duration = Duration::from_millis(200);

/// What is kept from one run to the next.
#[derive(Default)]
struct State {
    trades: u64,
    volume: u64,
    /// Whether records are missing for good: then the sum is too small, and says so.
    whole: bool,
    cursors: Cursors,
}

impl Handler for State {
    fn record(&mut self, record: &Delivered<'_>) {
        // In a feed by order a trade is a record of its own, beside the fill of the order that rested.
        let trade = record
            .dbn::<MboMsg>()
            .filter(|it| it.action == action::TRADE);
        if let Some(size) = trade.map(|trade| trade.size.get()) {
            self.trades += 1;
            if size != UNDEF_ORDER_SIZE {
                self.volume += u64::from(size);
            }
        }
        // Last, when the record has had its effect.
        self.cursors.record(record);
    }

    fn withheld(&mut self, record: &Delivered<'_>) {
        // There is no filter here. With one, what it withholds is passed all the same.
        self.cursors.record(record);
    }

    fn event(&mut self, event: &Event) {
        let tail_unknown = |cause: &ResetCause| {
            matches!(
                cause,
                ResetCause::Epoch {
                    tail: Tail::Unknown,
                    ..
                }
            )
        };
        self.whole &= match event {
            Event::Gap { .. } => false,
            Event::Reset { cause, .. } => !tail_unknown(cause),
            _ => true,
        };
        println!("{event:?}");
        self.cursors.event(event);
    }
}

impl State {
    /// The state of an earlier run, or that of none.
    fn load(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let whole = true;
                return Ok(Self {
                    whole,
                    ..Self::default()
                });
            }
            Err(error) => return Err(error.into()),
        };
        let mut lines = text.lines();
        let sums: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [trades, volume, whole] = sums[..] else {
            return Err(format!("{}: no sums in its first line", path.display()).into());
        };
        let cursors: Result<Vec<_>, _> = lines.map(str::parse).collect();
        Ok(Self {
            trades: trades.parse()?,
            volume: volume.parse()?,
            whole: whole.parse()?,
            cursors: Cursors::resumed(cursors?),
        })
    }

    /// Replaces the file as a whole, so that whoever reads it sees this state or the one before.
    fn save(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        writeln!(file, "{} {} {}", self.trades, self.volume, self.whole)?;
        for cursor in self.cursors.iter() {
            writeln!(file, "{cursor}")?;
        }
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The directory's entry, too, must outlive the host.
        File::open(
            path.parent()
                .filter(|it| it != &Path::new(""))
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next();
    let (Some(url), Some(feed), Some(token_file), Some(path)) = (next(), next(), next(), next())
    else {
        return Err("usage: resume URL FEED TOKEN_FILE STATE_FILE".into());
    };
    let path = PathBuf::from(path);
    let mut state = State::load(&path)?;
    println!("{} trades so far, volume {}", state.trades, state.volume);
    let (mut poller, control) = Builder::new(url, feed.parse()?)
        .token_file(token_file)
        .resume(state.cursors.iter().copied())
        .open()?;
    let control = control.spawn()?;
    let mut saved = Instant::now();
    while !poller.is_closed() {
        let work = poller.poll(256, &mut state);
        if saved.elapsed() >= SAVE_EVERY {
            state.save(&path)?;
            saved = Instant::now();
        }
        poller.idle(work);
    }
    state.save(&path)?;
    println!(
        "{} trades, volume {}, whole: {}",
        state.trades, state.volume, state.whole
    );
    Ok(control.join()?)
}
