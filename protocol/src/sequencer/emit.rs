//! How does what a sequencer has decided become datagrams?
//!
//! Records are appended to the one under way; whoever changes what a header says sends that first. Heartbeats stand
//! alone.

use core::ops::Range;

use twinfeed_wire::{Beat, Flags, Header, Record};

use super::{ANNOUNCEMENTS, Now, Placed, Sequencer, SequencerState, StandbyEnd, Transmit};

impl Sequencer {
    /// Appends one record, in a new datagram when it does not go into the one under way; `part` is what its place is remembered
    /// by.
    #[inline(always)]
    pub(super) fn append(
        &mut self,
        now: Now,
        received_at: u64,
        record: &Record<'_>,
        part: u32,
        out: &mut impl Transmit,
    ) {
        if !(self.outgoing.is_begun() && self.outgoing.push(record)) {
            self.begin_with(now, received_at, *record, out);
        }
        self.history.push(Placed {
            msn: self.next_msn,
            epoch: self.run.start.epoch,
            context: self.run.context_id,
            sseq: record.sseq,
            part,
            adm: record.adm,
        });
        self.next_msn = self.next_msn.plus(1);
    }

    /// Sends what is under way, and begins a datagram with this record; taken by value, so that no other is ever put into memory.
    #[inline(never)]
    fn begin_with(
        &mut self,
        now: Now,
        received_at: u64,
        record: Record<'_>,
        out: &mut impl Transmit,
    ) {
        self.send_records(now, out);
        let header = self.header_from(&record, received_at);
        self.outgoing.begin(header);
        let pushed = self.outgoing.push(&record);
        debug_assert!(pushed, "lengths and distances were checked before");
    }

    /// What was placed so far says nothing of what a peer places from here on.
    pub(super) fn upset(&mut self) {
        self.upheavals += 1;
        self.agenda.doubt();
        self.history.leave();
    }

    /// Makes the context one that lost `range`.
    pub(super) fn give_up(&mut self, now: Now, range: Range<u64>, out: &mut impl Transmit) {
        self.send_records(now, out);
        self.upset();
        self.counters.abandoned = self
            .counters
            .abandoned
            .saturating_add(range.end - range.start);
        self.run.abandon(range);
    }

    /// Says that the covered numbers behind the last record are covered, before what follows makes it
    /// impossible to tell them from lost ones.
    pub(super) fn vouch(&mut self, now: Now, out: &mut impl Transmit) {
        self.send_records(now, out);
        let unsaid = self.run.next_sseq > self.run.prev + 1;
        if self.state == SequencerState::Open && unsaid {
            self.send_in_order(now, out);
        }
    }

    /// Says what must not be missed of the stream's order.
    pub(super) fn announce(&mut self, now: Now, out: &mut impl Transmit) {
        for _ in 0..ANNOUNCEMENTS {
            self.send_in_order(now, out);
        }
    }

    /// Sends a heartbeat that means something only where it stands; no records are under way.
    fn send_in_order(&mut self, now: Now, out: &mut impl Transmit) {
        if self.standby.is_on() {
            if !self.speaks() || self.withhold_heartbeat(out) {
                return;
            }
            self.leave_standby(now, StandbyEnd::Full, out);
        }
        self.send_heartbeat(now, Flags::default(), out);
    }

    pub(super) fn send_records(&mut self, now: Now, out: &mut impl Transmit) {
        if self.standby.is_on() {
            if !self.withhold_records(out) {
                // What is under way leaves behind everything that was withheld.
                self.leave_standby(now, StandbyEnd::Full, out);
            }
            return;
        }
        let flags = self.flags();
        if let Some(datagram) = self.outgoing.finish(flags, now.unix_ns) {
            self.counters.datagrams += 1;
            self.counters.bytes += datagram.len() as u64;
            self.schedule.sent_records(now.time);
            out.datagram(datagram);
        }
    }

    /// Sends one heartbeat; no records are under way.
    pub(super) fn send_heartbeat(&mut self, now: Now, flags: Flags, out: &mut impl Transmit) {
        if !self.speaks() {
            return;
        }
        let (header, beat) = self.stand(self.flags().with(flags));
        let header = Header {
            dsn: self.outgoing.take_dsn(),
            sent_at: now.unix_ns,
            ..header
        };
        let datagram = self
            .outgoing
            .heartbeat(&header, &beat, self.run.ranges.finished());
        self.counters.datagrams += 1;
        self.counters.heartbeats += 1;
        self.counters.bytes += datagram.len() as u64;
        self.schedule.sent_heartbeat(now.time);
        out.datagram(datagram);
    }

    /// What a heartbeat says of where the stream stands, without number and time.
    pub(super) fn stand(&mut self, flags: Flags) -> (Header, Beat) {
        self.run.ranges.pass(self.run.next_sseq);
        let header = Header {
            flags,
            first_msn: self.next_msn,
            base_sseq: self.run.next_sseq,
            base_adm: self.adm,
            ..self.header()
        };
        let beat = Beat {
            next_sseq: self.run.next_sseq,
            prev: self.run.prev,
            predecessor_next: self.run.predecessor_next,
            predecessor_prev: self.run.predecessor_prev,
            interval_us: self.schedule.interval_us(),
            ended: self.state == SequencerState::Ended,
            inherited: self.inherited,
        };
        (header, beat)
    }

    /// What stands in front of a datagram whose first record this is.
    fn header_from(&self, record: &Record<'_>, received_at: u64) -> Header {
        Header {
            first_msn: self.next_msn,
            base_sseq: record.sseq,
            base_adm: record.adm,
            received_at,
            ..self.header()
        }
    }

    /// What stands in every header.
    fn header(&self) -> Header {
        Header {
            stream: self.config.stream,
            generation: self.generation,
            incarnation: self.config.incarnation,
            sid: self.config.sid,
            abandoned: self.run.abandoned(),
            epoch: self.run.start.epoch,
            context: self.run.context_id,
            first: self.run.start.first,
            predecessor: self.run.start.predecessor,
            ..Header::default()
        }
    }

    pub(super) fn flags(&self) -> Flags {
        Flags::default()
            .with_if(self.schedule.peer_lost(), Flags::PEER_LOST)
            .with_if(self.source_stale, Flags::SOURCE_STALE)
            .with_if(self.unsynchronised, Flags::UNSYNCHRONISED)
            .with_if(!self.run.is_complete(), Flags::INCOMPLETE)
            .with_if(self.standby.is_on(), Flags::STANDBY)
    }
}
