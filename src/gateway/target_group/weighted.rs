//! One of several target groups, by weight (ALB: weighted target groups), and the same one again for a visitor who was there before.

use std::sync::Arc;
use std::time::Duration;

use super::TargetGroup;
use super::choosing::by_share;
use super::stickiness::Remembered;
use crate::clock::UnixTime;

/// A `forward` action.
#[derive(Debug)]
pub struct ForwardAction {
    /// One to five.
    pub groups: Vec<WeightedTargetGroup>,
    /// How long a visitor stays with a group.
    pub stickiness: Option<Duration>,
}

#[derive(Debug)]
pub struct WeightedTargetGroup {
    pub group: Arc<TargetGroup>,
    /// 0 to 999; 0 gets nothing, not even those who were there before.
    pub weight: u32,
}

impl ForwardAction {
    #[must_use]
    pub fn to(group: Arc<TargetGroup>) -> Self {
        Self { groups: vec![WeightedTargetGroup { group, weight: 1 }], stickiness: None }
    }

    /// `None` only when every weight is 0. `random` is asked only when there is a choice.
    #[must_use]
    pub fn choose(&self, remembered: &Remembered, now: UnixTime, random: impl FnOnce() -> u64) -> Option<&Arc<TargetGroup>> {
        let live = || self.groups.iter().filter(|weighted| weighted.weight > 0);
        if self.stickiness.is_some() {
            let named = |name: &str| live().find(|weighted| weighted.group.name == name);
            let known = remembered.find(now, |place| named(&place.group).is_some()).and_then(|place| named(&place.group));
            if let Some(known) = known {
                return Some(&known.group);
            }
        }
        let mut several = live();
        match (several.next(), several.next()) {
            (Some(only), None) => Some(&only.group),
            _ => by_share(live().map(|weighted| (&weighted.group, u64::from(weighted.weight))), random()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stickiness::Place;
    use super::super::tests::group;
    use super::super::{Algorithm, TargetTimeouts};
    use super::*;

    const NOW: UnixTime = UnixTime(1_000_000);

    fn named(name: &str, weight: u32) -> WeightedTargetGroup {
        let template = Arc::into_inner(group(Algorithm::RoundRobin, Duration::ZERO, &[1])).unwrap();
        let timeouts = TargetTimeouts { connect: Duration::ZERO, ..template.timeouts };
        WeightedTargetGroup { group: Arc::new(TargetGroup { name: name.to_owned(), timeouts, ..template }), weight }
    }

    fn place(group: &str, seconds: u64) -> Place {
        Place { group: group.to_owned(), target: String::new(), until: UnixTime(NOW.0 + seconds) }
    }

    #[test]
    fn groups_get_their_weights() {
        let action = ForwardAction { groups: vec![named("a", 90), named("b", 10), named("c", 0)], stickiness: None };
        let step = u64::MAX / 2_000;
        let chosen: Vec<&str> = (0..2_000)
            .map(|n: u64| n.wrapping_mul(step).rotate_left(17) ^ n)
            .map(|random| action.choose(&Remembered::default(), NOW, || random).unwrap().name.as_str())
            .collect();
        let count = |name| chosen.iter().filter(|chosen| **chosen == name).count();
        assert!(count("a").abs_diff(1_800) < 60, "{}", count("a"));
        assert_eq!((count("a") + count("b"), count("c")), (2_000, 0));
        let none = ForwardAction { groups: vec![named("a", 0)], stickiness: None };
        assert!(none.choose(&Remembered::default(), NOW, || 5).is_none());
    }

    #[test]
    fn a_visitor_stays_with_a_group_until_it_is_gone_or_has_no_weight() {
        let action =
            ForwardAction { groups: vec![named("a", 999), named("b", 1), named("c", 0)], stickiness: Some(Duration::from_secs(60)) };
        let choose = |places: Vec<Place>| action.choose(&Remembered::of(places), NOW, || 0).unwrap().name.clone();
        assert_eq!(choose(vec![place("b", 1)]), "b");
        assert_eq!(choose(vec![place("b", 0)]), "a", "too long ago");
        assert_eq!(choose(vec![place("c", 60)]), "a", "without weight");
        assert_eq!(choose(vec![place("gone", 60)]), "a");
        assert_eq!(choose(vec![place("gone", 60), place("b", 60)]), "b", "of another rule");
        let loose = ForwardAction { stickiness: None, ..action };
        assert_eq!(loose.choose(&Remembered::of(vec![place("b", 1)]), NOW, || 0).unwrap().name, "a");
    }
}
