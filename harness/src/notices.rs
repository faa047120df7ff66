//! Does what an operator says reach the subscriber once, whichever adapter lives?
//!
//! Notices are ordered from stream-admin while adapters die. One that is said to stand in the stream must have been
//! delivered exactly once, where it is said to stand; one of which nobody knows what became of it, at most once. All
//! of them are numbered without a hole.

use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use twinfeed_control::{FeedName, MessagePlace, Order, OrderOutcome, OrderedMessage, Sid};

use crate::error::Error;
use crate::probe::wire::Administrative;
use crate::rig::Rig;

/// How long an operator waits for an adapter's word.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything that was ordered.
#[derive(Debug, Default)]
pub struct Notices {
    given: Vec<(String, Result<OrderOutcome, String>)>,
}

/// A notice that is being ordered by a thread.
#[derive(Debug)]
pub struct UnderWay {
    text: String,
    answer: JoinHandle<Result<OrderOutcome, String>>,
}

/// One notice and what came of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// `placed`, `refused`, `unknown`, `pending`, or what kept the order from being given.
    pub outcome: String,
    /// Generation that originated it, its number in the stream, and the source number that it stands behind, by the
    /// adapter's word; `null` unless placed.
    pub place: Option<[u64; 3]>,
    /// Whether the backup had agreed.
    pub agreed: bool,
    /// How often the subscriber got it.
    pub seen: u64,
}

impl Notices {
    /// Orders a notice and waits for what becomes of it; `None` unless it stands in the stream.
    ///
    /// # Errors
    /// When no order can be given at all.
    pub fn give(&mut self, rig: &Rig, text: &str) -> Result<Option<MessagePlace>, Error> {
        let under_way = Self::begin(rig, text)?;
        self.end(under_way)
    }

    /// Orders a notice while other things happen.
    ///
    /// # Errors
    /// When no order can be given at all.
    pub fn begin(rig: &Rig, text: &str) -> Result<UnderWay, Error> {
        let client = rig.operator(PATIENCE * 2)?;
        let order = order(rig.feed_name(), text, PATIENCE);
        let answer = std::thread::spawn(move || match client.order(&order) {
            Ok(record) => Ok(record.outcome),
            Err(error) => Err(error.to_string()),
        });
        Ok(UnderWay {
            text: text.to_owned(),
            answer,
        })
    }

    /// Waits for what becomes of a notice.
    ///
    /// # Errors
    /// When the thread that orders it is gone.
    pub fn end(&mut self, under_way: UnderWay) -> Result<Option<MessagePlace>, Error> {
        let UnderWay { text, answer } = under_way;
        let answer = answer.join().map_err(|_| Error::Interrupted)?;
        let place = match &answer {
            Ok(OrderOutcome::Placed { place }) => Some(*place),
            Ok(_) | Err(_) => None,
        };
        self.given.push((text, answer));
        Ok(place)
    }

    /// What came of them, and what is wrong with that.
    #[must_use]
    pub fn judge(&self, seen: &[Administrative]) -> (Vec<Notice>, Vec<String>) {
        let mut broken = Vec::new();
        let notices = self.given.iter().map(|(text, answer)| {
            let (notice, fault) = judge(text, answer, seen);
            broken.extend(fault.map(|fault| format!("notice {text:?}: {fault}")));
            notice
        });
        let notices = notices.collect();
        let numbers = seen.iter().map(|it| it.number);
        if !numbers.eq(0..seen.len() as u64) {
            broken.push("administrative messages are not numbered without a hole".to_owned());
        }
        (notices, broken)
    }
}

/// An order of a notice; the same text again is the same order. stream-admin waits for `wait` until something became of
/// it.
#[must_use]
pub fn order(feed: FeedName, text: &str, wait: Duration) -> Order {
    Order {
        key: text.replace(' ', "-"),
        feed,
        sid: Sid(1),
        message: OrderedMessage::OperatorNotice {
            text: text.to_owned(),
        },
        // Far below 2^64.
        wait_ms: wait.as_millis() as u64,
    }
}

