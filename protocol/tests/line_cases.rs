//! What do two lines make of it? A table by hand.
//!
//! A script is a row of inputs: `A 7 3 x y` is a packet of epoch 7 on line A with messages 3 = `x` and
//! 4 = `y` (`_` is an empty message); `A 7 hb 5` a heartbeat, `A 7 end 5` an end marker, `+20` lets 20 ms pass, `close` is the end of
//! the file. Limits: window 8, 16 messages and 1,024 bytes held, reorder_hold 2 ms, lag_hold 100 ms,
//! silence 3 s, 4 confirmations.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod line_support;

use std::time::Duration;

use line_support::{Notes, limits, run};
use twinfeed_protocol::{Line, LineCounters, LineLimits, LineState, Lines};

fn told(script: &str) -> (String, LineCounters) {
    let mut lines = Lines::new(limits()).unwrap();
    let mut notes = Notes::default();
    run(&mut lines, &mut notes, script);
    let told: Vec<String> = notes
        .told
        .iter()
        .map(|(_, told)| told.to_string())
        .collect();
    (told.join(", "), *lines.counters())
}

/// Epoch 7 under way on both lines, 1 and 2 delivered.
const OPEN: &str = "A 7 1 a b; B 7 1 a b";
const OPENED: &str = "begin 7 at 1 complete after 0, 1a, 2b";

