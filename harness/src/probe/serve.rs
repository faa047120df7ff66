//! The probe's own process: subscribe, poll, check, answer.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, unbounded};
use hdrhistogram::Histogram;
use socket2::SockFilter;
use twinfeed_control::{Epoch, FeedName, StopFlag};
use twinfeed_net::clock::{self, Reading};
use twinfeed_subscriber::{
    Administration, BodyKind, Builder, Cursors, DataPoller, Delivered, DiscontinuityCause, Error,
    Event, Handler, Idle, Leg, Monitor, Policy, ResetCause, Selector, Snapshot, SourceSnapshot,
};
use twinfeed_wire::AdminMessage;

use super::check::Check;
use super::log::{Entry, Log};
use super::wire::{
    Administrative, Answer, Break, Gap, Happened, Latency, MOST_ADMINISTRATIVE, Question, Receipt,
    Status, Summary,
};

/// Datagrams per poll.
const BUDGET: usize = 64;
/// Longest latency told apart from longer ones.
const LONGEST_NS: u64 = 60_000_000_000;

/// What a probe is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// URL of stream-admin.
    pub stream_admin: String,
    /// File with the token.
    pub token_file: PathBuf,
    /// Feed.
    pub feed: FeedName,
    /// Policy.
    pub policy: Policy,
    /// Deliveries that the log remembers; 16 bytes each.
    pub log: usize,
    /// Events told one by one in a summary; the later ones are counted.
    pub events: usize,
    /// Receive buffer asked for per leg, bytes.
    pub receive_buffer: Option<usize>,
    /// What the polling thread does while nothing comes; `None`: the library's default.
    pub idle: Option<Idle>,
    /// Where the grant is kept.
    pub state_dir: Option<PathBuf>,
    /// Certificates to trust instead of the public web's.
    pub ca_file: Option<PathBuf>,
    /// The interface that faces the adapters; `None`: loopback.
    pub interface: Option<Selector>,
}

/// Subscribes and answers until told to stop, until standard input ends, or until the feed is closed and
/// standard input ends.
///
/// # Errors
/// Why the subscription cannot be set up, or was refused.
pub fn serve(settings: &Settings) -> Result<(), Error> {
    let mut builder = Builder::new(settings.stream_admin.as_str(), settings.feed.clone())
        .token_file(&settings.token_file)
        .application("probe")
        .policy(settings.policy);
    if let Some(directory) = &settings.state_dir {
        builder = builder.state_dir(directory);
    }
    if let Some(bytes) = settings.receive_buffer {
        builder = builder.receive_buffer(bytes);
    }
    if let Some(idle) = settings.idle {
        builder = builder.idle(idle);
    }
    if let Some(path) = &settings.ca_file {
        builder = builder.ca_file(path);
    }
    if let Some(interface) = &settings.interface {
        builder = builder.interface(interface.clone());
    }
    let (ask, questions) = unbounded();
    let reader = thread::Builder::new().name("questions".to_owned());
    let reader = reader.spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if ask.send(line).is_err() {
                break;
            }
        }
    });
    drop(reader.map_err(|error| Error::Thread {
        name: "questions",
        cause: error.to_string(),
    })?);
    let mut eye = Eye::new(settings.log, settings.events);
    loop {
        let from = eye.cursors.iter().copied();
        let (mut poller, mut control) = builder.clone().resume(from).open()?;
        let ports = control.destinations().map(|at| at.port());
        control.subscribe(&StopFlag::new())?;
        let control = control.spawn()?;
        let monitor = control.monitor();
        let resumes = attend(&mut poller, &monitor, &questions, &mut eye, ports);
        drop(poller);
        control.stop()?;
        match resumes {
            Some(after) => thread::sleep(after),
            None => return Ok(()),
        }
    }
}

