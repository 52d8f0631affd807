//! What a scripted endpoint says, and how badly.

use std::time::Duration;

use serde_json::Value;

use super::wire::Wire;

/// A response with the manner in which it is given.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    content_type: Option<String>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    manner: Manner,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    Whole,
    /// Waits before the first octet.
    After(Duration),
    /// One octet of the body at a time.
    Drip(Duration),
    /// Announces the whole body and closes after so many octets of it.
    CutAfter(usize),
    /// Closes without a word.
    Closed,
    /// Says nothing until the peer gives up.
    Hanging,
    /// Chunks without end.
    Endless,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::of(status, Some("application/json"), body.to_string())
    }

    pub(crate) fn of(status: u16, content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: content_type.map(str::to_owned), fields: Vec::new(), body: body.into(), manner: Manner::Whole }
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::of(status, None, "").with("Location", location)
    }

    pub(crate) fn closed() -> Self {
        Self::of(0, None, "").mannered(Manner::Closed)
    }

    pub(crate) fn hanging() -> Self {
        Self::of(0, None, "").mannered(Manner::Hanging)
    }

    pub(crate) fn endless() -> Self {
        Self::of(200, Some("application/json"), "").mannered(Manner::Endless)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        self.mannered(Manner::After(delay))
    }

    pub(crate) fn drip(self, pause: Duration) -> Self {
        self.mannered(Manner::Drip(pause))
    }

    pub(crate) fn cut_after(self, octets: usize) -> Self {
        self.mannered(Manner::CutAfter(octets))
    }

    fn mannered(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Says it. An error, or `Ok(false)`, ends the connection.
    pub(crate) fn say(&self, wire: &mut Wire) -> std::io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        if let Some(content_type) = &self.content_type {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let whole = format!("{head}Content-Length: {}\r\n\r\n", self.body.len());
        match self.manner {
            Manner::Whole => wire.send(&[whole.as_bytes(), &self.body].concat())?,
            Manner::After(delay) => {
                std::thread::sleep(delay);
                wire.send(&[whole.as_bytes(), &self.body].concat())?;
            }
            Manner::Drip(pause) => {
                wire.send(whole.as_bytes())?;
                for octet in &self.body {
                    std::thread::sleep(pause);
                    wire.send(&[*octet])?;
                }
            }
            Manner::CutAfter(octets) => {
                wire.send(&[whole.as_bytes(), &self.body[..octets]].concat())?;
                return Ok(false);
            }
            Manner::Closed => return Ok(false),
            Manner::Hanging => {
                wire.rest();
                return Ok(false);
            }
            Manner::Endless => {
                wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
                let chunk = [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat();
                loop {
                    wire.send(&chunk)?;
                }
            }
        }
        Ok(true)
    }
}
