//! A server of snapshots as a double: it answers as the test says.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use twinfeed_subscriber::Cursor;
use twinfeed_subscriber::record::InstrumentDefMsg;
use twinfeed_subscriber::wire::snapshot::{
    Begin, Digest, End, Instrument, LONGEST_FRAME, Order, REQUEST_LENGTH, Reason, Refused, Request,
    Snapshot, Trust, write_orders,
};

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// A whole snapshot.
    Whole,
    Refuse(Reason),
    /// So many bytes of one, and then the end.
    Tear(usize),
    /// One whose digest is another.
    Lie,
    /// Bytes that are no frame.
    Garbage,
    /// Nothing at all, and no end.
    Silence,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    asked: Vec<Request>,
    /// Connections that were not answered, so that they stay open.
    silent: Vec<TcpStream>,
}

/// The server; its thread ends with the test.
#[derive(Debug)]
pub struct SnapshotServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl SnapshotServer {
    /// Answers with `answers`, and then as the last of them; `snapshot` makes the frames.
    pub fn start(
        answers: &[Answer],
        snapshot: impl Fn(&Request) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            answers: answers.iter().copied().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared, &snapshot);
            }
        });
        Self { address, state }
    }

    pub fn asked(&self) -> Vec<Request> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, snapshot: &impl Fn(&Request) -> Vec<u8>) {
    let mut buffer = [0; REQUEST_LENGTH];
    if stream.read_exact(&mut buffer).is_err() {
        return;
    }
    let Ok(Snapshot::Request(request)) = Snapshot::parse(&buffer) else {
        panic!("a request is well-formed");
    };
    let answer = {
        let mut state = state.lock().unwrap();
        state.asked.push(request);
        match state.answers.len() {
            1 => state.answers[0],
            _ => state.answers.pop_front().unwrap(),
        }
    };
    let mut bytes = match answer {
        Answer::Refuse(reason) => {
            let mut buffer = vec![0; LONGEST_FRAME];
            let refused = Snapshot::Refused(Refused {
                sid: request.sid,
                stream: request.stream,
                request: request.request,
                reason,
                retry_after_us: 0,
            });
            let length = refused.emit(&mut buffer);
            buffer[..length].to_vec()
        }
        Answer::Garbage => vec![0xAB; 4_096],
        Answer::Silence => return state.lock().unwrap().silent.push(stream),
        Answer::Whole | Answer::Tear(_) | Answer::Lie => snapshot(&request),
    };
    match answer {
        Answer::Tear(at) => bytes.truncate(at),
        Answer::Lie => {
            // A bit of the digest in the end frame.
            let at = bytes.len() - 4;
            bytes[at] ^= 1;
        }
        _ => {}
    }
    // Who hung up needs no answer.
    let _ = stream.write_all(&bytes);
}

/// Writes frames of one snapshot.
pub struct Frames {
    bytes: Vec<u8>,
    buffer: Vec<u8>,
    digest: Digest,
    cursor: Cursor,
    instruments: u64,
}

impl Frames {
    pub fn begin(cursor: Cursor, request: &Request) -> Self {
        let mut frames = Self {
            bytes: Vec::new(),
            buffer: vec![0; LONGEST_FRAME],
            digest: Digest::default(),
            cursor,
            instruments: 0,
        };
        frames.put(&Snapshot::Begin(Begin {
            cursor: cursor.into(),
            stream: request.stream,
            instruments: 0,
            orders: 0,
        }));
        frames
    }

    pub fn define(&mut self, definition: &InstrumentDefMsg) {
        self.put(&Snapshot::Definition(definition));
    }

    pub fn put(&mut self, frame: &Snapshot<'_>) {
        let length = frame.emit(&mut self.buffer);
        self.add(length);
    }

    fn add(&mut self, length: usize) {
        self.digest.add(&self.buffer[..length]);
        self.bytes.extend_from_slice(&self.buffer[..length]);
    }

    pub fn book(&mut self, id: u32, orders: &[Order]) {
        self.instruments += 1;
        self.put(&Snapshot::Instrument(Instrument {
            id,
            trust: Trust::Sound,
            orders: orders.len() as u64,
        }));
        for some in orders.chunks(50) {
            let length = write_orders(&mut self.buffer, id, some.iter().copied());
            self.add(length);
        }
    }

    pub fn end(mut self, orders: u64) -> Vec<u8> {
        let end = Snapshot::End(End {
            cursor: self.cursor.into(),
            trust: Trust::Sound,
            silent: false,
            instruments: self.instruments,
            orders,
            frames: self.digest.frames(),
            digest: self.digest.value(),
        });
        let length = end.emit(&mut self.buffer);
        self.bytes.extend_from_slice(&self.buffer[..length]);
        self.bytes
    }
}
