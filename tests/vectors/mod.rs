//! Other people's vectors. Each folder beside this file holds its licence and is copied as it was.

mod http_desync_guardian;
mod rfc8037;
mod wycheproof;
