"""What do the books of an ITCH 5.0 session look like to somebody else?

Builds the order book of every instrument of a Nasdaq BinaryFILE with meatpy (PyPI), a package that shares nothing with this product:
its parser, its `LimitOrderBook` with levels and queues, its `ITCH50MarketProcessor`. Prints all books after as many messages as are
asked for, in the form that `tests/tests/book_itch.rs` prints those of `twinfeed_subscriber::book`; the two texts must be equal.

    itch_books.py FILE MESSAGES...

    @ 500                            after 500 messages
    17 B 1234500 9:100 12:40         locate, side, price (four decimals), orders of the queue as number:shares, first in time first
    17 ? D 3                         locate, and how many deletes named an order that does not rest; E, C, X, U likewise
    17 ! 2                           executions of an order that was not first in price and time

(itchfeed, the other package that knows the format, decodes messages and builds no books.)
"""

import datetime
import sys
from collections import Counter

from meatpy.itch50 import ITCH50MarketProcessor
from meatpy.itch50.itch50_market_message import ITCH50MarketMessage

DAY = datetime.datetime(2019, 12, 30)
ADDS = b"AF"
CHANGES = b"ECXDU"
TRADES = b"PQ"


class Processor(ITCH50MarketProcessor):
    """Counts executions out of turn, which meatpy reports and carries out all the same."""

    late = 0

    def create_lob(self, timestamp):
        super().create_lob(timestamp)
        self.current_lob.skip_exception = self.skip

    def skip(self, _):
        self.late += 1
        return True

    def rests(self, reference):
        return self.current_lob is not None and self.current_lob.order_on_book(reference)


def messages(path):
    """The messages of a BinaryFILE: u16 length (big-endian), message."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        if length == 0:
            return
        if at + 2 + length > len(data):
            raise SystemExit(f"{path} ends within a message")
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


class Books:
    def __init__(self):
        self.processors = {}
        self.unknown = Counter()

    def apply(self, raw):
        letter = raw[:1]
        if letter not in ADDS and letter not in CHANGES and letter not in TRADES:
            return
        message = ITCH50MarketMessage.from_bytes(raw)
        locate = message.stock_locate
        if letter in ADDS and locate not in self.processors:
            self.processors[locate] = Processor(message.stock, DAY)
        processor = self.processors.get(locate)
        if letter in CHANGES:
            reference = message.original_ref if letter == b"U" else message.order_ref
            if processor is None or not processor.rests(reference):
                # meatpy passes over an order that it never saw, and raises for one that is gone; here both are counted.
                self.unknown[locate, letter.decode()] += 1
                return
        if processor is not None:
            processor.process_message(message)

    def lines(self):
        for locate, processor in sorted(self.processors.items()):
            book = processor.current_lob
            if book is None:
                continue
            for side, levels in (("B", book.bid_levels), ("S", book.ask_levels)):
                for level in levels:
                    queue = " ".join(f"{it.order_id}:{it.volume}" for it in level.queue)
                    yield f"{locate} {side} {level.price} {queue}"
        for (locate, letter), count in sorted(self.unknown.items()):
            yield f"{locate} ? {letter} {count}"
        for locate, processor in sorted(self.processors.items()):
            if processor.late:
                yield f"{locate} ! {processor.late}"


def main(path, moments):
    books = Books()
    count = 0
    wanted = sorted(set(moments))
    for raw in messages(path):
        books.apply(raw)
        count += 1
        while wanted and wanted[0] == count:
            print(f"@ {wanted.pop(0)}")
            for line in books.lines():
                print(line)
    if wanted:
        raise SystemExit(f"{path} has {count} messages, and {wanted[0]} were asked for")


if __name__ == "__main__":
    main(sys.argv[1], [int(word) for word in sys.argv[2:]])