/// The duty cycle. Returns after how long the probe subscribes anew, if it does.
fn attend(
    poller: &mut DataPoller,
    monitor: &Monitor,
    questions: &Receiver<String>,
    eye: &mut Eye,
    ports: [u16; 2],
) -> Option<Duration> {
    use crossbeam::channel::TryRecvError;
    loop {
        eye.read_clock();
        let work = poller.poll(BUDGET, eye);
        match questions.try_recv() {
            Ok(line) => {
                let answer = match serde_json::from_str(&line) {
                    Ok(Question::Stop) => return None,
                    Ok(question) => answer(question, poller, monitor, eye, ports),
                    Err(error) => Answer::Refused {
                        reason: error.to_string(),
                    },
                };
                if say(&answer).is_err() {
                    return None;
                }
                match serde_json::from_str(&line) {
                    Ok(Question::Pause { ms }) => thread::sleep(Duration::from_millis(ms)),
                    Ok(Question::Resume { after_ms }) => {
                        return Some(Duration::from_millis(after_ms));
                    }
                    _ => {}
                }
            }
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        match poller.is_closed() {
            true => thread::sleep(Duration::from_millis(1)),
            false => poller.idle(work),
        }
    }
}

fn answer(
    question: Question,
    poller: &DataPoller,
    monitor: &Monitor,
    eye: &Eye,
    ports: [u16; 2],
) -> Answer {
    match question {
        Question::Status => Answer::Status(status(poller, monitor, eye)),
        Question::Window { from_ns, length_ns } => {
            Answer::Window(eye.log.window(from_ns, length_ns, clock::monotonic_ns()))
        }
        Question::Summary => Answer::Summary(Box::new(eye.summary(monitor))),
        Question::Cut { leg, cut } => {
            let filter = cut.then(nothing);
            let cut = entrance(
                poller,
                ports.get(leg).copied(),
                filter.as_ref().map(|it| &it[..]),
            );
            done(cut)
        }
        Question::Thin { share } => {
            let filter = (share > 0).then(|| thinned(share));
            let both =
                ports.map(|port| entrance(poller, Some(port), filter.as_ref().map(|it| &it[..])));
            let [zero, one] = both;
            done(zero.and_then(|at_ns| one.map(|_| at_ns)))
        }
        Question::Pause { .. } | Question::Resume { .. } | Question::Stop => Answer::Done {
            at_ns: clock::monotonic_ns(),
        },
    }
}

fn done(at: io::Result<u64>) -> Answer {
    match at {
        Ok(at_ns) => Answer::Done { at_ns },
        Err(error) => Answer::Refused {
            reason: error.to_string(),
        },
    }
}

fn say(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Keeps no byte of any packet (BPF_RET | BPF_K with 0).
fn nothing() -> Vec<SockFilter> {
    vec![SockFilter::new(0x06, 0, 0, 0)]
}

/// Keeps heartbeats, and what begins with a source number whose lowest byte is `share` or more. A UDP socket's filter sees
/// the UDP header's 8 bytes first.
fn thinned(share: u16) -> Vec<SockFilter> {
    let (flags, base_sseq) = (8 + 4, 8 + 80);
    vec![
        // BPF_LD | BPF_B | BPF_ABS; BPF_JMP | BPF_JSET | BPF_K: heartbeats pass.
        SockFilter::new(0x30, 0, 0, flags),
        SockFilter::new(0x45, 3, 0, 1),
        SockFilter::new(0x30, 0, 0, base_sseq),
        // BPF_JMP | BPF_JGE | BPF_K
        SockFilter::new(0x35, 1, 0, u32::from(share)),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ]
}

/// Puts a packet filter of the kernel's at the entrance of a leg's socket, or takes it away: to this process
/// it is as if the cable were cut behind the adapter, or lost some of what it carries.
fn entrance(
    poller: &DataPoller,
    port: Option<u16>,
    filter: Option<&[SockFilter]>,
) -> io::Result<u64> {
    let at_ns = clock::monotonic_ns();
    for socket in poller.sockets() {
        let socket = socket2::SockRef::from(&socket);
        let local = socket
            .local_addr()?
            .as_socket()
            .map(|address| address.port());
        if port.is_some() && local == port {
            match filter {
                Some(filter) => socket.attach_filter(filter)?,
                None => socket.detach_filter()?,
            }
            return Ok(at_ns);
        }
    }
    Err(io::Error::other("no socket of this leg is open"))
}

fn status(poller: &DataPoller, monitor: &Monitor, eye: &Eye) -> Status {
    let snapshot = monitor.snapshot();
    let leg = |leg: Leg| {
        let first = snapshot.sources.first();
        let status = first.and_then(|source| source.legs[leg.index()].as_ref());
        status
            .map_or("unheard", |status| status.state.word())
            .to_owned()
    };
    let administration = match monitor.administration() {
        Administration::Connecting { reason } => format!("connecting: {reason}"),
        Administration::Unverified { reason } => format!("unverified: {reason}"),
        Administration::Granted { generation, .. } => format!("granted: generation {generation}"),
        Administration::Away { reason } => format!("away: {reason}"),
        Administration::Closed { reason } => format!("closed: {reason}"),
    };
    Status {
        records: eye.legs.iter().sum(),
        messages: eye.check.messages(),
        duplicates_dropped: snapshot.arbiter.duplicates,
        switches: eye.receipts.len() as u64,
        declared_lost: eye
            .gaps
            .iter()
            .map(|gap| gap.until.saturating_sub(gap.from))
            .sum(),
        refused: refused(&snapshot),
        kernel_drops: Leg::BOTH.map(|leg| snapshot.received[leg.index()].kernel_drops),
        heard: Leg::BOTH.map(|leg| snapshot.is_heard(leg)),
        legs: Leg::BOTH.map(leg),
        epoch: (eye.last.0 != 0).then_some(Epoch(eye.last.0)),
        sseq: eye.last.1,
        ended: eye.check.ended_epochs(),
        administration,
        closed: poller.is_closed(),
    }
}

/// Datagrams that were not believed; those said twice are none of them.
fn refused(snapshot: &Snapshot) -> u64 {
    let arbiter = &snapshot.arbiter;
    let senders = snapshot
        .received
        .iter()
        .map(|leg| leg.foreign_senders + leg.too_long);
    arbiter.rejected_total()
        + arbiter.foreign_stream
        + arbiter.unknown_sid
        + arbiter.stale_incarnation
        + arbiter.quarantined
        + senders.sum::<u64>()
}

/// What sees the records.
struct Eye {
    check: Check,
    log: Log,
    legs: [u64; 2],
    /// Where it stands, by source stream.
    cursors: Cursors,
    /// Epoch and source number of the last record.
    last: (u64, u64),
    latency: Histogram<u64>,
    transport: Histogram<u64>,
    receipts: Vec<Receipt>,
    gaps: Vec<Gap>,
    breaks: Vec<Break>,
    administrative: Vec<Administrative>,
    administrative_dropped: u64,
    administrative_gaps: u64,
    divergences: u64,
    events: Vec<Happened>,
    /// Most of them.
    most_events: usize,
    events_dropped: u64,
    /// Realtime minus monotonic time, read once per poll.
    offset_ns: u64,
}

impl Eye {
    fn new(log: usize, most_events: usize) -> Self {
        let histogram = || {
            // Bounds and figures are constants that fit each other.
            Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap_or_else(|_| {
                unreachable!("1 to 60 s with three figures is a possible histogram")
            })
        };
        Self {
            check: Check::default(),
            log: Log::new(log),
            legs: [0; 2],
            cursors: Cursors::default(),
            last: (0, 0),
            latency: histogram(),
            transport: histogram(),
            receipts: Vec::new(),
            gaps: Vec::new(),
            breaks: Vec::new(),
            administrative: Vec::new(),
            administrative_dropped: 0,
            administrative_gaps: 0,
            divergences: 0,
            events: Vec::new(),
            most_events,
            events_dropped: 0,
            offset_ns: 0,
        }
    }

    fn read_clock(&mut self) {
        let Reading {
            monotonic_ns,
            realtime_ns,
        } = Reading::now();
        self.offset_ns = realtime_ns.saturating_sub(monotonic_ns);
    }

    fn note(&mut self, at_ns: u64, what: &str, detail: String) {
        if self.events.len() == self.most_events {
            self.events_dropped += 1;
        } else {
            self.events.push(Happened {
                at_ns,
                what: what.to_owned(),
                detail,
            });
        }
    }

    fn note_break(
        &mut self,
        at_ns: u64,
        (sid, epoch): (u32, u64),
        sseq: u64,
        complete: bool,
        cause: Option<&str>,
    ) {
        if let Some(cause) = cause {
            let (epoch, cause) = (Epoch(epoch), cause.to_owned());
            self.breaks.push(Break {
                at_ns,
                sid,
                epoch,
                sseq,
                complete,
                cause,
            });
        }
    }

    fn summary(&self, monitor: &Monitor) -> Summary {
        let snapshot = monitor.snapshot();
        Summary {
            epochs: self.check.report(),
            duplicates_dropped: snapshot.arbiter.duplicates,
            legs: self.legs,
            kernel_drops: Leg::BOTH.map(|leg| snapshot.received[leg.index()].kernel_drops),
            receipts: self.receipts.clone(),
            gaps: self.gaps.clone(),
            breaks: self.breaks.clone(),
            administrative: self.administrative.clone(),
            administrative_dropped: self.administrative_dropped,
            administrative_gaps: self.administrative_gaps,
            ring_packets: snapshot.received.map(|leg| leg.ring_datagrams),
            filled: Leg::BOTH.map(|leg| {
                let of_leg = |source: &SourceSnapshot| {
                    source.legs[leg.index()].map_or(0, |status| status.filled)
                };
                snapshot.sources.iter().map(of_leg).sum()
            }),
            fill_requests: snapshot.repairs.requests,
            divergences: self.divergences,
            events: self.events.clone(),
            events_dropped: self.events_dropped,
            latency: latency(&self.latency),
            transport: latency(&self.transport),
        }
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency {
        count: histogram.len(),
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
        counts: histogram
            .iter_recorded()
            .map(|step| [step.value_iterated_to(), step.count_at_value()])
            .collect(),
    }
}

impl Eye {
    /// An administrative message: it has a place among the records and is none of the source's.
    fn message(&mut self, at_ns: u64, record: &Delivered<'_>) {
        let Ok(message) = AdminMessage::parse(record.body) else {
            return;
        };
        if self.administrative.len() < MOST_ADMINISTRATIVE {
            let text = message.text().unwrap_or_default();
            self.administrative.push(Administrative {
                at_ns,
                leg: record.leg.index() as u8,
                sid: record.pos.sid.0,
                epoch: record.pos.epoch.0,
                sseq: record.pos.sseq,
                part: record.pos.part,
                generation: message.id().generation.0,
                number: message.id().number.0,
                kind: message.kind().word().to_owned(),
                text: text.to_owned(),
            });
        } else {
            self.administrative_dropped += 1;
        }
    }
}

impl Handler for Eye {
    fn record(&mut self, record: &Delivered<'_>) {
        let at_ns = clock::monotonic_ns();
        self.cursors.record(record);
        if record.kind == BodyKind::Administrative {
            self.message(at_ns, record);
            return;
        }
        self.log.push(Entry {
            at_ns,
            leg: record.leg.index() as u8,
        });
        self.legs[record.leg.index()] += 1;
        self.last = (record.pos.epoch.0, record.pos.sseq);
        let unix_ns = at_ns.saturating_add(self.offset_ns);
        if record.received_at != 0 {
            self.latency
                .saturating_record(unix_ns.saturating_sub(record.received_at));
        }
        self.transport
            .saturating_record(unix_ns.saturating_sub(record.sent_at));
        self.check.record(record);
    }

    fn event(&mut self, event: &Event) {
        self.cursors.event(event);
        let at_ns = clock::monotonic_ns();
        let what = match event {
            Event::Gap {
                sid,
                epoch,
                from,
                until,
                cause,
            } => {
                self.check.gap((sid.0, epoch.0), *from, *until);
                let (from, until) = (from.sseq, until.sseq + u64::from(until.part > 0));
                let (sid, epoch) = (sid.0, Epoch(epoch.0));
                let cause = cause.word().to_owned();
                self.gaps.push(Gap {
                    at_ns,
                    sid,
                    epoch,
                    from,
                    until,
                    cause,
                });
                return;
            }
            Event::Switched(receipt) => {
                self.receipts.push(Receipt {
                    at_ns: receipt.at.0,
                    sid: receipt.sid.0,
                    from_leg: receipt.from_leg.index() as u8,
                    trigger: receipt.trigger.word().to_owned(),
                    from_sseq: receipt.from.pos.sseq,
                    to_sseq: receipt.to.pos.sseq,
                    duplicates_dropped: receipt.duplicates_dropped,
                    held: receipt.held,
                    filled: receipt.filled,
                    gaps_left: receipt.gaps_left,
                    stall_ns: twinfeed_protocol::time::nanos(receipt.stall),
                });
                return;
            }
            Event::Ended {
                sid,
                epoch,
                next_sseq,
            } => {
                self.check.ended(sid.0, epoch.0, *next_sseq);
                "ended"
            }
            Event::AdministrativeGap { from, until, .. } => {
                self.administrative_gaps += until.0.saturating_sub(from.0);
                "administrative_gap"
            }
            Event::Recovered { .. } => "recovered",
            Event::Discontinuity {
                sid,
                epoch,
                at,
                complete,
                cause,
                ..
            } => {
                let cause = match cause {
                    DiscontinuityCause::Join => None,
                    DiscontinuityCause::Context { .. } => Some("context"),
                    DiscontinuityCause::Administrative => Some("administrative"),
                    DiscontinuityCause::Divergence { .. } => Some("divergence"),
                };
                if cause == Some("divergence") {
                    self.check.mark(sid.0, "discontinuity");
                }
                self.note_break(at_ns, (sid.0, epoch.0), at.sseq, *complete, cause);
                "discontinuity"
            }
            Event::Reset {
                sid,
                epoch,
                at,
                complete,
                cause,
                ..
            } => {
                let cause = match cause {
                    ResetCause::Epoch { .. } => None,
                    ResetCause::Regress => Some("regress"),
                };
                self.note_break(at_ns, (sid.0, epoch.0), at.sseq, *complete, cause);
                "reset"
            }
            Event::Divergence { sid, .. } => {
                self.divergences += 1;
                self.check.mark(sid.0, "divergence");
                "divergence"
            }
            Event::Converged { sid, .. } => {
                self.check.mark(sid.0, "converged");
                "converged"
            }
            Event::Leg { .. } => "leg",
            Event::Stale { .. } => "stale",
            Event::Live { .. } => "live",
            Event::JoinRestarted { .. } => "join_restarted",
            Event::NoSnapshot { .. } => "no_snapshot",
            Event::Slow { .. } => "slow",
            Event::ConstraintKept { .. } => "constraint_kept",
            Event::Closed { .. } => "closed",
            _ => "other",
        };
        self.note(at_ns, what, format!("{event:?}"));
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_subscriber::{Adm, Place, Sid};

    use super::*;

    #[test]
    fn what_the_library_says_of_administrative_messages_and_of_differing_legs_is_counted() {
        let mut eye = Eye::new(1, 2);
        let (sid, epoch) = (Sid(1), twinfeed_subscriber::Epoch(7));
        eye.event(&Event::AdministrativeGap {
            sid,
            from: Adm(3),
            until: Adm(5),
            numbering: None,
        });
        eye.event(&Event::Divergence {
            sid,
            epoch,
            range: 0,
            at: Place::start(4_100),
            pinned: Leg::Zero,
        });
        assert_eq!((eye.administrative_gaps, eye.divergences), (2, 1));
        assert_eq!(eye.events.len(), 2, "each is told as well");
        assert_eq!(eye.events_dropped, 0);
        eye.event(&Event::Live { sid });
        assert_eq!((eye.events.len(), eye.events_dropped), (2, 1), "full");
    }
}
