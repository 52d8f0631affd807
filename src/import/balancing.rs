//! Attributes of a target group: how requests are spread over its targets.

use super::aws::Attribute;
use super::write::duration;
use super::yaml::scalar;
use crate::gateway::StickinessType;

/// What became of the attributes.
#[derive(Debug, Default)]
pub(super) struct Balancing {
    /// Keys of a target group and their values as they stand in the file. Defaults are not said.
    pub(super) entries: Vec<(&'static str, String)>,
    /// What has no counterpart.
    pub(super) left_out: Vec<String>,
    pub(super) is_sticky: bool,
}

pub(super) fn balancing(attributes: &[&Attribute]) -> Balancing {
    let mut made = Balancing::default();
    let value = |key: &str| attributes.iter().find(|attribute| attribute.key == key).map(|attribute| attribute.value.as_str());
    let algorithm = value("load_balancing.algorithm.type").unwrap_or("round_robin");
    match algorithm {
        "round_robin" => {}
        "least_outstanding_requests" | "weighted_random" => made.entries.push(("load_balancing_algorithm", algorithm.to_owned())),
        other => made.left_out.push(format!("the algorithm {other:?} is not known: targets take turns")),
    }
    match value("slow_start.duration_seconds") {
        None | Some("0") => {}
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) if (30..=900).contains(&seconds) && algorithm != "least_outstanding_requests" => {
                made.entries.push(("slow_start", duration(seconds)));
            }
            _ => made.left_out.push(format!("slow start of {text:?} s is not possible")),
        },
    }
    if value("stickiness.enabled") == Some("true") {
        match stickiness(&value) {
            Ok(stickiness) => {
                made.entries.push(("stickiness", stickiness));
                made.is_sticky = true;
            }
            Err(why) => made.left_out.push(why),
        }
    }
    match value("deregistration_delay.timeout_seconds") {
        None | Some("300") => {}
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) if seconds <= 3600 => made.entries.push(("deregistration_delay", duration(seconds))),
            _ => made.left_out.push(format!("a deregistration delay of {text:?} s is not possible")),
        },
    }
    made
}

fn stickiness<'a>(value: &dyn Fn(&str) -> Option<&'a str>) -> Result<String, String> {
    let kind = value("stickiness.type").unwrap_or("lb_cookie");
    let lasts = |key: &str| {
        let seconds = value(key).unwrap_or("86400");
        let possible = seconds.parse::<u64>().ok().filter(|seconds| sticky_seconds(*seconds));
        possible.map(duration).ok_or_else(|| format!("stickiness for {seconds:?} s is not possible"))
    };
    match kind {
        "lb_cookie" => Ok(format!("{{ type: lb_cookie, duration: {} }}", lasts("stickiness.lb_cookie.duration_seconds")?)),
        "app_cookie" => {
            let name = value("stickiness.app_cookie.cookie_name").unwrap_or_default();
            if StickinessType::application_cookie(name).is_none() {
                return Err(format!("stickiness by the cookie {name:?} is not possible"));
            }
            let lasts = lasts("stickiness.app_cookie.duration_seconds")?;
            Ok(format!("{{ type: app_cookie, cookie_name: {}, duration: {lasts} }}", scalar(name)))
        }
        other => Err(format!("stickiness of type {other:?} is not known")),
    }
}

/// One second to seven days.
pub(super) fn sticky_seconds(seconds: u64) -> bool {
    (1..=7 * 24 * 60 * 60).contains(&seconds)
}
