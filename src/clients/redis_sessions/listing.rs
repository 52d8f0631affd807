//! Sessions for an operator to look at: page by page, so that nobody else waits for the server meanwhile.

use redis::cmd;

use super::{Inner, State};
use crate::authentication::SessionStoreError;
use crate::identity::SessionId;

pub(super) async fn some(inner: &Inner, limit: usize) -> Result<Vec<(SessionId, Vec<u8>)>, SessionStoreError> {
    let mut found = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(inner.keys.all_sessions()).arg("COUNT").arg(PAGE);
        let (next, keys): (u64, Vec<String>) = inner.link.run(async |mut connection| scan.query_async(&mut connection).await).await?;
        if !keys.is_empty() {
            let mut get = cmd("MGET");
            get.arg(&keys);
            let values: Vec<Option<Vec<u8>>> = inner.link.run(async |mut connection| get.query_async(&mut connection).await).await?;
            found.extend(values.into_iter().flatten().filter_map(|value| {
                let id = SessionId(*value.first_chunk()?);
                let sealed = State::read(&value, id)?.sealed.to_vec();
                Some((id, sealed))
            }));
        }
        cursor = next;
        if cursor == 0 || found.len() >= limit {
            return Ok(found);
        }
    }
}

const PAGE: usize = 200;
