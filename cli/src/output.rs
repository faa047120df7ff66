//! Where do records go, and in which form?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use dbn::encode::DynWriter;
use dbn::enums::Compression;
use twinfeed_subscriber::Event;
use twinfeed_wire::{BodyKind, RecordFlags};

use crate::dbn_text::{Text, head_of, kind_of, write_metadata};
use crate::event::{object, sentence};
use crate::position::{self, Entry};

/// The form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Form {
    /// A line for people.
    Human,
    /// One JSON object per line.
    Json,
    /// CSV: one file per kind of record, or one kind on standard output.
    Csv,
    /// DBN version 3; compressed if the file's name ends in `.zst`. A sidecar `.pos` keeps the rest.
    Dbn,
}

/// One body and where it stands. Its receive time is in it already, where it has a place for that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) sid: u32,
    pub(crate) epoch: u64,
    pub(crate) sseq: u64,
    pub(crate) part: u16,
    pub(crate) adm: u64,
    pub(crate) flags: RecordFlags,
    pub(crate) leg: Option<u8>,
    pub(crate) kind: BodyKind,
    pub(crate) body: &'a [u8],
    pub(crate) received_at: u64,
}

/// An open output.
pub(crate) struct Output {
    form: Form,
    path: Option<PathBuf>,
    only: Option<String>,
    text: Text,
    lines: Box<dyn Write>,
    csv: BTreeMap<&'static str, Box<dyn Write>>,
    dbn: Option<DynWriter<'static, Box<dyn Write>>>,
    positions: Option<BufWriter<File>>,
    /// Bodies that had no place in this form and output.
    left_out: u64,
}

impl Output {
    /// Opens `path`, or standard output. With `only`, other kinds of records are left out and counted.
    pub(crate) fn open(form: Form, path: Option<&Path>, only: Option<&str>) -> io::Result<Self> {
        if form == Form::Csv && path.is_none() && only.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "CSV has one kind of record per file: name one with --only, or a file with --output \
                 for one file per kind",
            ));
        }
        let lines: Box<dyn Write> = match (form, path) {
            (Form::Human | Form::Json, Some(path)) => Box::new(create(path)?),
            _ => Box::new(BufWriter::new(io::stdout())),
        };
        let positions = match (form, path) {
            (Form::Dbn, Some(path)) => {
                let mut file = create(&sidecar(path))?;
                position::begin(&mut file)?;
                Some(file)
            }
            _ => None,
        };
        Ok(Self {
            form,
            path: path.map(Path::to_owned),
            only: only.map(str::to_owned),
            text: Text::new()?,
            lines,
            csv: BTreeMap::new(),
            dbn: None,
            positions,
            left_out: 0,
        })
    }

    /// Writes a record.
    pub(crate) fn record(&mut self, item: &Item<'_>) -> io::Result<()> {
        let kind = match item.kind {
            BodyKind::Dbn => kind_of(item.body),
            BodyKind::Opaque => "opaque",
            BodyKind::Administrative => "administrative",
            BodyKind::Unknown(_) => "unknown",
        };
        if self.only.as_deref().is_some_and(|only| only != kind) {
            self.left_out += 1;
            return Ok(());
        }
        match self.form {
            Form::Human => self.human(item, kind),
            Form::Json => self.json(item, kind),
            Form::Csv => self.csv(item, kind),
            Form::Dbn => self.dbn(item),
        }
    }

    /// Writes what happened between two records.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.form, &mut self.positions) {
            (Form::Human, _) => writeln!(self.lines, "-- {}", sentence(event)),
            (Form::Json, _) => writeln!(self.lines, "{}", object(event)),
            (Form::Dbn, Some(file)) => {
                let entry = Entry {
                    kind: position::EVENT,
                    ..Entry::default()
                };
                position::write(file, &entry, object(event).to_string().as_bytes())
            }
            (Form::Csv | Form::Dbn, _) => {
                eprintln!("-- {}", sentence(event));
                Ok(())
            }
        }
    }

    /// Lets everything written so far be seen.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()?;
        self.csv.values_mut().try_for_each(Write::flush)?;
        match &mut self.positions {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }

    /// Completes everything; returns how many bodies had no place.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if let Some(dbn) = &mut self.dbn {
            dbn.finish().map_err(io::Error::other)?;
            dbn.get_mut().flush()?;
        }
        self.flush()?;
        Ok(self.left_out)
    }

    fn human(&mut self, item: &Item<'_>, kind: &str) -> io::Result<()> {
        let Item {
            sid, sseq, part, ..
        } = item;
        let leg = item.leg.map_or(String::new(), |leg| format!(" leg {leg}"));
        write!(self.lines, "{sid}:{sseq}.{part}{leg} {kind:<12} ")?;
        match item.kind {
            BodyKind::Dbn => writeln!(self.lines, "{}", self.text.json(item.body)?),
            _ => writeln!(self.lines, "{}", item.body.escape_ascii()),
        }
    }

    fn json(&mut self, item: &Item<'_>, kind: &str) -> io::Result<()> {
        let Item {
            sid,
            epoch,
            sseq,
            part,
            adm,
            received_at,
            ..
        } = item;
        write!(
            self.lines,
            "{{\"sid\":{sid},\"epoch\":\"{epoch:016x}\",\"sseq\":{sseq},\"part\":{part},\
             \"adm\":{adm},\"received_at\":\"{received_at}\",\"kind\":\"{kind}\","
        )?;
        if let Some(leg) = item.leg {
            write!(self.lines, "\"leg\":{leg},")?;
        }
        match item.kind {
            BodyKind::Dbn => writeln!(self.lines, "\"record\":{}}}", self.text.json(item.body)?),
            _ => {
                let hex: String = item.body.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(self.lines, "\"bytes\":\"{hex}\"}}")
            }
        }
    }

    fn csv(&mut self, item: &Item<'_>, kind: &'static str) -> io::Result<()> {
        if item.kind != BodyKind::Dbn {
            self.left_out += 1;
            return Ok(());
        }
        let new = !self.csv.contains_key(kind);
        if new {
            let file: Box<dyn Write> = match &self.path {
                Some(path) => Box::new(create(&numbered(path, kind))?),
                None => Box::new(BufWriter::new(io::stdout())),
            };
            self.csv.insert(kind, file);
        }
        match self.csv.get_mut(kind) {
            Some(file) => self.text.csv(item.body, new, file),
            None => Ok(()),
        }
    }

    fn dbn(&mut self, item: &Item<'_>) -> io::Result<()> {
        if let Some(file) = &mut self.positions {
            let entry = Entry {
                kind: item.kind.code(),
                flags: item.flags.0,
                part: item.part,
                sid: item.sid,
                epoch: item.epoch,
                sseq: item.sseq,
                adm: item.adm,
                received_at: item.received_at,
            };
            let body = if item.kind == BodyKind::Dbn {
                &[]
            } else {
                item.body
            };
            position::write(file, &entry, body)?;
        }
        if item.kind != BodyKind::Dbn {
            self.left_out += u64::from(self.positions.is_none());
            return Ok(());
        }
        if self.dbn.is_none() {
            let (publisher, event_ns) = head_of(item.body).unwrap_or_default();
            self.dbn = Some(self.open_dbn(publisher, event_ns)?);
        }
        match &mut self.dbn {
            Some(dbn) => dbn.write_all(item.body),
            None => Ok(()),
        }
    }

    fn open_dbn(
        &self,
        publisher: u16,
        start_ns: u64,
    ) -> io::Result<DynWriter<'static, Box<dyn Write>>> {
        let (out, zstd): (Box<dyn Write>, bool) = match &self.path {
            Some(path) => (
                Box::new(create(path)?),
                path.extension().is_some_and(|last| last == "zst"),
            ),
            None => (Box::new(BufWriter::new(io::stdout())), false),
        };
        let compression = if zstd {
            Compression::Zstd
        } else {
            Compression::None
        };
        let mut writer = DynWriter::new(out, compression).map_err(io::Error::other)?;
        write_metadata(&mut writer, publisher, start_ns)?;
        Ok(writer)
    }
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    File::create(path)
        .map(|file| BufWriter::with_capacity(1 << 18, file))
        .map_err(named)
}

