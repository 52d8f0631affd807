//! A run from its beginning to its end: sign in, look at the first answers, drive, put together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::check::{CheckError, Checked, check};
use super::client::Network;
use super::dial::{DialError, Dialer};
use super::drive::{Drive, DriveError, shares};
use super::outcome::{Circumstances, Outcome, SignIns};
use super::people::{Person, User};
use super::plan::{Page, PeopleFrom, Plan, Version};
use super::progress::Progress;
use super::record::note;
use super::sign_in::{Login, SignInError, SignedIn, sign_in};

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LoadError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("there is no page to ask for")]
    NoPage,
    #[error("{origin}: {error}\n  hint: {}", error.hint())]
    Unreachable { origin: String, error: DialError },
    #[error("{first}{}", and_others(*.others))]
    SignIn { first: Box<SignInError>, others: usize },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error("the figures cannot be kept: {0}")]
    Figures(#[from] hdrhistogram::CreationError),
    #[error("ended before anything was measured")]
    Stopped,
}

fn and_others(count: usize) -> String {
    if count == 0 { String::new() } else { format!("\n  and {count} more cannot") }
}

/// Runs to the end, or until `stop` is done; `started` is for the report, `with_bar` for a person who looks on.
pub async fn run(plan: Plan, started: String, with_bar: bool, stop: impl Future<Output = ()>) -> Result<Outcome, LoadError> {
    Ok(whole(Arc::new(plan), started, if with_bar { Progress::Bar } else { Progress::Lines }, stop).await?)
}

async fn whole(plan: Arc<Plan>, started: String, progress: Progress, stop: impl Future<Output = ()>) -> Result<Outcome, Cause> {
    let mut stop = std::pin::pin!(stop);
    let first = plan.pages.first().cloned().ok_or(Cause::NoPage)?;
    let prepared = tokio::select! {
        prepared = prepare(&plan, &first, &progress) => prepared?,
        () = &mut stop => return Err(Cause::Stopped),
    };
    let Prepared { people, judge, notes, dialer, version, sign_ins } = prepared;
    let shares = shares(&plan, people, version);
    let threads = shares.len();
    let addresses = dialer.addresses().iter().map(ToString::to_string).collect();
    let drive = Arc::new(Drive::new(&plan, dialer, judge, Instant::now() + SETTING_UP, threads));
    let driving = drive.clone();
    let mut load = tokio::task::spawn_blocking(move || driving.run(shares));
    let (record, ended_early, stopped_after) = tokio::select! {
        record = &mut load => (record, false, Duration::ZERO),
        () = progress.watch(&drive) => return Err(Cause::Drive(DriveError::Lost)),
        () = &mut stop => {
            drive.stop();
            let after = drive.begin.elapsed();
            (load.await, true, after)
        }
    };
    let record = record.map_err(|_| DriveError::Lost)??;
    if ended_early && record.requests() == 0 {
        return Err(Cause::Stopped);
    }
    let notes = plan.notes.iter().cloned().chain(notes).collect();
    Ok(Outcome::of(&plan, record, Circumstances { started, addresses, version, threads, sign_ins, ended_early, stopped_after, notes }))
}

/// What is there before the load begins.
struct Prepared {
    people: Vec<Person>,
    judge: super::verdict::Judge,
    notes: Vec<String>,
    dialer: Dialer,
    version: Version,
    sign_ins: SignIns,
}

async fn prepare(plan: &Arc<Plan>, first: &Page, progress: &Progress) -> Result<Prepared, Cause> {
    let unreachable = |error| Cause::Unreachable { origin: first.url.origin().ascii_serialization(), error };
    let dialer = Dialer::of(&first.url, plan.connect_to.as_ref(), &plan.tls, plan.version, plan.timeout).await.map_err(unreachable)?;
    let version = dialer.dial(0, plan.timeout).await.map_err(unreachable)?.version;
    let network = Arc::new(Network::new(plan.tls.clone(), &first.url, plan.connect_to.clone(), plan.timeout));
    let begin = Instant::now();
    let mut each = Histogram::new(3)?;
    let people = match &plan.people {
        PeopleFrom::SignIn(users) => sign_everybody_in(plan, &network, first, users, progress, &mut each).await?,
        PeopleFrom::Ready(people) => people.iter().cycle().take(plan.sessions).cloned().collect(),
        PeopleFrom::Anonymous => (0..plan.sessions).map(|_| Person::nobody()).collect(),
    };
    let took = begin.elapsed();
    let Checked { people, judge, notes } = check(plan, &network, people, first).await?;
    Ok(Prepared { people, judge, notes, dialer, version, sign_ins: SignIns { took, each } })
}

async fn sign_everybody_in(
    plan: &Arc<Plan>,
    network: &Arc<Network>,
    first: &Page,
    users: &[User],
    progress: &Progress,
    each: &mut Histogram<u64>,
) -> Result<Vec<Person>, Cause> {
    let mut progress = progress.sign_ins(plan.sessions);
    let mut waiting = users.iter().cycle().take(plan.sessions).cloned().enumerate();
    let mut under_way = JoinSet::new();
    let mut signed_in: Vec<(usize, Person)> = Vec::new();
    let (mut wrong, mut others) = (None, 0);
    loop {
        // After the first failure nobody begins any more: a provider locks names for too many wrong passwords.
        while wrong.is_none()
            && under_way.len() < plan.sign_ins_at_a_time
            && let Some((number, user)) = waiting.next()
        {
            let (plan, network, page) = (plan.clone(), network.clone(), first.url.clone());
            under_way.spawn(async move {
                let start = plan.sign_in_at.as_ref().unwrap_or(&page);
                let login = Login { network: &network, page: &page, start, fields: &plan.fields, expectation: &plan.expectation };
                (number, sign_in(&login, &user).await)
            });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((number, Ok(SignedIn { person, took })))) => {
                note(each, took);
                progress.one_more();
                signed_in.push((number, person));
            }
            Some(Ok((_, Err(_)))) if wrong.is_some() => others += 1,
            Some(Ok((_, Err(error)))) => wrong = Some(Box::new(error)),
            Some(Err(_)) => return Err(Cause::Drive(DriveError::Lost)),
        }
    }
    if let Some(first) = wrong {
        return Err(Cause::SignIn { first, others });
    }
    signed_in.sort_by_key(|(number, _)| *number);
    Ok(signed_in.into_iter().map(|(_, person)| person).collect())
}

/// For threads to start before the first request is due.
const SETTING_UP: Duration = Duration::from_millis(100);

#[cfg(test)]
pub(super) mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::load::plan::{Fields, Load};
    use crate::load::verdict::Expectation;

    /// A plan against nobody.
    pub(crate) fn plan(sessions: usize, load: Load, threads: usize, connections: Option<usize>) -> Plan {
        Plan {
            pages: Page::all(&["https://localhost/".to_owned()]).unwrap(),
            method: Method::GET,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            people: PeopleFrom::Anonymous,
            sessions,
            fields: Fields::default(),
            sign_in_at: None,
            sign_ins_at_a_time: 1,
            load,
            duration: Duration::from_secs(1),
            warm_up: Duration::ZERO,
            requests: None,
            connections,
            version: None,
            threads,
            timeout: Duration::from_secs(1),
            expectation: Expectation { statuses: Vec::new(), text: None },
            connect_to: None,
            tls: crate::load::client_config(None, true).unwrap(),
            notes: Vec::new(),
        }
    }
}
