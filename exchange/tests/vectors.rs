//! Do the encoders write the bytes of the published field tables?
//!
//! The vectors of the sample data were written by hand from the specification,
//! one per message type. Skipped where the sample data is absent.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::PathBuf;

use toml::Table;
use twinfeed_exchange::itch::{
    DirectListing, Head, Imbalance, LENGTHS, Message, Order, Side, StockDirectory,
};

fn samples() -> PathBuf {
    std::env::var_os("TWINFEED_SAMPLES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// The fields of one vector, by the names it gives them.
struct Fields(Table);

impl Fields {
    fn number(&self, name: &str) -> u64 {
        let value = self.0.get(name).and_then(toml::Value::as_integer);
        value
            .unwrap_or_else(|| panic!("no number {name}"))
            .try_into()
            .unwrap()
    }

    fn short(&self, name: &str) -> u32 {
        self.number(name).try_into().unwrap()
    }

    fn text<const N: usize>(&self, name: &str) -> [u8; N] {
        let value = self.0.get(name).and_then(toml::Value::as_str);
        value
            .unwrap_or_else(|| panic!("no text {name}"))
            .as_bytes()
            .try_into()
            .unwrap()
    }

    fn byte(&self, name: &str) -> u8 {
        let [byte] = self.text(name);
        byte
    }

    fn order(&self) -> Order {
        Order {
            reference: self.number("order_reference_number"),
            side: if self.byte("buy_sell_indicator") == b'B' {
                Side::Buy
            } else {
                Side::Sell
            },
            shares: self.short("shares"),
            stock: self.text("stock"),
            price: self.short("price"),
        }
    }
}

fn encode(f: &Fields) -> Message {
    let mut out = Message::default();
    let head = Head {
        locate: f.number("stock_locate").try_into().unwrap(),
        tracking: f.number("tracking_number").try_into().unwrap(),
        timestamp_ns: f.number("timestamp"),
    };
    let reference = || f.number("order_reference_number");
    let matched = || f.number("match_number");
    match f.byte("message_type") {
        b'S' => out.system_event(head, f.byte("event_code")),
        b'R' => out.stock_directory(head, &directory(f)),
        b'H' => {
            let (state, reason) = (f.byte("trading_state"), f.text("reason"));
            out.trading_action(head, &f.text("stock"), state, &reason);
        }
        b'Y' => out.reg_sho(head, &f.text("stock"), f.byte("reg_sho_action")),
        b'L' => {
            let states = [
                "primary_market_maker",
                "market_maker_mode",
                "market_participant_state",
            ];
            let states = states.map(|name| f.byte(name));
            out.participant_position(head, &f.text("mpid"), &f.text("stock"), states);
        }
        b'V' => {
            out.decline_levels(
                head,
                ["level_1", "level_2", "level_3"].map(|name| f.number(name)),
            );
        }
        b'W' => out.breached_level(head, f.byte("breached_level")),
        b'K' => {
            let release = f.short("ipo_quotation_release_time");
            let qualifier = f.byte("ipo_quotation_release_qualifier");
            out.ipo_quoting(
                head,
                &f.text("stock"),
                release,
                qualifier,
                f.short("ipo_price"),
            );
        }
        b'J' => {
            let prices = [
                "auction_collar_reference_price",
                "upper_auction_collar_price",
                "lower_auction_collar_price",
            ];
            let prices = prices.map(|name| f.short(name));
            let extension = f.short("auction_collar_extension");
            out.auction_collar(head, &f.text("stock"), prices, extension);
        }
        b'h' => {
            let (market, action) = (f.byte("market_code"), f.byte("operational_halt_action"));
            out.operational_halt(head, &f.text("stock"), market, action);
        }
        b'A' => out.add_order(head, &f.order(), None),
        b'F' => out.add_order(head, &f.order(), Some(&f.text("attribution"))),
        b'E' => out.executed(head, reference(), f.short("executed_shares"), matched()),
        b'C' => {
            let (shares, price) = (f.short("executed_shares"), f.short("execution_price"));
            let printable = f.byte("printable") == b'Y';
            out.executed_with_price(head, reference(), shares, matched(), printable, price);
        }
        b'X' => out.cancelled(head, reference(), f.short("cancelled_shares")),
        b'D' => out.deleted(head, reference()),
        b'U' => {
            let old = f.number("original_order_reference_number");
            let new = f.number("new_order_reference_number");
            out.replaced(head, old, new, f.short("shares"), f.short("price"));
        }
        b'P' => out.trade(head, &f.order(), matched()),
        b'Q' => {
            let (shares, price) = (f.number("shares"), f.short("cross_price"));
            let cross = f.byte("cross_type");
            out.cross_trade(head, &f.text("stock"), shares, price, matched(), cross);
        }
        b'B' => out.broken_trade(head, matched()),
        b'I' => out.imbalance(head, &imbalance(f)),
        b'N' => out.retail_interest(head, &f.text("stock"), f.byte("interest_flag")),
        b'O' => out.direct_listing(head, &listing(f)),
        other => panic!("unexpected type {other}"),
    }
    out
}

fn directory(f: &Fields) -> StockDirectory {
    StockDirectory {
        stock: f.text("stock"),
        market_category: f.byte("market_category"),
        financial_status: f.byte("financial_status_indicator"),
        round_lot_size: f.short("round_lot_size"),
        round_lots_only: f.byte("round_lots_only"),
        issue_classification: f.byte("issue_classification"),
        issue_sub_type: f.text("issue_sub_type"),
        authenticity: f.byte("authenticity"),
        short_sale_threshold: f.byte("short_sale_threshold_indicator"),
        ipo_flag: f.byte("ipo_flag"),
        luld_tier: f.byte("luld_reference_price_tier"),
        etp_flag: f.byte("etp_flag"),
        etp_leverage_factor: f.short("etp_leverage_factor"),
        inverse_indicator: f.byte("inverse_indicator"),
    }
}

fn imbalance(f: &Fields) -> Imbalance {
    Imbalance {
        paired_shares: f.number("paired_shares"),
        imbalance_shares: f.number("imbalance_shares"),
        direction: f.byte("imbalance_direction"),
        stock: f.text("stock"),
        far_price: f.short("far_price"),
        near_price: f.short("near_price"),
        reference_price: f.short("current_reference_price"),
        cross: f.byte("cross_type"),
        price_variation: f.byte("price_variation_indicator"),
    }
}

fn listing(f: &Fields) -> DirectListing {
    DirectListing {
        stock: f.text("stock"),
        open_eligibility: f.byte("open_eligibility_status"),
        min_price: f.short("minimum_allowable_price"),
        max_price: f.short("maximum_allowable_price"),
        near_price: f.short("near_execution_price"),
        near_time_ns: f.number("near_execution_time"),
        lower_collar: f.short("lower_price_range_collar"),
        upper_collar: f.short("upper_price_range_collar"),
    }
}

#[test]
fn each_of_the_23_vectors_is_written_byte_by_byte() {
    let Ok(dir) = std::fs::read_dir(samples().join("nasdaq-itch50/vectors")) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: no sample data; set TWINFEED_SAMPLES\n"),
        );
        return;
    };
    let mut seen = Vec::new();
    for entry in dir {
        let path = entry.unwrap().path();
        let vector: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let raw = vector["raw_hex"].as_str().unwrap();
        let raw: Vec<u8> = raw
            .split_whitespace()
            .map(|hex| u8::from_str_radix(hex, 16).unwrap())
            .collect();
        let fields = Fields(vector["expected_fields"].as_table().unwrap().clone());
        assert_eq!(encode(&fields).as_bytes(), raw, "{}", path.display());
        seen.push((raw[0], raw.len()));
    }
    let mut known = LENGTHS.to_vec();
    known.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, known);
}
