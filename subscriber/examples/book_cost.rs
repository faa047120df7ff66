//! What does a record cost a book? `book_cost SHAPE [RECORDS]` applies a made-up session and prints the time per record; `near`: prices
//! within 160 of the middle, as most orders of a venue are, `wide`: half a million prices on each side. Ten instruments, 20,000 orders at a
//! time for `near`, 500,000 for `wide`; half of the records are adds, the rest cancels, partial cancels and modifies.
//!
//! For counts instead of times: `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*apply_all*' …`.

use std::hint::black_box;
use std::time::Instant;

use twinfeed_subscriber::Sid;
use twinfeed_subscriber::book::Books;
use twinfeed_subscriber::record::MboMsg;
use twinfeed_subscriber::record::code::{action, side};

/// A session of so many records, the same every time.
fn session(records: usize, resting_orders: usize, prices: u64) -> Vec<MboMsg> {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut resting: Vec<MboMsg> = Vec::with_capacity(resting_orders);
    let mut session = Vec::with_capacity(records);
    for id in 1.. {
        if session.len() == records {
            break;
        }
        if resting.len() < resting_orders && (session.len() < resting_orders || random(2) == 0) {
            let bid = random(2) == 0;
            // Near the middle more often than far.
            let distance = (random(prices) * (1 + random(prices)) / prices) as i64;
            let mut record = MboMsg {
                order_id: id.into(),
                price: if bid { -distance } else { 1 + distance }.into(),
                size: (2 + random(500) as u32).into(),
                action: action::ADD,
                side: if bid { side::BID } else { side::ASK },
                ..MboMsg::default()
            };
            record.hd.instrument_id = (1 + random(10) as u32).into();
            session.push(record);
            resting.push(record);
            continue;
        }
        let at = random(resting.len() as u64) as usize;
        let mut record = resting[at];
        match random(8) {
            0 => {
                record.action = action::MODIFY;
                record.size = (2 + random(500) as u32).into();
                resting[at].size = record.size;
            }
            1 if record.size.get() > 1 => {
                record.action = action::CANCEL;
                record.size = 1.into();
                resting[at].size -= 1;
            }
            _ => {
                record.action = action::CANCEL;
                resting.swap_remove(at);
            }
        }
        session.push(record);
    }
    session
}

#[inline(never)]
fn apply_all(books: &mut Books, session: &[MboMsg]) -> usize {
    let wrong = |record| books.apply(Sid(1), record).iter().count();
    session.iter().map(wrong).sum()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let shape = arguments.next().unwrap_or_default();
    let records = arguments
        .next()
        .map_or(Ok(2_000_000), |word| word.parse())?;
    let (resting, prices) = match shape.as_str() {
        "near" => (20_000, 160),
        "wide" => (500_000, 500_000),
        _ => return Err("usage: book_cost near|wide [RECORDS]".into()),
    };
    let session = session(records, resting, prices);
    let mut books = Books::new(1);
    let (first, second) = session.split_at(session.len() / 2);
    let warm_up = Instant::now();
    let mut wrong = apply_all(&mut books, first);
    let warm_up = warm_up.elapsed();
    let start = Instant::now();
    wrong += apply_all(&mut books, black_box(second));
    let elapsed = start.elapsed();
    if wrong > 0 {
        return Err(format!("{wrong} records did not fit").into());
    }
    println!(
        "{shape}: {} orders rest, {} ns per record ({} ns while warming up)",
        books.orders(Sid(1)),
        elapsed.as_nanos() / second.len() as u128,
        warm_up.as_nanos() / first.len() as u128,
    );
    Ok(())
}
