//! The framing of a chunked body (RFC 9112 §7.1), read strictly: a size is hexadecimal digits and nothing else, a line ends in CR LF, an
//! extension and a trailer hold no control characters.
//!
//! Lenient readers disagree on where such a line ends (threat D08): one takes LF for the end of an extension, another does not.

/// Where in the body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Of the size, or of a chunk that has not ended.
    left: u64,
    digits: u8,
    /// Octets of extensions and trailers so far.
    spent: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// Blanks between the size and the semicolon.
    Blank,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line behind the last chunk.
    TrailerStart,
    Trailer,
    TrailerEnd,
    Last,
    Over,
}

/// The framing is not as the specification has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk;

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size, left: 0, digits: 0, spent: 0 }
    }
}

impl Chunks {
    /// How many of the octets belong to this body.
    pub fn read(&mut self, octets: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < octets.len() && self.state != State::Over {
            if self.state == State::Data {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(octets.len() - at);
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.next(octets[at])?;
            at += 1;
        }
        Ok(at)
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn next(&mut self, byte: u8) -> Result<State, BadChunk> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < MOST_DIGITS => {
                self.digits += 1;
                self.left = self.left << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                Ok(State::Size)
            }
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeEnd),
            (State::Size | State::Blank, b';') if self.digits > 0 => self.spend(State::Extension),
            (State::Size | State::Blank, b' ' | b'\t') if self.digits > 0 => self.spend(State::Blank),
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, byte) if is_text(byte) => self.spend(State::Extension),
            (State::SizeEnd, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeEnd, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.digits = 0;
                Ok(State::Size)
            }
            (State::TrailerStart, b'\r') => Ok(State::Last),
            // A folded line would be joined to the one before.
            (State::TrailerStart, byte) if is_text(byte) && !matches!(byte, b' ' | b'\t') => self.spend(State::Trailer),
            (State::Trailer, b'\r') => Ok(State::TrailerEnd),
            (State::Trailer, byte) if is_text(byte) => self.spend(State::Trailer),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            (State::Last, b'\n') => Ok(State::Over),
            _ => Err(BadChunk),
        }
    }

    /// Extensions and trailers are read past, and nobody needs many.
    fn spend(&mut self, state: State) -> Result<State, BadChunk> {
        self.spent += 1;
        if self.spent <= MOST_SPENT { Ok(state) } else { Err(BadChunk) }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Below 2⁶⁰.
const MOST_DIGITS: u8 = 15;
const MOST_SPENT: u16 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// What belongs to the body, with the octets in pieces of each size.
    fn read(text: &str) -> Result<usize, BadChunk> {
        let results: Vec<_> = [1, 2, 3, 7, 1000]
            .map(|size| {
                let mut chunks = Chunks::default();
                let mut total = 0;
                for piece in text.as_bytes().chunks(size) {
                    total += chunks.read(piece)?;
                    if chunks.is_over() {
                        return Ok(total);
                    }
                }
                Ok(usize::MAX)
            })
            .into_iter()
            .collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{text:?}: {results:?}");
        results[0]
    }

    #[test]
    fn honest_bodies_end_where_they_end() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00a\r\n0123456789\r\n000\r\n\r\n",
            "5;name=value;x=\"y z\"\r\nhello\r\n0 ; last\r\n\r\n",
            "0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        ] {
            assert_eq!(read(&format!("{body}GET /")), Ok(body.len()), "{body:?}");
        }
        assert_eq!(read("5\r\nhel"), Ok(usize::MAX));
    }

    #[test]
    fn what_lenient_readers_disagree_on_is_refused() {
        for body in [
            "\r\n",
            ";x\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5;x\nhello\r\n0\r\n\r\n",
            "5;x\r\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "5_0\r\n",
            "1000000000000000\r\n",
            "0\r\nTrailer: x\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nTrailer: \0\r\n\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(read(body), Err(BadChunk), "{body:?}");
        }
        assert_eq!(read(&format!("5;{}\r\n", "x".repeat(20_000))), Err(BadChunk));
    }
}
