//! What a server orders by itself reaches the disk, and outlives the server.
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::time::{Duration, Instant};

use twinfeed_control::{
    Assignment, BY_ITSELF, DataState, MessagePlace, OrderOutcome, OrderRecord, OrderReport, Role,
};

use super::support::{Server, feed, offer, report};

/// Both adapters report this of their source, and how many messages stand in its stream.
fn say(server: &Server, pair: &[Assignment; 2], data: DataState, adm: u64) {
    let feeder = server.client("feeder");
    for seat in pair {
        let mut request = report(seat.incarnation.0, seat.generation, seat.role);
        let stream = &mut request.status.streams[0];
        (stream.data, stream.adm) = (data, adm);
        feeder.renew(&seat.adapter, &request).unwrap();
    }
}

fn orders(server: &Server) -> Vec<OrderRecord> {
    server.client("ops").orders(&feed()).unwrap()
}

/// Goes on saying so until the server has done something.
fn until<T>(
    server: &Server,
    pair: &[Assignment; 2],
    (data, adm): (DataState, u64),
    done: impl Fn(&Server) -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        say(server, pair, data, adm);
        if let Some(done) = done(server) {
            return done;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", orders(server));
        std::thread::sleep(INTERVAL);
    }
}

/// The last order, if it is of this kind.
fn last_is(word: &'static str) -> impl Fn(&Server) -> Option<OrderRecord> {
    move |server| {
        let last = orders(server).into_iter().next();
        last.filter(|order| order.message.word() == word)
    }
}

#[test]
fn a_silent_source_is_told_of_once_it_is_on_the_disk_and_remembered_by_the_next_server() {
    let server = Server::start();
    let feeder = server.client("feeder");
    let pair = [Role::Active, Role::Backup];
    let pair = pair.map(|role| feeder.register(&offer(role, role as u64 + 1)).unwrap());

    server.store.set_failing(true);
    until(&server, &pair, (DataState::Stale, 0), |server| {
        let status = server.client("ops").status().unwrap();
        (!status.server.store_up).then_some(())
    });
    assert_eq!(
        orders(&server),
        [],
        "an order that is not on the disk is none"
    );
    server.store.set_failing(false);
    let stale = until(
        &server,
        &pair,
        (DataState::Stale, 0),
        last_is("source-stale"),
    );
    assert_eq!((stale.operator.as_str(), stale.sid.0), (BY_ITSELF, 1));
    let told = feeder.register(&offer(Role::Active, 1)).unwrap().orders;
    assert_eq!(told.len(), 1, "the active is shown it: {told:?}");
    let place = MessagePlace {
        generation: stale.generation,
        number: 0,
        slot: 6,
        processed: 5,
        sseq: 9,
        attempts: 1,
        agreed: true,
    };
    let placed = OrderReport {
        incarnation: pair[0].incarnation,
        ticket: stale.ticket,
        outcome: OrderOutcome::Placed { place },
    };
    feeder.report_order(&pair[0].adapter, &placed).unwrap();

    let server = server.restart();
    until(
        &server,
        &pair,
        (DataState::Good, 1),
        last_is("source-restored"),
    );
    assert_eq!(orders(&server).len(), 2);
}

/// How long the server may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// From report to report.
const INTERVAL: Duration = Duration::from_millis(20);
