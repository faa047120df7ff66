//! What is in a delivered record?

use twinfeed_protocol::Delivered;
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::DbnRecord;

/// The body as a DBN record `R`, in place; `None` when it is anything else.
pub(super) fn dbn<'a, R: DbnRecord>(record: &Delivered<'a>) -> Option<&'a R> {
    match record.kind {
        BodyKind::Dbn => R::view(record.body),
        BodyKind::Administrative | BodyKind::Opaque | BodyKind::Unknown(_) => None,
    }
}
