//! Would the death of one adapter be invisible?
//!
//! *Protected* means: both legs live, the link up at both ends, equal epoch and context id for every source
//! stream, and both would place the next administrative message (RM-28). Everything else is *unprotected*, with the first reason found. A leg that has
//! not reported since this server started is not live, so a restarted server calls every pair
//! unprotected until both ends have spoken (RM-28).

use twinfeed_control::{
    AdapterStatus, ConfigDigest, Generation, LegIndex, LegState, LinkState, PairState, Role,
    StreamPair, StreamStatus, TransmitMode,
};

/// One leg, as far as protection is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg<'a> {
    pub(super) state: LegState,
    pub(super) reason: &'a str,
    pub(super) role: Option<Role>,
    pub(super) config_digest: Option<ConfigDigest>,
    pub(super) report: Option<&'a AdapterStatus>,
}

/// Why the pair is not protected; `None` when it is.
pub(super) fn unprotected_because(
    generation: Generation,
    (sync_threshold, transmit): (u64, TransmitMode),
    legs: [Leg<'_>; 2],
) -> Option<String> {
    for (index, leg) in LegIndex::BOTH.iter().zip(&legs) {
        let unfit = alone_unfit(generation, sync_threshold, leg).or_else(|| {
            let has = leg.report.map(|report| report.transmit)?;
            (has != transmit).then(|| format!("transmits {has}, the feed is {transmit}"))
        });
        if let Some(reason) = unfit {
            return Some(format!("leg {index}: {reason}"));
        }
    }
    let [one, two] = legs;
    if one.config_digest != two.config_digest {
        return Some("the legs convert by different configurations".to_owned());
    }
    match (one.report, two.report) {
        (Some(one), Some(two)) => differing_streams(&one.streams, &two.streams),
        _ => Some("a leg has not reported".to_owned()),
    }
}

fn alone_unfit(generation: Generation, sync_threshold: u64, leg: &Leg<'_>) -> Option<String> {
    if leg.state != LegState::Live {
        return Some(format!("{} ({})", leg.state, leg.reason));
    }
    let report = leg.report?;
    if report.generation != generation || Some(report.role) != leg.role {
        let (has, role) = (report.generation, report.role);
        return Some(format!("still acts as {role} of generation {has}"));
    }
    if report.link != LinkState::Up {
        return Some(format!(
            "pair link {}{}",
            report.link,
            after_colon(&report.reason)
        ));
    }
    if report.peer_lost {
        return Some("announces its peer as lost".to_owned());
    }
    if report.draining {
        return Some("is leaving".to_owned());
    }
    if report.sync_threshold != sync_threshold {
        let has = report.sync_threshold;
        return Some(format!(
            "runs with T = {has}, the feed has {sync_threshold}"
        ));
    }
    None
}

fn differing_streams(one: &[StreamStatus], two: &[StreamStatus]) -> Option<String> {
    for stream in one {
        let sid = stream.sid;
        let Some(twin) = two.iter().find(|twin| twin.sid == sid) else {
            return Some(format!("sid {sid} is on leg 0 only"));
        };
        if stream.next_pos.epoch != twin.next_pos.epoch {
            return Some(format!("sid {sid}: the legs are in different epochs"));
        }
        if stream.context_id != twin.context_id {
            return Some(format!("sid {sid}: the legs have different contexts"));
        }
        if let Some(reason) = out_of_step(&stream.pair, &twin.pair) {
            return Some(format!("sid {sid}: {reason}"));
        }
    }
    let alone = two
        .iter()
        .find(|twin| !one.iter().any(|stream| stream.sid == twin.sid));
    alone.map(|twin| format!("sid {} is on leg 1 only", twin.sid))
}

/// Why the two would not place the next administrative message at the same place.
fn out_of_step(one: &StreamPair, two: &StreamPair) -> Option<String> {
    let (active, backup) = match (one.state, two.state) {
        (PairState::Active, _) => (one, two),
        (_, PairState::Active) => (two, one),
        (one, two) => return Some(format!("nobody is active: {one} and {two}")),
    };
    if backup.state != PairState::Synchronised {
        let (state, reason) = (backup.state, after_colon(&backup.reason));
        return Some(format!("the backup is {state}{reason}"));
    }
    let waits = !(active.protected && backup.protected);
    waits.then(|| "a message was placed that the other end has not agreed to".to_owned())
}

fn after_colon(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use twinfeed_control::{ContextId, DataState, Epoch, Pos, Sid};

    use super::*;

    fn stream(sid: u32, epoch: u64, context: u64) -> StreamStatus {
        StreamStatus {
            sid: Sid(sid),
            sending: true,
            standby: false,
            suspicion: String::new(),
            next_msn: 5,
            next_pos: Pos {
                sid: Sid(sid),
                epoch: Epoch(epoch),
                sseq: 1,
                part: 0,
            },
            adm: 0,
            context_id: ContextId(context),
            complete: true,
            data: DataState::Good,
            reason: String::new(),
            pair: StreamPair {
                protected: true,
                ..StreamPair::default()
            },
        }
    }

    fn report(role: Role) -> AdapterStatus {
        let state = match role {
            Role::Active => PairState::Active,
            Role::Backup => PairState::Synchronised,
        };
        let mut streams = vec![stream(1, 7, 9), stream(2, 7, 9)];
        for stream in &mut streams {
            stream.pair.state = state;
        }
        AdapterStatus {
            generation: Generation(3),
            role,
            sync_threshold: 64,
            transmit: TransmitMode::Hot,
            link: LinkState::Up,
            reason: String::new(),
            peer_lost: false,
            draining: false,
            streams,
            lines: Vec::new(),
            kernel_drops: 0,
            counters: BTreeMap::new(),
        }
    }

    fn judge(one: &AdapterStatus, two: &AdapterStatus) -> Option<String> {
        let leg = |role, report| Leg {
            state: LegState::Live,
            reason: "",
            role: Some(role),
            config_digest: Some(ConfigDigest(1)),
            report: Some(report),
        };
        let legs = [leg(Role::Active, one), leg(Role::Backup, two)];
        unprotected_because(Generation(3), (64, TransmitMode::Hot), legs)
    }

    /// Every way to lose protection, one at a time, with the words that must name it.
    #[test]
    fn each_missing_condition_is_named() {
        type Change = fn(&mut AdapterStatus);
        let table: [(Change, &str); 15] = [
            (|r| r.generation = Generation(2), "generation 2"),
            (|r| r.role = Role::Active, "still acts as active"),
            (|r| r.link = LinkState::Down, "pair link down"),
            (|r| r.peer_lost = true, "peer as lost"),
            (|r| r.draining = true, "leaving"),
            (|r| r.sync_threshold = 65, "T = 65"),
            (|r| r.transmit = TransmitMode::Standby, "transmits standby"),
            (
                |r| r.streams[1].next_pos.epoch = Epoch(8),
                "sid 2: the legs are in different epochs",
            ),
            (
                |r| r.streams[0].context_id = ContextId(8),
                "sid 1: the legs have different contexts",
            ),
            (
                |r| r.streams[1].pair.state = PairState::Resyncing,
                "sid 2: the backup is resyncing",
            ),
            (
                |r| {
                    r.streams[0].pair.state = PairState::Unsynchronised;
                    r.streams[0].pair.reason = "why".to_owned();
                },
                "sid 1: the backup is unsynchronised: why",
            ),
            (
                |r| r.streams[0].pair = StreamPair::default(),
                "sid 1: the backup is unknown",
            ),
            (|r| r.streams[0].pair.protected = false, "sid 1: a message"),
            (|r| drop(r.streams.pop()), "sid 2 is on leg 0 only"),
            (
                |r| r.streams.push(stream(3, 7, 9)),
                "sid 3 is on leg 1 only",
            ),
        ];
        assert_eq!(judge(&report(Role::Active), &report(Role::Backup)), None);
        for (change, words) in table {
            let mut backup = report(Role::Backup);
            change(&mut backup);
            let reason = judge(&report(Role::Active), &backup).expect(words);
            assert!(reason.contains(words), "{reason} should contain {words}");
        }
    }

    #[test]
    fn a_leg_that_is_not_live_and_digests_that_differ_are_named() {
        let (one, two) = (report(Role::Active), report(Role::Backup));
        let live = Leg {
            state: LegState::Live,
            reason: "",
            role: Some(Role::Active),
            config_digest: Some(ConfigDigest(1)),
            report: Some(&one),
        };
        let twin = Leg {
            role: Some(Role::Backup),
            report: Some(&two),
            ..live
        };
        let lapsed = Leg {
            state: LegState::Lapsed,
            reason: "no renewal",
            ..twin
        };
        let reason =
            unprotected_because(Generation(3), (64, TransmitMode::Hot), [live, lapsed]).unwrap();
        assert_eq!(reason, "leg 1: lapsed (no renewal)");
        let other = Leg {
            config_digest: Some(ConfigDigest(2)),
            ..twin
        };
        assert!(
            unprotected_because(Generation(3), (64, TransmitMode::Hot), [live, other]).is_some()
        );
    }
}
