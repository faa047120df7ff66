//! Where is it written down what was sent?
//!
//! Two optional records: one JSON line per session, and every session's messages
//! as a Nasdaq BinaryFILE. The first error of either is kept and reported by
//! [`Record::check`], because a sink cannot fail.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::RunError;
use crate::exchange::Event;
use crate::session::SessionId;

/// The open records.
#[derive(Debug, Default)]
pub(super) struct Record {
    truth: Option<Output>,
    sent_dir: Option<PathBuf>,
    sent: Option<Output>,
    error: Option<RunError>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Record {
    pub(super) fn open(truth: Option<&Path>, sent_dir: Option<&Path>) -> Result<Self, RunError> {
        if let Some(dir) = sent_dir {
            fs::create_dir_all(dir).map_err(|source| refused(dir, source))?;
        }
        Ok(Self {
            truth: truth.map(Output::create).transpose()?,
            sent_dir: sent_dir.map(Path::to_owned),
            sent: None,
            error: None,
        })
    }

    pub(super) fn message(&mut self, message: &[u8]) {
        let written = self.sent.as_mut().map_or(Ok(()), |sent| {
            // A message that fits a packet has a 16-bit length.
            sent.write(&(message.len() as u16).to_be_bytes())?;
            sent.write(message)
        });
        self.note(written);
    }

    pub(super) fn event(&mut self, event: &Event) {
        let written = match event {
            Event::Announced { .. } | Event::Done => Ok(()),
            Event::Opened { session } => self.begin(*session),
            Event::Closed(truth) => {
                let line = serde_json::to_vec(truth).unwrap_or_default();
                let end = self
                    .sent
                    .take()
                    .map_or(Ok(()), |mut sent| sent.write_and_flush(&[0, 0]));
                let truth = self.truth.as_mut().map_or(Ok(()), |truth| {
                    truth.write(&line)?;
                    truth.write_and_flush(b"\n")
                });
                end.and(truth)
            }
        };
        self.note(written);
    }

    /// The first error since the last call.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Completes what is open.
    pub(super) fn finish(&mut self) -> Result<(), RunError> {
        self.check()?;
        self.sent
            .take()
            .map_or(Ok(()), |mut sent| sent.write_and_flush(&[]))
    }

    fn begin(&mut self, session: SessionId) -> Result<(), RunError> {
        if let Some(dir) = &self.sent_dir {
            self.sent = Some(Output::create(&dir.join(format!("{session}.itch")))?);
        }
        Ok(())
    }

    fn note(&mut self, written: Result<(), RunError>) {
        if let Err(error) = written {
            self.error.get_or_insert(error);
        }
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, RunError> {
        let file = File::create(path).map_err(|source| refused(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.file
            .write_all(bytes)
            .map_err(|source| refused(&self.path, source))
    }

    fn write_and_flush(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.write(bytes)?;
        self.file
            .flush()
            .map_err(|source| refused(&self.path, source))
    }
}

fn refused(path: &Path, source: io::Error) -> RunError {
    RunError::Record {
        path: path.to_owned(),
        source,
    }
}
