//! Where on its message's way does the active die?

/// One place of death, with or without a loss.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Case {
    /// Which of the five promises it is about.
    pub letter: char,
    /// Its name in tables.
    pub name: &'static str,
    /// What the adapters are told, as `feed-adapter/src/fault_points.rs` reads it.
    pub plan: &'static str,
    /// How many messages are ordered at once.
    pub orders: usize,
    /// What the survivor knows of them.
    pub survivor: Survivor,
}

/// What the survivor knows of the message at stake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Survivor {
    /// It has agreed to it: it takes over without a trace.
    Agreed,
    /// It never heard of it: it takes over by itself, and counts on from what it has.
    Unaware,
    /// It has refused it and knows that it lacks it: it does not take over by itself.
    Lacks,
}

/// All.
pub const CASES: [Case; 12] = [
    case(
        'a',
        "announced, before its slot",
        "announced",
        1,
        Survivor::Agreed,
    ),
    case('b', "sent, before its answer", "sent", 1, Survivor::Agreed),
    case(
        'b',
        "sent, before its answer; lost once",
        "sent,lost",
        1,
        Survivor::Agreed,
    ),
    case(
        'c',
        "sent to one subscriber only",
        "one-told",
        1,
        Survivor::Agreed,
    ),
    case(
        'c',
        "committed on a quiet feed, sent to one subscriber only",
        QUIET,
        1,
        Survivor::Agreed,
    ),
    case(
        'd',
        "three outstanding, in a burst",
        "outstanding",
        3,
        Survivor::Agreed,
    ),
    case('e', "its answer unheard", "unanswered", 1, Survivor::Agreed),
    case(
        'e',
        "its answer unheard; lost once",
        "unanswered,lost",
        1,
        Survivor::Agreed,
    ),
    case(
        'e',
        "its announcement unsaid",
        "unheard",
        1,
        Survivor::Unaware,
    ),
    case(
        'e',
        "its announcement unsaid; lost once",
        "unheard,lost",
        1,
        Survivor::Unaware,
    ),
    case('e', "refused too late", "refused", 1, Survivor::Lacks),
    case(
        'e',
        "refused too late; lost once",
        "refused,lost",
        1,
        Survivor::Lacks,
    ),
];

const fn case(
    letter: char,
    name: &'static str,
    plan: &'static str,
    orders: usize,
    survivor: Survivor,
) -> Case {
    Case {
        letter,
        name,
        plan,
        orders,
        survivor,
    }
}

impl Case {
    /// Whether the source says nothing meanwhile.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.plan == QUIET
    }

    /// Whether a declared break is right as well as seeing every message once.
    #[must_use]
    pub const fn may_break(&self) -> bool {
        self.letter == 'e'
    }
}

/// What the adapters are told where the source is to be quiet.
const QUIET: &str = "committed";