#[test]
fn cases() {
    let table = [
        (
            "one line alone begins after an undisturbed moment",
            "A 7 1 a; +1; A 7 2 b; +1",
            OPENED,
        ),
        (
            "the other line confirms at once",
            "A 7 1 a b; B 7 1 a b",
            OPENED,
        ),
        (
            "a heartbeat announces the first number",
            "A 7 hb 1; B 7 2 b; A 7 1 a; +2; +2",
            OPENED,
        ),
        (
            "started late: not complete",
            "A 7 5 e; B 7 5 e; A 7 6 f",
            "begin 7 at 5 after 0, 5e, 6f",
        ),
        (
            "the lower of the two lines' first numbers counts",
            "A 7 6 f; B 7 5 e; A 7 7 g",
            "begin 7 at 5 after 0, 5e, 6f, 7g",
        ),
        (
            "a hole is filled by the other line",
            "+; A 7 4 d; +1; B 7 3 c",
            "=, 3c, 4d",
        ),
        (
            "a hole on both lines is given up after reorder_hold",
            "+; A 7 4 d; B 7 4 d; +1; +1",
            "=, lost 3..4, 4d",
        ),
        (
            "and not a moment earlier",
            "+; A 7 4 d; B 7 4 d; +1; A 7 3 c; +5",
            "=, 3c, 4d",
        ),
        (
            "a lost tail is told by the heartbeat",
            "+; A 7 hb 4; B 7 hb 4; +2",
            "=, lost 3..4",
        ),
        (
            "a line that is behind is waited for, but not for ever",
            "+; A 7 4 d; +99; B 7 hb 3; +1; A 7 6 f; +2; B 7 3 c d; A 7 8 h; B 7 7 g",
            "=, lost 3..4, 4d, lost 5..6, 6f, 7g, 8h",
        ),
        (
            "a silent line is not waited for",
            "+; +2990; A 7 4 d; +12",
            "=, lost 3..4, 4d",
        ),
        (
            "a late copy of a lost number is dropped",
            "+; A 7 hb 4; B 7 hb 4; +2; A 7 3 c",
            "=, lost 3..4",
        ),
        (
            "other bytes under a known number: the first copy stands",
            "+; A 7 3 c; B 7 3 x",
            "=, 3c",
        ),
        (
            "a message may be empty, in its turn and held",
            "+; A 7 4 _ e; A 7 3 _",
            "=, 3, 4, 5e",
        ),
        (
            "absurd: one packet changes nothing",
            "+; A 7 900 x; A 7 3 c; B 7 3 c; +5000; A 7 4 d",
            "=, 3c, stale, fresh, 4d",
        ),
        (
            "a jump is believed when both lines made it",
            "+; A 7 50 x; B 7 50 x; +1; A 7 51 y; +1",
            "=, lost 3..50, 50x, 51y",
        ),
        (
            "a jump of one line waits for the other to lag",
            "+; A 7 50 w; A 7 51 x; A 7 52 y; A 7 53 z; +99; +1",
            "=, lost 3..50, 50w, 51x, 52y, 53z",
        ),
        (
            "and is no loss when the other line brings what lies between",
            "+; A 7 12 l; B 7 3 c d e f; B 7 7 g h i j k; +200",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l",
        ),
        (
            "a stray word of a line that then dies does not block the other's next epoch",
            "+; A 7 end 3; B 7 end 3; +2; A 7 3; A 9 5 o; B 8 hb 1; B 8 hb 1; B 8 hb 1; B 8 1 w; B 8 2 x; B 8 3 y; B 8 4 z",
            "=, ended 7 at 3, begin 8 at 1 complete after 7, 1w, 2x, 3y, 4z",
        ),
        (
            "who begins where one line is in the next epoch already goes on to that, too",
            "A 8 1 p; B 7 3 c; B 7 4 d; B 7 5 e; B 7 6 f; +2; B 7 end 7; A 8 2 q; B 8 1 p q; A 8 3 r",
            "begin 7 at 6 after 0, 6f, ended 7 at 7, begin 8 at 1 complete after 7, 1p, 2q, 3r",
        ),
        (
            "a heartbeat far ahead is quarantined like data",
            "+; A 7 hb 900; +50; A 7 3 c; +200; A 7 4 d",
            "=, 3c, 4d",
        ),
        (
            "the end is told when both lines said it",
            "+; A 7 end 3; B 7 end 3; +2",
            "=, ended 7 at 3",
        ),
        (
            "an end that one line says waits until the other is silent",
            "+; +1000; B 7 hb 3; A 7 end 3; +2999; A 7 end 3; +1",
            "=, ended 7 at 3",
        ),
        (
            "and no longer when it was silent before",
            "+; +2990; A 7 end 3; +10",
            "=, ended 7 at 3",
        ),
        (
            "one end on one line does not end what the other goes on with",
            "+; A 7 end 3; +2999; B 7 3 c; +2000; A 7 4 d",
            "=, 3c, 4d",
        ),
        (
            "a line that is as far and says something else has not come to an end",
            "+; A 7 end 3; +2900; B 7 hb 3; +2900; B 7 hb 3; +2999; B 7 3 c",
            "=, 3c",
        ),
        (
            "nor has one that is absurdly far",
            "+; A 7 end 3; +2900; B 7 50 x; +2900; B 7 3 c; +10",
            "=, stale, fresh, 3c",
        ),
        (
            "an end that was proved wrong does not vote for another",
            "+; A 7 end 3; B 7 3 c; B 7 end 4; +100; A 7 3 c d",
            "=, 3c, 4d",
        ),
        (
            "an end and an epoch of one line do not end what the other goes on with",
            "+; A 7 end 3; A 8 1 w; A 8 2 x; A 8 3 y; A 8 4 z; +100; B 7 3 c; +2000; B 7 4 d",
            "=, 3c, 4d",
        ),
        (
            "one word behind the end changes nothing",
            "+; A 7 end 3; B 7 end 3; +2; A 7 3 c; +5000; A 7 hb 3",
            "=, ended 7 at 3",
        ),
        (
            "an epoch that both lines go on with behind its end begins again there",
            "+; A 7 end 3; B 7 end 3; +2; A 7 2 b c; B 7 1 a b c; A 7 4 d",
            "=, ended 7 at 3, begin 7 at 3 after 0, 3c, 4d",
        ),
        (
            "or one of them, four times; what is missing behind the end is told",
            "+; A 7 end 3; B 7 end 3; +2; A 7 4 d; A 7 5 e; A 7 6 f; A 7 7 g; +100; A 7 end 8; +3000",
            "=, ended 7 at 3, begin 7 at 3 after 0, lost 3..4, 4d, 5e, 6f, 7g, ended 7 at 8",
        ),
        (
            "whoever goes on behind an end proves it wrong",
            "+; A 7 end 3; B 7 3 c; A 7 end 4; B 7 end 4; +2",
            "=, 3c, ended 7 at 4",
        ),
        (
            "a hole before the end is waited for",
            "+; A 7 end 4; B 7 3 c; B 7 end 4; +2",
            "=, 3c, ended 7 at 4",
        ),
        (
            "an end is not stale",
            "+; A 7 end 3; B 7 end 3; +9000",
            "=, ended 7 at 3",
        ),
        ("silence is", "+; +2999; +1; A 7 3 c", "=, stale, fresh, 3c"),
        (
            "another epoch is believed when both lines say it and the old one ended",
            "+; A 7 end 3; B 7 end 3; A 8 1 x; B 8 1 x",
            "=, ended 7 at 3, begin 8 at 1 complete after 7, 1x",
        ),
        (
            "without an end marker it waits for stragglers",
            "+; A 8 1 x; B 8 1 x; +1; A 7 3 c; +1; A 8 2 y; +2",
            "=, 3c, begin 8 at 1 complete after 7, 1x, 2y",
        ),
        (
            "one line alone confirms by four in a row, but not while the other lives in the old one",
            "+; A 8 1 w; A 8 2 x; A 8 3 y; A 8 4 z; +1000; B 7 3 c; +2000; B 7 hb 4; A 8 5 v; +999; A 8 6 u; +1",
            "=, 3c, begin 8 at 1 complete after 7, 1w, 2x, 3y, 4z, 5v, 6u",
        ),
        (
            "an epoch that was left never returns",
            "+; A 7 end 3; A 8 1 x; B 8 1 x; B 7 3 c; A 7 4 d; B 7 4 d; B 7 5 e; B 7 6 f; B 7 7 g; +9",
            "=, ended 7 at 3, begin 8 at 1 complete after 7, 1x",
        ),
        (
            "lines in two epochs do not make it swing",
            "+; A 8 1 x; B 7 3 c; A 8 2 y; B 7 4 d; A 8 3 z; B 7 5 e; B 8 1 x; +2; B 8 2 y; A 8 4 w",
            "=, 3c, 4d, 5e, begin 8 at 1 complete after 7, 1x, 2y, 3z, 4w",
        ),
        (
            "a sender of an old epoch between the words of a line is not believed",
            "+; A 6 1 o; A 6 2 p; A 7 3 c; A 6 3 q; A 6 4 r; A 7 4 d; B 7 3 c; +9",
            "=, 3c, 4d",
        ),
        (
            "a first word that was absurd is left again",
            "A 7 9000 x; +2; A 7 1 a; A 7 2 b; A 7 3 c; A 7 4 d; +2",
            "begin 7 at 9000 after 0, 9000x, begin 7 at 1 complete after 0, 1a, 2b, 3c, 4d",
        ),
        (
            "copies that are late on both lines are no new numbering",
            "A 7 50 a b; B 7 50 a b; A 7 52 c; B 7 52 c; A 7 1 o; B 7 1 o; +2999; A 7 53 d; +9000",
            "begin 7 at 50 after 0, 50a, 51b, 52c, 53d, stale",
        ),
        (
            "nor are they when one of them was altered and the last of them reach to where the lines stand",
            "+; A 7 3 c d e f g h i; A 7 10 j k l m n; A 7 3 x; B 7 13 m n; B 7 3 c d e; B 7 6 f g h i; B 7 10 j k l m n; \
             +2900; A 7 hb 15; B 7 hb 15; +200; A 7 hb 15; B 7 hb 15; +2900; A 7 hb 15; B 7 hb 15; +200; A 7 15 o",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, 14n, 15o",
        ),
        (
            "a source that begins anew does so although its first message says the same",
            "+; A 7 3 c d e f g h i; B 7 3 c d e f g h i; A 7 10 j k l m; B 7 10 j k l m; A 7 1 a x y; B 7 1 a x y; +2000; \
             A 7 4 z; B 7 4 z; +1000; A 7 hb 5; +1",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, stale, fresh, begin 7 at 1 complete after 0, 1a, 2x, 3y, 4z",
        ),
        (
            "also when a packet begins with the same every two seconds",
            "+; A 7 3 c d e f g h i; B 7 3 c d e f g h i; A 7 10 j k l m n; A 7 1 a x; +2000; A 7 3 c y; +2000; A 7 5 e z; +2000; \
             A 7 7 g w; +2000; A 7 9 i v; +2000; A 7 11 k u; +2000; A 7 13 m t; +2000; A 7 15 s; +2000; A 7 16 r; +2000",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, 14n, stale, fresh, begin 7 at 1 complete after 0, 1a, 2x, 3c, 4y, \
             5e, 6z, 7g, 8w, 9i, 10v, 11k, 12u, 13m, 14t, 15s, 16r",
        ),
        (
            "nor is a message lost there that says the same",
            "+; A 7 3 c d e f g h i; B 7 3 c d e f g h i; A 7 10 j k l m; B 7 10 j k l m; A 7 1 w; B 7 1 w; A 7 2 b; B 7 2 b; \
             +2000; A 7 3 y; B 7 3 y; +1000; A 7 hb 4; +1",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, stale, fresh, begin 7 at 1 complete after 0, 1w, 2b, 3y",
        ),
        (
            "who repeats what was delivered says nothing of the source",
            "+; A 7 3 c d e f g h i; B 7 3 c d e f g h i; A 7 10 j k l m; B 7 10 j k l m; +2000; A 7 3 c; +1000; A 7 3 c d; +2000; \
             A 7 3 c; +2000; A 7 14 n; +1",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, stale, fresh, 14n",
        ),
        (
            "nor is who is late, in whose name somebody else spoke, once it repeats what was delivered",
            "+; A 7 3 c d e f g h i; B 7 3 c d e f g h i; A 7 10 j k l m; B 7 10 j k l m; A 7 hb 3; +1; A 7 3 c d; +2000; \
             A 7 5 e f g h i j k l; +1000; A 7 13 m; +1000; A 7 hb 14; +2000; A 7 hb 14; +2000; A 7 14 n",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, 14n",
        ),
        (
            "where nothing is begun the last word counts, however often another was said",
            "A 8 1 a; A 8 2 b; A 7 9 x; +3; A 7 10 y; A 7 11 z; +3",
            "begin 7 at 9 after 0, 9x, 10y, 11z",
        ),
        (
            "one stray word takes back nothing that was said more than once",
            "+; A 7 end 3; B 7 end 3; A 8 1 a b; A 8 3 c; A 7 end 20; A 8 4 d; B 8 4 d; +1",
            "=, ended 7 at 3, begin 8 at 1 complete after 7, 1a, 2b, 3c, 4d",
        ),
        (
            "what was said more than once, and long ago, bars nothing that is said now",
            "+; A 7 end 3; B 7 end 3; A 8 hb 1; A 8 hb 1; +9000; A 9 1 a; B 9 1 a; A 9 2 b; B 9 2 b; +1",
            "=, ended 7 at 3, begin 9 at 1 complete after 7, 1a, 2b",
        ),
        (
            "nor are they when the source then says nothing",
            "A 7 50 a b; B 7 50 a b; A 7 52 c; B 7 52 c; A 7 1 o; B 7 1 o; +9000; A 7 53 d; +1",
            "begin 7 at 50 after 0, 50a, 51b, 52c, stale, fresh, 53d",
        ),
        (
            "it is one once nothing else was said for as long as silence lasts",
            "A 7 50 a b; B 7 50 a b; A 7 52 c; B 7 52 c; A 7 1 o; B 7 1 o; +2000; A 7 2 p; B 7 2 p; +1000; A 7 hb 3; +1",
            "begin 7 at 50 after 0, 50a, 51b, 52c, stale, fresh, begin 7 at 1 complete after 0, 1o, 2p",
        ),
        (
            "a source that stepped back is not taken for the old one when it comes by where that stood",
            "A 7 50 a b; B 7 50 a b; A 7 52 c; B 7 52 c; A 7 40 o p q; B 7 40 o p q; +1000; A 7 43 r s t u v w x; \
             B 7 43 r s t u v w x; +1000; A 7 50 y z; B 7 50 y z; +1000; A 7 52 m; B 7 52 m; +1; A 7 53 n; B 7 53 n",
            "begin 7 at 50 after 0, 50a, 51b, 52c, stale, fresh, begin 7 at 40 after 0, 40o, 41p, 42q, 43r, 44s, 45t, 46u, 47v, \
             48w, 49x, 50y, 51z, 52m, 53n",
        ),
        (
            "who began amid a change of sessions is not led back by a slow line that says what is left of the older one",
            "A 8 1 a b; +2; B 7 9 x; B 7 10 y; B 7 11 z; B 7 end 12; +2000; A 8 hb 3; B 7 end 12; +2000; A 8 hb 3; B 8 1 a b; \
             A 8 3 c; B 8 3 c",
            "begin 8 at 1 complete after 0, 1a, 2b, 3c",
        ),
        (
            "nor as long as it is spoken of",
            "A 8 1 a b; +2; B 7 9 x; B 7 10 y; B 7 11 z; B 7 end 12; +9000; A 8 hb 3; B 7 end 12; +9000; B 7 end 12; A 8 3 c; B 8 3 c",
            "begin 8 at 1 complete after 0, 1a, 2b, stale, fresh, stale, fresh, 3c",
        ),
        (
            "and goes on to the next one past it",
            "A 8 1 a b; +2; B 7 9 x; B 7 10 y; B 7 11 z; B 7 end 12; A 8 end 3; +10; A 9 1 a; A 9 2 b; A 9 3 c; B 7 end 12; A 9 4 d; \
             A 9 5 e; +3000",
            "begin 8 at 1 complete after 0, 1a, 2b, ended 8 at 3, begin 9 at 1 complete after 8, 1a, 2b, 3c, 4d, 5e, stale",
        ),
        (
            "a session that begins on a line that was not there before is not waited for as long",
            "A 7 1 a b; +2; A 7 end 3; +60000; B 8 1 a; +400; B 8 2 b; +400; B 8 3 c; +400; B 8 4 d; +3",
            "begin 7 at 1 complete after 0, 1a, 2b, ended 7 at 3, begin 8 at 1 complete after 7, 1a, 2b, 3c, 4d",
        ),
        (
            "what may be older waits for as long as that,",
            "A 8 1 a b; +2; B 7 9 x; B 7 10 y; B 7 11 z; B 7 end 12; +11900",
            "begin 8 at 1 complete after 0, 1a, 2b, stale",
        ),
        (
            "and is followed, if nothing else is heard for four times as long",
            "A 8 1 a b; +2; B 7 9 x; B 7 10 y; B 7 11 z; B 7 end 12; +11999; B 7 end 12; +1",
            "begin 8 at 1 complete after 0, 1a, 2b, stale, fresh, begin 7 at 9 after 8, 9x, 10y, 11z, ended 7 at 12",
        ),
        (
            "nor are copies that are late behind an end",
            "+; A 7 3 c d e f g h i j; B 7 3 c d e f g h i j; A 7 11 k l; B 7 11 k l; A 7 end 13; B 7 end 13; +2; \
             A 7 1 a b; +1; B 7 1 a b; +9000",
            "=, 3c, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, ended 7 at 13",
        ),
        (
            "the hold is full of numbers: the oldest hole is given up",
            "+; A 7 4 d e f g h i j; A 7 11 k l m n o p q r; B 7 hb 3; A 7 19 s t",
            "=, lost 3..4, 4d, 5e, 6f, 7g, 8h, 9i, 10j, 11k, 12l, 13m, 14n, 15o, 16p, 17q, 18r, 19s, 20t",
        ),
        ("zero is no number", "+; A 7 0 x; B 7 0 x; A 7 3 c", "=, 3c"),
        (
            "nor is one that has none behind it",
            "+; A 7 max-0 x y; B 7 max-0 x y; A 7 3 c",
            "=, 3c",
        ),
        (
            "the highest numbers work",
            "A 7 max-3 x y; B 7 max-3 x y; A 7 max-1 z; A 7 end max-0; B 7 end max-0; +2",
            "begin 7 at 18446744073709551612 after 0, 18446744073709551612x, 18446744073709551613y, \
             18446744073709551614z, ended 7 at 18446744073709551615",
        ),
        (
            "an end of the file settles everything",
            "+; A 7 4 d; A 8 1 x; close",
            "=, lost 3..4, 4d, begin 8 at 1 complete after 7, 1x",
        ),
        ("a file of one packet", "A 7 1 a b; close", OPENED),
    ];
    for (name, script, expected) in table {
        let script = script.replacen(
            "+;",
            &format!("{OPEN};"),
            usize::from(script.starts_with("+;")),
        );
        let expected = expected.replacen('=', OPENED, usize::from(expected.starts_with('=')));
        let (seen, counters) = told(&script);
        assert_eq!(seen, expected, "{name}\n{script}\n{counters:?}");
    }
}

