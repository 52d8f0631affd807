//! Before the load: what people are answered, and what a stranger is.

use std::sync::Arc;

use http::Method;
use tokio::task::JoinSet;

use super::client::{Answer, Ask, Client, ClientError, Network};
use super::people::Person;
use super::plan::{Page, Plan, shown};
use super::verdict::{Gate, Judge, Verdict};

/// What the first answers were like.
pub(super) struct Checked {
    pub(super) people: Vec<Person>,
    pub(super) judge: Judge,
    pub(super) notes: Vec<String>,
}

/// The first answers are not those that were expected.
#[derive(Debug)]
pub(super) struct CheckError {
    asked: String,
    found: String,
    hint: &'static str,
    others: usize,
}

impl std::fmt::Display for CheckError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the load does not begin, since the first answers are not as expected\n  {}\n  {}\n  ", self.asked, self.found)?;
        if self.others > 0 {
            write!(formatter, "and {} more like it\n  ", self.others)?;
        }
        write!(formatter, "hint: {}", self.hint)
    }
}

impl std::error::Error for CheckError {}

/// Everybody asks for the first page, one of them for all pages, and a stranger for the first.
pub(super) async fn check(plan: &Arc<Plan>, network: &Arc<Network>, people: Vec<Person>, first: &Page) -> Result<Checked, CheckError> {
    let mut notes = Vec::new();
    let mut gate = None;
    if !plan.is_anonymous() {
        let mut stranger = Client::new(network, Person::nobody());
        match ask(&mut stranger, plan, first).await {
            Ok(answer) => gate = gate_of(plan, &answer, first, &mut notes),
            Err(error) => return Err(failed(plan, first, &error)),
        }
    }
    let judge = judge(plan, first, gate);
    let everybody = everybody(plan, network, people, &judge, first).await?;
    if let Some(person) = everybody.first() {
        let mut client = Client::new(network, person.clone());
        for page in plan.pages.iter().skip(1) {
            let answer = ask(&mut client, plan, page).await.map_err(|error| failed(plan, page, &error))?;
            look_at(plan, &judge, page, &answer, &person.name)?;
        }
    }
    Ok(Checked { people: everybody, judge, notes })
}

async fn everybody(
    plan: &Arc<Plan>,
    network: &Arc<Network>,
    people: Vec<Person>,
    judge: &Judge,
    first: &Page,
) -> Result<Vec<Person>, CheckError> {
    let mut waiting = people.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let (mut done, mut wrong, mut others) = (Vec::new(), None, 0);
    loop {
        while under_way.len() < AT_A_TIME
            && let Some((number, person)) = waiting.next()
        {
            let (plan, network, judge, first) = (plan.clone(), network.clone(), judge.clone(), first.clone());
            under_way.spawn(async move {
                let mut client = Client::new(&network, person);
                let outcome = match ask(&mut client, &plan, &first).await {
                    Ok(answer) => look_at(&plan, &judge, &first, &answer, &client.person.name),
                    Err(error) => Err(failed(&plan, &first, &error)),
                };
                (number, client.person, outcome)
            });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((number, person, Ok(())))) => done.push((number, person)),
            Some(Ok((_, _, Err(_)))) if wrong.is_some() => others += 1,
            Some(Ok((_, _, Err(error)))) => wrong = Some(error),
            Some(Err(_)) => {}
        }
    }
    if let Some(error) = wrong {
        return Err(CheckError { others, ..error });
    }
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, person)| person).collect())
}

async fn ask(client: &mut Client<'_>, plan: &Plan, page: &Page) -> Result<Answer, ClientError> {
    let ask = Ask { method: plan.method.clone(), url: &page.url, headers: plan.headers.clone(), body: plan.body.clone() };
    client.ask(&ask).await
}

fn judge(plan: &Plan, first: &Page, gate: Option<Gate>) -> Judge {
    Judge { expectation: plan.expectation.clone(), gate, page: first.url.clone(), is_anonymous: plan.is_anonymous() }
}

/// What strangers get, if it is not what people who are signed in get.
fn gate_of(plan: &Plan, answer: &Answer, first: &Page, notes: &mut Vec<String>) -> Option<Gate> {
    let gate = Gate::of(answer.status, &answer.headers, &first.url);
    let needle = plan.expectation.text.as_deref();
    if judge(plan, first, None).judge(answer.status, &answer.headers, &answer.body, needle) != Verdict::Good {
        return Some(gate);
    }
    notes.push(format!(
        "This page needs no sign-in: {} answers {} to strangers as well. Where that is a page to sign in on, tell good answers apart with --expect-text.",
        shown(&first.url),
        gate.status()
    ));
    None
}

fn look_at(plan: &Plan, judge: &Judge, page: &Page, answer: &Answer, name: &str) -> Result<(), CheckError> {
    let needle = plan.expectation.needle(name);
    let status = answer.status.as_u16();
    let who = if name.is_empty() { "a stranger".to_owned() } else { name.to_owned() };
    let (found, hint) = match judge.judge(answer.status, &answer.headers, &answer.body, needle.as_deref()) {
        Verdict::Good => return Ok(()),
        Verdict::SignedOut => (
            format!("answered {status} to {who}, as to somebody who is not signed in"),
            "are these cookies or tokens still good, and for this host?",
        ),
        Verdict::Status => (
            format!("answered {status} to {who}"),
            "--expect-status says which statuses are good; redirects are not followed, so ask for the page that they lead to",
        ),
        Verdict::Text => {
            (format!("answered {status} to {who} without the text that is expected"), "is --expect-text spelled as in the page's source?")
        }
    };
    Err(CheckError { asked: asked(&plan.method, page), found, hint, others: 0 })
}

fn failed(plan: &Plan, page: &Page, error: &ClientError) -> CheckError {
    let hint = match error {
        ClientError::Dial(error) => error.hint(),
        ClientError::Timeout(_) => "--timeout allows for more",
        _ => "does it speak HTTP there?",
    };
    CheckError { asked: asked(&plan.method, page), found: error.to_string(), hint, others: 0 }
}

fn asked(method: &Method, page: &Page) -> String {
    format!("{method} {}", shown(&page.url))
}

const AT_A_TIME: usize = 16;
