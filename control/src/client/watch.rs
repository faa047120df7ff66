//! How does a process follow what is granted to it, whatever happens to the connection?
//!
//! Every event is the whole truth, never a difference, and every connection begins with one: a watch
//! that was broken, reordered or restarted against another server misses nothing that still holds.

use std::io::{self, BufReader, Read};

use serde::de::DeserializeOwned;

use super::http::Http;
use super::sse::{Frame, read_frame};
use super::{Backoff, Error, StopFlag};
use crate::{Assignment, Grant, SubscriptionState};

/// A document that can be watched.
pub trait WatchEvent: Clone + DeserializeOwned + PartialEq {
    /// Rises with every change.
    fn revision(&self) -> u64;
    /// Whether nothing can follow it.
    fn is_final(&self) -> bool;
}

impl WatchEvent for Assignment {
    fn revision(&self) -> u64 {
        self.revision
    }
    fn is_final(&self) -> bool {
        self.replaced_by.is_some()
    }
}

impl WatchEvent for Grant {
    fn revision(&self) -> u64 {
        self.revision
    }
    fn is_final(&self) -> bool {
        matches!(self.access, SubscriptionState::Closed { .. })
    }
}

/// What a watch yields.
#[derive(Debug)]
pub enum Watched<T> {
    /// How things stand; differs from the one before.
    Snapshot(T),
    /// The connection is lost or cannot be made; the watch goes on by itself after a delay. Told once
    /// per outage.
    Lost(Error),
    /// It cannot go on: gone, replaced, refused. Nothing follows.
    Ended(Error),
}

/// What one [`Watch::turn`] brought.
#[derive(Debug)]
pub enum Turn<T> {
    /// Something to tell.
    Told(Watched<T>),
    /// A sign of life, or one delay waited out: nothing changed.
    Quiet,
    /// The watch is over.
    Over,
}

/// A blocking iterator over a watched document. It ends after a final snapshot, after
/// [`Watched::Ended`], or once its [`StopFlag`] is raised (noticed at the server's next sign of life,
/// one second by default).
#[derive(Debug)]
pub struct Watch<T> {
    http: Http,
    path: String,
    backoff: Backoff,
    stop: StopFlag,
    link: Link,
    last: Option<T>,
}

enum Link {
    /// Connect at once.
    Fresh,
    /// Connect after a delay; whether this outage was told.
    Broken,
    Open(BufReader<Box<dyn Read + Send>>),
    Over,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fresh => "Fresh",
            Self::Broken => "Broken",
            Self::Open(_) => "Open",
            Self::Over => "Over",
        })
    }
}

impl<T: WatchEvent> Watch<T> {
    pub(super) const fn new(http: Http, path: String, backoff: Backoff, stop: StopFlag) -> Self {
        Self {
            http,
            path,
            backoff,
            stop,
            link: Link::Fresh,
            last: None,
        }
    }

    /// Waits for one thing: a connection, a frame of it, or a delay before the next attempt. A thread
    /// with other duties takes turns, each as long as the server's sign of life (one second by default)
    /// or, at worst, the watch's silence or longest delay.
    pub fn turn(&mut self) -> Turn<T> {
        if self.stop.is_stopped() {
            return Turn::Over;
        }
        let told = match &mut self.link {
            Link::Over => return Turn::Over,
            Link::Fresh => self.connect(),
            Link::Broken => {
                if self.stop.wait(self.backoff.next_delay()) {
                    return Turn::Over;
                }
                self.connect()
            }
            Link::Open(reader) => match read_frame(reader) {
                Ok(Some(Frame::Comment)) => None,
                Ok(Some(Frame::Data(data))) => self.accept(&data),
                other => Some(self.broken(other)),
            },
        };
        told.map_or(Turn::Quiet, Turn::Told)
    }

    fn connect(&mut self) -> Option<Watched<T>> {
        let told = matches!(self.link, Link::Broken);
        match self.http.stream(&self.path) {
            Ok(reader) => {
                self.link = Link::Open(reader);
                None
            }
            Err(error) if error.is_worth_retrying() => {
                self.link = Link::Broken;
                (!told).then_some(Watched::Lost(error))
            }
            Err(error) => {
                self.link = Link::Over;
                Some(Watched::Ended(error))
            }
        }
    }

    fn accept(&mut self, data: &str) -> Option<Watched<T>> {
        let document: T = match serde_json::from_str(data) {
            Ok(document) => document,
            Err(error) => {
                self.link = Link::Over;
                let url = self.http.base_url().to_owned();
                return Some(Watched::Ended(Error::Answer {
                    url,
                    cause: error.to_string(),
                }));
            }
        };
        self.backoff.reset();
        if document.is_final() {
            self.link = Link::Over;
        }
        if self.last.as_ref() == Some(&document) {
            return None;
        }
        self.last = Some(document.clone());
        Some(Watched::Snapshot(document))
    }

    fn broken(&mut self, read: io::Result<Option<Frame>>) -> Watched<T> {
        self.link = Link::Broken;
        let url = self.http.base_url();
        Watched::Lost(match read {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Error::silent(url, self.http.silence())
            }
            Err(error) => Error::Unreachable {
                url: url.to_owned(),
                cause: error.to_string(),
            },
            Ok(_) => {
                let cause = "it ended the watch".to_owned();
                Error::Unreachable {
                    url: url.to_owned(),
                    cause,
                }
            }
        })
    }
}

impl<T: WatchEvent> Iterator for Watch<T> {
    type Item = Watched<T>;

    fn next(&mut self) -> Option<Watched<T>> {
        loop {
            match self.turn() {
                Turn::Told(told) => return Some(told),
                Turn::Quiet => {}
                Turn::Over => return None,
            }
        }
    }
}