fn judge(
    text: &str,
    answer: &Result<OrderOutcome, String>,
    seen: &[Administrative],
) -> (Notice, Option<String>) {
    let ours: Vec<_> = seen.iter().filter(|it| it.text == text).collect();
    let mut notice = Notice {
        text: text.to_owned(),
        seen: ours.len() as u64,
        ..Notice::default()
    };
    let mut fault = (ours.len() > 1).then(|| format!("delivered {} times", ours.len()));
    notice.outcome = match answer {
        Ok(OrderOutcome::Placed { place }) => {
            let at = [u64::from(place.generation.0), place.number, place.sseq];
            notice.place = Some(at);
            notice.agreed = place.agreed;
            let found = |it: &&Administrative| [u64::from(it.generation), it.number, it.sseq];
            let there = ours.first().map(found);
            if there != Some(at) {
                fault = Some(format!("stands at {at:?} and was delivered at {there:?}"));
            }
            "placed".to_owned()
        }
        Ok(OrderOutcome::Refused { reason }) => {
            if !ours.is_empty() {
                fault = Some(format!("refused ({reason}) and delivered all the same"));
            }
            "refused".to_owned()
        }
        Ok(OrderOutcome::Unknown { .. }) => "unknown".to_owned(),
        Ok(OrderOutcome::Pending) => "pending".to_owned(),
        Err(error) => error.clone(),
    };
    (notice, fault)
}

#[cfg(test)]
mod tests {
    use twinfeed_control::Generation;

    use super::*;

    fn placed(generation: u32, number: u64, sseq: u64) -> Result<OrderOutcome, String> {
        Ok(OrderOutcome::Placed {
            place: MessagePlace {
                generation: Generation(generation),
                number,
                slot: 0,
                processed: 0,
                sseq,
                attempts: 1,
                agreed: true,
            },
        })
    }

    fn delivered(text: &str, generation: u32, number: u64, sseq: u64) -> Administrative {
        Administrative {
            text: text.to_owned(),
            generation,
            number,
            sseq,
            ..Administrative::default()
        }
    }

    fn broken(
        given: &[(&str, Result<OrderOutcome, String>)],
        seen: &[Administrative],
    ) -> Vec<String> {
        let given = given
            .iter()
            .map(|(text, answer)| ((*text).to_owned(), answer.clone()));
        let notices = Notices {
            given: given.collect(),
        };
        notices.judge(seen).1
    }

    #[test]
    fn what_stands_in_the_stream_was_delivered_there_once() {
        let given = [("a", placed(1, 0, 5)), ("b", placed(2, 1, 9))];
        let (a, b) = (delivered("a", 1, 0, 5), delivered("b", 2, 1, 9));
        assert!(broken(&given, &[a.clone(), b.clone()]).is_empty());
        assert_eq!(
            broken(&given, std::slice::from_ref(&a)).len(),
            1,
            "b is missing"
        );
        let elsewhere = delivered("b", 2, 1, 10);
        assert_eq!(broken(&given, &[a.clone(), elsewhere]).len(), 1);
        let other_number = delivered("b", 2, 0, 9);
        assert_eq!(broken(&given, &[a.clone(), other_number]).len(), 2);
        let twice = delivered("b", 2, 2, 9);
        assert_eq!(broken(&given, &[a, b, twice]).len(), 1);
    }

    #[test]
    fn what_nobody_knows_of_may_have_been_delivered_once() {
        let reason = || "a death".to_owned();
        let unknown = || [("a", Ok(OrderOutcome::Unknown { reason: reason() }))];
        assert!(broken(&unknown(), &[]).is_empty());
        assert!(broken(&unknown(), &[delivered("a", 1, 0, 5)]).is_empty());
        let twice = [delivered("a", 1, 0, 5), delivered("a", 1, 1, 5)];
        assert_eq!(broken(&unknown(), &twice).len(), 1);
        let refused = [("a", Ok(OrderOutcome::Refused { reason: reason() }))];
        assert!(broken(&refused, &[]).is_empty());
        assert_eq!(broken(&refused, &[delivered("a", 1, 0, 5)]).len(), 1);
    }
}
