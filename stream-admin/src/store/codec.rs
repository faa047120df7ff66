//! What does a durable value look like on the disk?
//!
//! | key | value (JSON) |
//! |---|---|
//! | `format` | `1` |
//! | `server` | [`ServerRecord`] |
//! | `feed/<feed>` | [`FeedRecord`] |
//! | `subscription/<id>` | [`SubscriptionRecord`] |
//! | `override/<feed>/<principal>` | [`Override`] |
//! | `receipt/<feed>/<place, 16 hex digits>` | [`ReceiptRecord`] |
//! | `order/<feed>/<ticket, 16 hex digits>` | [`OrderRecord`] |
//! | `role/<feed>/<number, 16 hex digits>` | [`RoleChange`] |
//!
//! JSON, because a person may have to read it in a bad hour; nothing here is fast or large.

use serde::Serialize;
use serde::de::DeserializeOwned;

use twinfeed_control::{OrderRecord, RoleChange};

use crate::grant::Override;
use crate::registry::record::{
    FeedRecord, ReceiptRecord, Record, ServerRecord, SubscriptionRecord, Write,
};

/// The version of the table above.
pub const FORMAT: &str = "1";
/// Under which key it stands.
pub const FORMAT_KEY: &str = "format";

/// One change in the store's own terms: a key, and its value or none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// Under which key.
    pub key: String,
    /// What stands there from now on; `None`: nothing.
    pub value: Option<Vec<u8>>,
}

/// A change as it is written.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn encode(write: &Write) -> Result<Encoded, serde_json::Error> {
    let (key, value) = match write {
        Write::Put(Record::Server(record)) => ("server".to_owned(), Some(json(record)?)),
        Write::Put(Record::Feed(record)) => (format!("feed/{}", record.feed), Some(json(record)?)),
        Write::Put(Record::Subscription(record)) => (
            format!("subscription/{}", record.subscription),
            Some(json(record)?),
        ),
        Write::Put(Record::Override(word)) => (
            format!("override/{}/{}", word.feed, word.principal),
            Some(json(word)?),
        ),
        Write::Put(Record::Receipt(record)) => (
            format!("receipt/{}/{:016x}", record.feed, record.place),
            Some(json(record)?),
        ),
        Write::DropSubscription(id) => (format!("subscription/{id}"), None),
        Write::Put(Record::Order(record)) => (
            format!("order/{}/{:016x}", record.feed, record.ticket),
            Some(json(record)?),
        ),
        Write::Put(Record::Role(change)) => (
            format!("role/{}/{:016x}", change.feed, change.number),
            Some(json(change)?),
        ),
        Write::DropRole(feed, number) => (format!("role/{feed}/{number:016x}"), None),
        Write::DropOrder(feed, ticket) => (format!("order/{feed}/{ticket:016x}"), None),
        Write::DropReceipt(feed, place) => (format!("receipt/{feed}/{place:016x}"), None),
    };
    Ok(Encoded { key, value })
}

/// What stands under a key; `None` for a key that carries no record.
///
/// # Errors
/// What does not parse, or is of another version.
pub fn decode(key: &str, value: &[u8]) -> Result<Option<Record>, String> {
    let record = match key.split('/').next().unwrap_or_default() {
        FORMAT_KEY if value == FORMAT.as_bytes() => return Ok(None),
        FORMAT_KEY => return Err(format!("format {}", String::from_utf8_lossy(value))),
        "server" => Record::Server(parse::<ServerRecord>(value)?),
        "feed" => Record::Feed(Box::new(parse::<FeedRecord>(value)?)),
        "subscription" => Record::Subscription(Box::new(parse::<SubscriptionRecord>(value)?)),
        "override" => Record::Override(parse::<Override>(value)?),
        "receipt" => Record::Receipt(Box::new(parse::<ReceiptRecord>(value)?)),
        "role" => Record::Role(Box::new(parse::<RoleChange>(value)?)),
        "order" => Record::Order(Box::new(parse::<OrderRecord>(value)?)),
        _ => return Err("no such kind of value".to_owned()),
    };
    Ok(Some(record))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value)
}

fn parse<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}
