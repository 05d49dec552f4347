//! A client of HTTP/1.1 that sends what it is told, byte for byte, and reads answers.
use crate::origin::field;
use portcullis_e2e::{PATIENCE, client::Conversation};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// An answer as it came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, as text, with its empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The lines behind the last chunk.
    pub(crate) trailers: String,
}

/// A connection, whatever is below.
pub(crate) struct Talk<S> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

/// How a body ends where neither a length nor chunks tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Expected,
    /// To HEAD.
    Never,
}

impl Answer {
    /// The lines of a name, their values joined by commas.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a text")
    }
}

impl Talk<TcpStream> {
    /// In the clear.
    pub(crate) fn plain(address: SocketAddr) -> Talk<TcpStream> {
        let socket = TcpStream::connect(address).expect("it listens");
        let set = socket.set_read_timeout(Some(PATIENCE));
        set.expect("an open socket takes options");
        Talk::over(socket)
    }
}

impl Talk<Conversation> {
    pub(crate) fn tls(conversation: Conversation) -> Talk<Conversation> {
        Talk::over(conversation)
    }
}

impl<S: Read + Write> Talk<S> {
    fn over(stream: S) -> Talk<S> {
        Talk {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("an open connection");
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let request = request.as_ref();
        self.send(request);
        let body = match request.starts_with(b"HEAD ") {
            true => Body::Never,
            false => Body::Expected,
        };
        self.answer(body).expect("an answer")
    }

    /// The next answer, interim ones too.
    pub(crate) fn answer(&mut self, body: Body) -> io::Result<Answer> {
        let head = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8(head).expect("a head is ASCII");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let mut answer = Answer {
            status: status.expect("a status line"),
            head,
            ..Answer::default()
        };
        if body == Body::Never || matches!(answer.status, 100..200 | 204 | 304) {
            return Ok(answer);
        }
        let lengths = (answer.field("content-length"), answer.field("transfer-encoding"));
        match lengths {
            (Some(length), None) => answer.body = self.exactly(length.parse().expect("one length"))?,
            (None, Some(_)) => self.chunks(&mut answer)?,
            (None, None) => answer.body = self.rest()?,
            both => panic!("ambiguous: {both:?}"),
        }
        Ok(answer)
    }

    /// All that comes until the end.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn chunks(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n")?;
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            match usize::from_str_radix(&digits, 16).expect("a size and nothing else") {
                0 => break,
                size => {
                    let chunk = self.exactly(size + 2)?;
                    answer.body.extend_from_slice(&chunk[..size]);
                }
            }
        }
        loop {
            let line = self.until(b"\r\n")?;
            if line == b"\r\n" {
                return Ok(());
            }
            answer.trailers.push_str(&String::from_utf8_lossy(&line));
        }
    }

    fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self.unread.windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Ok(self.unread.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.fill()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}