/// Neither line's socket was read for a while, nor were deadlines: what waits there came in time.
#[test]
fn after_a_pause_nothing_is_given_up_before_both_lines_were_heard() {
    let table = [
        ("A 7 4 d", "A 7 5 e; B 7 3 c", "3c, 4d, 5e"),
        ("A 7 4 d; B 7 4 d", "A 7 5 e; B 7 3 c", "3c, 4d, 5e"),
        ("A 7 end 3", "A 7 end 3; B 7 3 c", "3c"),
        ("A 7 end 4", "A 7 end 4; B 7 3 c", "3c"),
        (
            "A 8 1 x; B 8 1 x",
            "A 8 2 y; B 7 3 c; B 8 2 y; +2",
            "3c, begin 8 at 1 complete after 7, 1x, 2y",
        ),
        (
            "A 7 50 x; B 7 50 x",
            "A 7 51 y; B 7 3 c; B 7 50 x; +2",
            "3c, lost 4..50, 50x, 51y",
        ),
    ];
    for (before, after, expected) in table {
        let mut lines = Lines::new(limits()).unwrap();
        let mut notes = Notes::default();
        run(&mut lines, &mut notes, &format!("{OPEN}; {before}"));
        notes.told.clear();
        notes.now = notes.now.after(Duration::from_secs(60));
        run(&mut lines, &mut notes, after);
        let told: Vec<String> = notes
            .told
            .iter()
            .map(|(_, told)| told.to_string())
            .collect();
        assert_eq!(told.join(", "), expected, "{before}, a pause, {after}");
    }
}

