//! What do programs make of the words of a command line, an URL or a key?
//!
//! Refused with a reason, or read; what was read, printed and read again, is the same. The first byte names the kind.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use twinfeed_control::{AdapterId, FeedName, Incarnation, SubscriptionId};
use twinfeed_exchange::{Command, LineId};
use twinfeed_feed_adapter::config::{Replay, Span};
use twinfeed_feed_adapter::decode::TradingDay;
use twinfeed_net::idle::Idle;
use twinfeed_net::interface::Selector;
use twinfeed_stream_admin::config::Time;
use twinfeed_stream_admin::registry::Daily;
use twinfeed_subscriber::config::{IdleText, Span as SubscriberSpan};

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return;
    };
    match kind % 14 {
        0 => again::<Span>(text),
        1 => again::<Time>(text),
        2 => again::<TradingDay>(text),
        3 => again::<Daily>(text),
        4 => again::<Idle>(text),
        5 => again::<FeedName>(text),
        6 => again::<AdapterId>(text),
        7 => again::<SubscriptionId>(text),
        8 => again::<Incarnation>(text),
        9 => again::<Command>(text),
        10 => drop(text.parse::<Selector>()),
        11 => drop(text.parse::<Replay>()),
        12 => drop(text.parse::<LineId>()),
        _ => {
            drop(SubscriberSpan::try_from(text.to_owned()));
            drop(IdleText::try_from(text.to_owned()));
        }
    }
}

fn again<T>(text: &str)
where
    T: FromStr + Display + Debug + PartialEq,
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(read) => {
            let printed = read.to_string();
            match printed.parse::<T>() {
                Ok(again) => assert_eq!(again, read, "{printed:?}"),
                Err(error) => panic!("{printed:?} is refused: {error}"),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