/// `day.dbn.zst` becomes `day.pos`.
fn sidecar(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.strip_suffix(".zst").unwrap_or(&name);
    let stem = stem.strip_suffix(".dbn").unwrap_or(stem);
    path.with_file_name(format!("{stem}.pos"))
}

/// `day.csv` becomes `day.mbo.csv`.
fn numbered(path: &Path, kind: &str) -> PathBuf {
    path.with_extension(format!("{kind}.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sidecar_stands_beside_its_recording() {
        for (path, expected) in [
            ("a/day.dbn.zst", "a/day.pos"),
            ("day.dbn", "day.pos"),
            ("day", "day.pos"),
        ] {
            assert_eq!(sidecar(Path::new(path)), Path::new(expected));
        }
        assert_eq!(
            numbered(Path::new("a/day.csv"), "mbo"),
            Path::new("a/day.mbo.csv")
        );
    }

    #[test]
    fn a_recording_is_read_by_crate_dbn_and_its_sidecar_has_the_rest() {
        use dbn::decode::{DecodeRecordRef as _, dbn::Decoder};
        use twinfeed_wire::record::MboMsg;
        use zerocopy::IntoBytes as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("day.dbn.zst");
        let mut output = Output::open(Form::Dbn, Some(&path), None).unwrap();
        let order = MboMsg::default();
        let item = |sseq, kind, body| Item {
            sid: 1,
            epoch: 2,
            sseq,
            part: 0,
            adm: 0,
            flags: RecordFlags::LAST,
            leg: None,
            kind,
            body,
            received_at: 5,
        };
        output
            .record(&item(7, BodyKind::Dbn, order.as_bytes()))
            .unwrap();
        output.record(&item(8, BodyKind::Opaque, b"venue")).unwrap();
        output
            .record(&item(9, BodyKind::Dbn, order.as_bytes()))
            .unwrap();
        let ended = Event::Live {
            sid: twinfeed_wire::Sid(1),
        };
        output.event(&ended).unwrap();
        assert_eq!(output.finish().unwrap(), 0);

        let mut decoder = Decoder::from_zstd_file(&path).unwrap();
        let mut records = 0;
        while let Some(record) = decoder.decode_record_ref().unwrap() {
            assert!(record.get::<dbn::MboMsg>().is_some());
            records += 1;
        }
        assert_eq!(records, 2);
        let positions = std::fs::read(directory.path().join("day.pos")).unwrap();
        let mut kinds = Vec::new();
        let mut rest = positions.strip_prefix(&position::MAGIC).unwrap();
        while let Some((head, body)) = rest.split_at_checked(position::ENTRY) {
            let length = u32::from_le_bytes(head[40..44].try_into().unwrap()) as usize;
            kinds.push((head[0], head[16], length));
            rest = &body[length.next_multiple_of(8)..];
        }
        assert!(rest.is_empty());
        assert_eq!(kinds[..3], [(1, 7, 0), (3, 8, 5), (1, 9, 0)]);
        assert_eq!(kinds[3].0, position::EVENT);
    }
}
