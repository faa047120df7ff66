//! What do the control plane's documents say?
//!
//! Every JSON document that any process reads of another: refused, or read; and what was read, written again, is read
//! alike. The first byte names the kind.

use serde::Serialize;
use serde::de::DeserializeOwned;
use twinfeed_control::{
    Affected, Assignment, Confirm, EntitlementAnswer, EntitlementChange, Grant, Order, OrderRecord,
    OrderReport, Problem, ReceiptAccepted, Receipts, Register, Renew, RenewSubscription, Renewed,
    RoleChange, RoleOrder, Status, Subscribe, SubscriptionRenewed, SubscriptionStatus, TakeOver,
};

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.pick(KINDS);
    (kind.1)(input.rest());
}

/// Whether a document of the kind with this number reads so.
pub(crate) fn is_read(number: u8, text: &[u8]) -> bool {
    (KINDS[usize::from(number)].0)(text)
}

/// Whether it can be read, and its gate.
pub(crate) type Kind = (fn(&[u8]) -> bool, fn(&[u8]));

macro_rules! kinds {
    ($($name:ident)+) => { &[$((reads::<$name>, again::<$name>)),+] };
}

/// In the order that the first byte counts them.
pub(crate) const KINDS: &[Kind] = kinds! {
    Register Renew TakeOver OrderReport Order RoleOrder Subscribe Confirm RenewSubscription Receipts EntitlementChange
    Assignment Renewed Grant SubscriptionRenewed SubscriptionStatus ReceiptAccepted EntitlementAnswer OrderRecord
    RoleChange Affected Status Problem
};

fn reads<T: DeserializeOwned>(text: &[u8]) -> bool {
    serde_json::from_slice::<T>(text).is_ok()
}

fn again<T: DeserializeOwned + Serialize>(text: &[u8]) {
    let Ok(document) = serde_json::from_slice::<T>(text) else {
        return;
    };
    let written = written(&document);
    match serde_json::from_slice::<T>(&written) {
        Ok(read) => assert!(
            written == self::written(&read),
            "what was read is read alike"
        ),
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&written)),
    }
}

fn written(document: &impl Serialize) -> Vec<u8> {
    match serde_json::to_vec(document) {
        Ok(bytes) => bytes,
        Err(error) => panic!("what was read cannot be written: {error}"),
    }
}
