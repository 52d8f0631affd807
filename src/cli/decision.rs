//! What `explain` and the tests of policies say of an `authorize` action.

use serde_json::{Value, json};

use crate::authentication::is_cors_preflight;
use crate::authorization::{Decision, Facts, Mode, Permit, Policy, Refusal, authorize};
use crate::clock::UnixTime;
use crate::gateway::{RuleActions, for_refusal};
use crate::identity::Identity;
use crate::message::RequestView;

/// `None`: refused, and the explanation has the answer.
pub(super) fn authorization<'k, 'a: 'k>(
    rule: &RuleActions,
    identity: Option<&'k Identity>,
    request: &'k RequestView<'a>,
    now: UnixTime,
    explanation: &mut Value,
) -> Option<Option<Permit<'k>>> {
    let preflight = identity.is_none() && rule.allows_cors_preflight() && is_cors_preflight(request.method, request.headers);
    if preflight {
        return Some(None);
    }
    match authorize(rule.authorize.as_ref(), &Facts { identity, request, now }) {
        Ok(passage) => {
            match (&rule.authorize, &passage.decision) {
                (_, Decision::NotAsked) | (None, _) => {}
                (Some(policy), Decision::Allowed) => {
                    explanation["authorization"] = said(policy, "allowed", "everything that the policy asks for holds", None);
                }
                (Some(policy), Decision::WouldRefuse(refusal)) => {
                    explanation["authorization"] = said(policy, "would_refuse", &refusal.to_string(), Some(refusal));
                }
            }
            Some(passage.permit)
        }
        Err(refusal) => {
            if let Some(policy) = &rule.authorize {
                explanation["authorization"] = said(policy, "refused", &refusal.to_string(), Some(&refusal));
            }
            explanation["answer"] = match identity {
                Some(_) => json!({"status": 403, "because": "the policy refuses this person"}),
                None => json!({"status": 401, "because": "the policy refuses whoever is not signed in"}),
            };
            None
        }
    }
}

fn said(policy: &Policy, decision: &str, because: &str, refusal: Option<&Refusal>) -> Value {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    };
    let reason = refusal.map(|refusal| for_refusal(refusal).reason);
    json!({"decision": decision, "mode": mode, "reason": reason, "because": because})
}
