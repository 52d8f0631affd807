//! What instances tell each other.

use crate::clock::UnixTime;
use crate::identity::{Mark, SessionId};
use crate::session::Ending;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// That an instance is there, to itself: by the time it comes back, everything that was said before it has come too.
    Beat {
        instance: [u8; 16],
        /// By the clock of that instance, in milliseconds.
        sent: u64,
    },
    /// A session has a new state.
    Changed(SessionId),
    Ended(SessionId, Ending),
    EndedByMark(Mark, UnixTime),
}

impl Event {
    pub(super) fn write(self) -> Vec<u8> {
        match self {
            Self::Beat { instance, sent } => [b"b", &instance[..], &sent.to_be_bytes()].concat(),
            Self::Changed(id) => [b"c", &id.0[..]].concat(),
            Self::Ended(id, Ending::SignedOut) => [b"s", &id.0[..]].concat(),
            Self::Ended(id, Ending::Replaced) => [b"r", &id.0[..]].concat(),
            Self::EndedByMark(mark, until) => [b"m", &mark.bytes()[..], &until.0.to_be_bytes()].concat(),
        }
    }

    /// `None`: nothing that this version knows.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let (kind, rest) = message.split_first()?;
        let (name, rest) = rest.split_first_chunk::<16>()?;
        let number = || rest.try_into().ok().map(u64::from_be_bytes);
        match kind {
            b'b' => Some(Self::Beat { instance: *name, sent: number()? }),
            b'c' if rest.is_empty() => Some(Self::Changed(SessionId(*name))),
            b's' if rest.is_empty() => Some(Self::Ended(SessionId(*name), Ending::SignedOut)),
            b'r' if rest.is_empty() => Some(Self::Ended(SessionId(*name), Ending::Replaced)),
            b'm' => Some(Self::EndedByMark(Mark::from_bytes(*name), UnixTime(number()?))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard_and_anything_else_is_nothing() {
        let events = [
            Event::Beat { instance: [7; 16], sent: 1 << 40 },
            Event::Changed(SessionId([1; 16])),
            Event::Ended(SessionId([2; 16]), Ending::SignedOut),
            Event::Ended(SessionId([2; 16]), Ending::Replaced),
            Event::EndedByMark(Mark::from_bytes([3; 16]), UnixTime(u64::MAX)),
        ];
        for event in events {
            let message = event.write();
            assert_eq!(Event::read(&message), Some(event));
            assert_eq!(Event::read(&message[..message.len() - 1]), None, "{event:?}, cut");
            assert_eq!(Event::read(&[&message[..], b"x"].concat()), None, "{event:?}, and more");
        }
        assert_eq!(Event::read(b"z0123456789abcdef"), None);
    }
}
