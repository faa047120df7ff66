//! How does a DBN record become JSON, CSV, or part of a DBN file?
//!
//! By crate `dbn`, which other users of the format have too. It reads records from a stream of bytes, so
//! that is what it gets.

use std::io::{self, Read, Write};

use dbn::decode::DecodeRecordRef as _;
use dbn::decode::dbn::RecordDecoder;
use dbn::encode::dbn::MetadataEncoder;
use dbn::encode::{EncodeRecordRef as _, csv, json};
use dbn::{MetadataBuilder, SType, Schema, VersionUpgradePolicy};
use twinfeed_wire::record::RecordHeader;
use twinfeed_wire::record::code::rtype;

/// Version of DBN that records are in.
const VERSION: u8 = 3;

/// Bytes on their way into a decoder.
#[derive(Debug, Default)]
struct Pipe(Vec<u8>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.0.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0.drain(..length);
        Ok(length)
    }
}

/// Turns bodies into text.
pub(crate) struct Text {
    decoder: RecordDecoder<Pipe>,
}

impl Text {
    pub(crate) fn new() -> io::Result<Self> {
        let decoder = RecordDecoder::with_version(
            Pipe::default(),
            VERSION,
            VersionUpgradePolicy::AsIs,
            false,
        );
        Ok(Self {
            decoder: decoder.map_err(io::Error::other)?,
        })
    }

    /// One line of JSON without its end.
    pub(crate) fn json(&mut self, body: &[u8]) -> io::Result<String> {
        let mut line = Vec::new();
        self.encode(body, |record| {
            json::Encoder::builder(&mut line)
                .use_pretty_px(true)
                .use_pretty_ts(true)
                .build()
                .encode_record_ref(record)
        })?;
        let text = String::from_utf8(line).map_err(io::Error::other)?;
        Ok(text.trim_end().to_owned())
    }

    /// One line of CSV, with a header before it if asked for.
    pub(crate) fn csv(
        &mut self,
        body: &[u8],
        header: bool,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let schema = schema_of(body);
        self.encode(body, |record| {
            let mut encoder = csv::Encoder::builder(out)
                .schema(schema)
                .write_header(header)
                .use_pretty_px(true)
                .use_pretty_ts(true)
                .build()?;
            encoder.encode_record_ref(record)
        })
    }

    fn encode(
        &mut self,
        body: &[u8],
        encode: impl FnOnce(dbn::RecordRef<'_>) -> dbn::Result<()>,
    ) -> io::Result<()> {
        self.decoder.get_mut().0.extend_from_slice(body);
        let record = self.decoder.decode_record_ref().map_err(io::Error::other)?;
        let record = record.ok_or_else(|| io::Error::other("the record is cut off"))?;
        encode(record).map_err(io::Error::other)
    }
}

/// The header of a DBN file of mixed records.
pub(crate) fn write_metadata(
    out: &mut impl Write,
    publisher_id: u16,
    start_ns: u64,
) -> io::Result<()> {
    let dataset = dbn::Publisher::try_from(publisher_id).map_or_else(
        |_| format!("PUBLISHER.{publisher_id}"),
        |it| it.dataset().to_string(),
    );
    let metadata = MetadataBuilder::new()
        .version(VERSION)
        .dataset(dataset)
        .schema(None::<Schema>)
        .start(start_ns)
        .stype_in(None::<SType>)
        .stype_out(SType::InstrumentId)
        .build();
    MetadataEncoder::new(out)
        .encode(&metadata)
        .map_err(io::Error::other)
}

/// Publisher and time of event of a record; `None` if it is none.
pub(crate) fn head_of(body: &[u8]) -> Option<(u16, u64)> {
    RecordHeader::peek(body).map(|header| (header.publisher_id.get(), header.ts_event.get()))
}

/// The name of the kind of record, as DBN calls its schema.
pub(crate) fn kind_of(body: &[u8]) -> &'static str {
    schema_of(body).map_or("other", |schema| schema.as_str())
}

fn schema_of(body: &[u8]) -> Option<Schema> {
    Some(match RecordHeader::peek(body)?.rtype {
        rtype::MBO => Schema::Mbo,
        rtype::MBP_0 => Schema::Trades,
        rtype::MBP_1 => Schema::Mbp1,
        rtype::MBP_10 => Schema::Mbp10,
        rtype::STATUS => Schema::Status,
        rtype::INSTRUMENT_DEF => Schema::Definition,
        rtype::IMBALANCE => Schema::Imbalance,
        rtype::STATISTICS => Schema::Statistics,
        _ => return None,
    })
}
