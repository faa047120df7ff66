//! Which switches did subscribers report?

use twinfeed_control::{
    FeedName, Problem, Receipt, ReceiptAccepted, ReceivedReceipt, SubscriptionId,
};

use super::record::{ReceiptRecord, Record, Write};
use super::sessions::Caller;
use super::{Registry, check};

impl Registry {
    /// Takes receipts; a number that is not above the last one is a repetition and is dropped.
    ///
    /// # Errors
    ///
    /// `unknown-id`, `bad-request` when there are too many at once.
    pub fn receipts(
        &mut self,
        caller: &Caller<'_>,
        id: &SubscriptionId,
        receipts: Vec<Receipt>,
    ) -> Result<ReceiptAccepted, Problem> {
        if receipts.len() > check::RECEIPTS_PER_REQUEST {
            let limit = check::RECEIPTS_PER_REQUEST;
            return Err(check::bad(
                format!("more than {limit} receipts"),
                "send the oldest first",
            ));
        }
        let streams = self.settings.limits.streams;
        for receipt in &receipts {
            check::text("receipts.note", &receipt.note)?;
            if receipt.from.pos.len().max(receipt.to.pos.len()) > streams {
                let message = format!("a receipt has more than {streams} positions");
                return Err(check::bad(message, "send one per source stream"));
            }
        }
        let (name, subscription) = self.owned_mut(caller, id)?;
        let application = subscription.record.request.application.clone();
        let mut last = subscription.record.last_receipt;
        let mut fresh = Vec::new();
        for receipt in receipts {
            if receipt.number > last {
                last = receipt.number;
                let (subscription, application) = (id.clone(), application.clone());
                fresh.push(ReceivedReceipt {
                    subscription,
                    application,
                    receipt,
                });
            }
        }
        let accepted = fresh.len() as u64;
        if accepted > 0 {
            subscription.record.last_receipt = last;
            let record = Box::new(subscription.record.clone());
            self.writes.push(Write::Put(Record::Subscription(record)));
            self.keep_receipts(&name, fresh)?;
            self.touch(&name);
        }
        Ok(ReceiptAccepted { accepted })
    }

    fn keep_receipts(
        &mut self,
        name: &FeedName,
        fresh: Vec<ReceivedReceipt>,
    ) -> Result<(), Problem> {
        let limit = self.settings.limits.receipts_per_feed;
        let mut writes = Vec::new();
        let feed = self.feed_mut(name)?;
        for received in fresh {
            *feed.switches.entry(received.receipt.trigger).or_default() += 1;
            let place = feed.receipts.back().map_or(1, |last| last.place + 1);
            let record = ReceiptRecord {
                feed: name.clone(),
                place,
                received,
            };
            writes.push(Write::Put(Record::Receipt(Box::new(record.clone()))));
            feed.receipts.push_back(record);
        }
        while feed.receipts.len() > limit.max(1) {
            let oldest = feed.receipts.pop_front().map(|record| record.place);
            writes.extend(oldest.map(|place| Write::DropReceipt(name.clone(), place)));
        }
        self.writes.extend(writes);
        Ok(())
    }
}