#[test]
fn what_is_counted() {
    let (_, counters) = told(&format!(
        "{OPEN}; A 7 4 d; B 7 4 X; +2; A 7 3 c; A 7 1 a; A 7 900 x; A 7 5 e; A 7 0 x; B 7 6 f; A 7 end 7; B 7 end 7; \
         A 8 1 x; B 8 1 x; A 7 7 g; A 8 2 y; B 8 end 3; A 8 end 3; +2; B 8 3 z"
    ));
    let expected = LineCounters {
        messages: 7,
        gaps: 1,
        abandoned: 1,
        late: 1,
        line_conflicts: 1,
        quarantined: 6,
        quarantine_dropped: 1,
        epochs: 2,
        retired: 1,
        after_end: 1,
        malformed: 1,
        ..LineCounters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn a_line_says_how_it_does() {
    let mut lines = Lines::new(limits()).unwrap();
    let mut notes = Notes::default();
    let state =
        |lines: &Lines, notes: &Notes| Line::BOTH.map(|line| lines.status(line, notes.now).state);
    assert_eq!(state(&lines, &notes), [LineState::Unheard; 2]);
    run(&mut lines, &mut notes, "A 7 1 a b; +2; A 7 4 d");
    assert_eq!(state(&lines, &notes), [LineState::Live, LineState::Unheard]);
    run(&mut lines, &mut notes, "B 7 1 a; +100");
    assert_eq!(state(&lines, &notes), [LineState::Live, LineState::Lagging]);
    run(&mut lines, &mut notes, "B 7 2 b c d e; +1000; B 7 hb 6");
    assert_eq!(state(&lines, &notes), [LineState::Live, LineState::Live]);
    run(&mut lines, &mut notes, "+1999");
    assert_eq!(state(&lines, &notes), [LineState::Silent, LineState::Live]);
    let [a, b] = Line::BOTH.map(|line| lines.status(line, notes.now));
    assert_eq!(
        (a.first_arrivals, a.duplicates, a.missed, a.next),
        (3, 0, 1, 5)
    );
    assert_eq!(
        (b.first_arrivals, b.duplicates, b.missed, b.next),
        (1, 3, 0, 6)
    );
}

#[test]
fn bounds_that_cannot_work_are_refused_by_name() {
    let refused = |limits: LineLimits| Lines::new(limits).unwrap_err().name;
    let good = LineLimits::default();
    assert!(Lines::new(good).is_ok());
    assert_eq!(
        refused(LineLimits {
            window: 32_769,
            ..good
        }),
        "window"
    );
    assert_eq!(
        refused(LineLimits {
            held_messages: 0,
            ..good
        }),
        "held_messages"
    );
    assert_eq!(
        refused(LineLimits {
            held_bytes: 63,
            ..good
        }),
        "held_bytes"
    );
    assert_eq!(
        refused(LineLimits {
            confirmations: 0,
            ..good
        }),
        "confirmations"
    );
    assert_eq!(
        refused(LineLimits {
            origin_first: 0,
            ..good
        }),
        "origin_first"
    );
    assert_eq!(
        refused(LineLimits {
            silence: good.lag_hold,
            ..good
        }),
        "silence"
    );
}
