//! At which moment does the active die?
//!
//! A [`Trap`] watches what the active hands to its kernel, item by item, and springs behind one of them: nothing
//! that the same call would still have said leaves the process. The moments are those that a design of agreed slots
//! must survive.

use twinfeed_protocol::Leg;
use twinfeed_protocol::pair::{Said, Verdict};
use twinfeed_wire::Sid;

/// A moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Case {
    /// A message is announced, and its slot has not come.
    Announced,
    /// A message was sent, and its answer has not come.
    Unanswered,
    /// A message was sent, and reached one subscriber only.
    OneSubscriber,
    /// Three messages are announced, and no slot has come.
    Three,
    /// A message was sent, and the backup will never hear of it.
    Alone,
    /// A message was committed to a nearer slot, and reached one subscriber only. Drawn where words are written late alone.
    Committed,
}

impl Case {
    /// Those that are drawn for every pair, in order.
    pub const ALL: [Self; 5] = [
        Self::Announced,
        Self::Unanswered,
        Self::OneSubscriber,
        Self::Three,
        Self::Alone,
    ];

    /// The name under which a kill at this moment is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announced => "pair.kill.a_announced",
            Self::Unanswered => "pair.kill.b_unanswered",
            Self::OneSubscriber => "pair.kill.c_one_subscriber",
            Self::Three => "pair.kill.d_three_outstanding",
            Self::Alone => "pair.kill.e_alone",
            Self::Committed => "pair.kill.f_committed",
        }
    }

    /// How many messages are to be ordered for it.
    #[must_use]
    pub const fn orders(self) -> usize {
        match self {
            Self::Three => 3,
            _ => 1,
        }
    }
}

/// A moment that is waited for.
#[derive(Debug)]
pub struct Trap {
    case: Case,
    leg: Leg,
    sid: Sid,
    /// How many more items may leave once the moment is there.
    patience: u64,
    /// What the active has announced and not sent: its number, and whether it was answered.
    waiting: Vec<(u64, bool)>,
    /// The number of the message committed last.
    committed: Option<u64>,
    sprung: bool,
}

/// What happens to a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It leaves.
    Leaves,
    /// It leaves, and is the last thing that does.
    Last,
    /// The same, and it reaches one subscriber only.
    LastToOne,
}

impl Trap {
    /// Waits for `case` at the adapter of `leg`, in the stream of `sid`; up to `patience` more items may leave.
    #[must_use]
    pub fn new(case: Case, leg: Leg, sid: Sid, patience: u64) -> Self {
        Self {
            case,
            leg,
            sid,
            patience,
            waiting: Vec::new(),
            committed: None,
            sprung: false,
        }
    }

    /// The moment.
    #[must_use]
    pub fn case(&self) -> Case {
        self.case
    }

    /// Whose adapter.
    #[must_use]
    pub fn leg(&self) -> Leg {
        self.leg
    }

    /// Whether it came.
    #[must_use]
    pub fn is_sprung(&self) -> bool {
        self.sprung
    }

    /// The adapter of `leg` said something. `true`: that was the last thing.
    pub fn on_said(&mut self, leg: Leg, sid: Sid, said: &Said) -> bool {
        if (leg, sid) != (self.leg, self.sid) || self.sprung {
            return false;
        }
        if let Said::Intent(intent) = said
            && !intent.hold
        {
            let number = intent.message.number().0;
            self.waiting.retain(|&(waits, _)| waits != number);
            self.waiting.push((number, false));
        }
        if let Said::Settled(settled) = said
            && settled.commit
        {
            self.committed = Some(settled.number.0);
        }
        self.passes()
    }

    /// The adapter of `leg` heard something.
    pub fn on_heard(&mut self, leg: Leg, sid: Sid, said: &Said) {
        if (leg, sid) == (self.leg, self.sid)
            && let Said::Answer(answer) = said
        {
            for (number, answered) in &mut self.waiting {
                *answered |= *number == answer.number.0 && answer.verdict == Verdict::Capable;
            }
        }
    }

    /// The adapter of `leg` sends a datagram with administrative messages of these numbers.
    pub fn on_datagram(&mut self, leg: Leg, sid: Sid, numbers: &[u64]) -> Fate {
        if (leg, sid) != (self.leg, self.sid) || self.sprung {
            return Fate::Leaves;
        }
        let sent = |&&(number, _): &&(u64, bool)| numbers.contains(&number);
        let answered = self
            .waiting
            .iter()
            .find(sent)
            .map(|&(_, answered)| answered);
        self.waiting.retain(|(number, _)| !numbers.contains(number));
        let fate = match (self.case, answered) {
            (Case::Unanswered | Case::Alone, Some(false)) => Fate::Last,
            (Case::OneSubscriber, Some(true)) => Fate::LastToOne,
            (Case::Committed, _) if self.committed.is_some_and(|it| numbers.contains(&it)) => {
                Fate::LastToOne
            }
            _ if self.passes() => Fate::Last,
            _ => Fate::Leaves,
        };
        self.sprung |= fate != Fate::Leaves;
        fate
    }

    /// Something left. `true`: the moment has come and was long enough.
    fn passes(&mut self) -> bool {
        let there = match self.case {
            Case::Announced => !self.waiting.is_empty(),
            Case::Three => self.waiting.len() >= 3,
            Case::Unanswered | Case::OneSubscriber | Case::Alone | Case::Committed => false,
        };
        if !there {
            return false;
        }
        if self.patience > 0 {
            self.patience -= 1;
            return false;
        }
        self.sprung = true;
        true
    }
}
