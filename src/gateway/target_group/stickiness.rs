//! Where a visitor was before: `AWSALBTG` (target group), `AWSALB` and `AWSALBAPP-0` (target), as ALB has them.
//!
//! Sealed, so that nobody chooses a target by hand or learns what targets there are. One cookie remembers the last few groups:
//! rules that lead to different ones do not forget for each other.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};

use super::{ForwardAction, TargetGroup};
use crate::clock::UnixTime;
use crate::message::{Scheme, cookies};
use crate::secret::Entropy;
use crate::session::{MAX_COOKIE_BYTES, Purpose, Sealer, is_reserved_cookie};

/// ALB's stickiness of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stickiness {
    pub kind: StickinessType,
    /// Counted anew with every request.
    pub duration: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickinessType {
    /// From the first answer on.
    LoadBalancerCookie,
    /// From the answer on in which the application sets this cookie, and as long as the browser has it.
    ApplicationCookie(String),
}

impl StickinessType {
    /// `None` for what cannot name an application's cookie: no token (RFC 6265 §4.1.1), or one of ALB's own.
    #[must_use]
    pub fn application_cookie(name: &str) -> Option<Self> {
        let sound = name.parse::<http::HeaderName>().is_ok() && !is_reserved_cookie(name);
        sound.then(|| Self::ApplicationCookie(name.to_owned()))
    }
}

impl Stickiness {
    fn cookie(&self) -> &'static str {
        match self.kind {
            StickinessType::LoadBalancerCookie => TARGET_COOKIE,
            StickinessType::ApplicationCookie(_) => APPLICATION_COOKIE,
        }
    }
}

/// A group, or a target of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) group: String,
    /// Empty in `AWSALBTG`.
    pub(super) target: String,
    pub(super) until: UnixTime,
}

/// What a cookie says, the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered(Vec<Place>);

impl Remembered {
    #[cfg(test)]
    pub(super) fn of(places: Vec<Place>) -> Self {
        Self(places)
    }

    /// Nothing, when there is no such cookie or it is not one of ours.
    fn open(cookie: &str, sealer: &Sealer, headers: &HeaderMap) -> Self {
        let sealed = cookies::find(headers, cookie).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
        let plain = sealed.and_then(|sealed| sealer.open(Purpose::Stickiness, &[cookie.as_bytes()], sealed).ok());
        Self(plain.and_then(|plain| postcard::from_bytes(&plain).ok()).unwrap_or_default())
    }

    pub(super) fn find(&self, now: UnixTime, mut wanted: impl FnMut(&Place) -> bool) -> Option<&Place> {
        self.0.iter().find(|place| now < place.until && wanted(place))
    }

    /// The `Set-Cookie` value with this place in front, without an earlier one in the same group and what is over.
    fn with(&self, cookie: &str, place: Place, now: UnixTime, scheme: Scheme, sealer: &Sealer) -> Option<String> {
        let same = place.group.clone();
        let others = self.0.iter().filter(|other| other.group != same && now < other.until).take(MOST_PLACES - 1).cloned();
        let places: Vec<Place> = std::iter::once(place).chain(others).collect();
        let sealed = sealer.seal(Purpose::Stickiness, &[cookie.as_bytes()], &postcard::to_stdvec(&places).ok()?).ok()?;
        let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
        // As long as the place that stays longest: another group's must not be forgotten for this one's.
        let longest = places.iter().map(|place| place.until.since(now)).max().unwrap_or_default();
        let line =
            format!("{cookie}={}; Path=/{secure}; HttpOnly; SameSite=Lax; Max-Age={}", URL_SAFE_NO_PAD.encode(sealed), longest.as_secs());
        (line.len() <= MAX_COOKIE_BYTES).then_some(line)
    }
}

/// Where a request goes because of cookies, and what the answer is to set.
#[derive(Debug, Default)]
pub struct Sticky {
    /// The target that the visitor had before, if it is still in the group.
    pub target: Option<usize>,
    groups: Option<(Remembered, Duration)>,
    targets: Remembered,
}

impl ForwardAction {
    /// The target group of a request. `None` only when every weight is 0.
    #[must_use]
    pub fn decide(&self, sealer: &Sealer, entropy: &Entropy, headers: &HeaderMap, now: UnixTime) -> Option<(Arc<TargetGroup>, Sticky)> {
        let groups = self.stickiness.map(|duration| (Remembered::open(GROUP_COOKIE, sealer, headers), duration));
        let nothing = Remembered::default();
        let random = || entropy.bytes().map(u64::from_le_bytes).unwrap_or_default();
        let group = self.choose(groups.as_ref().map_or(&nothing, |(groups, _)| groups), now, random)?;
        let mut sticky = Sticky { groups, ..Sticky::default() };
        if let Some(stickiness) = &group.stickiness {
            sticky.targets = Remembered::open(stickiness.cookie(), sealer, headers);
            let follows = match &stickiness.kind {
                StickinessType::LoadBalancerCookie => true,
                StickinessType::ApplicationCookie(name) => cookies::find(headers, name).is_some(),
            };
            let known = sticky.targets.find(now, |place| follows && place.group == group.name);
            sticky.target = known.and_then(|place| group.targets.iter().position(|target| target.name == place.target));
        }
        Some((group.clone(), sticky))
    }
}

impl Sticky {
    /// Whether any answer of the group may have to set a cookie.
    #[must_use]
    pub fn may_set(&self, group: &TargetGroup) -> bool {
        self.groups.is_some() || group.stickiness.is_some()
    }

    /// `Set-Cookie` values for the answer of the target with that index.
    #[must_use]
    pub fn set_cookies(
        &self,
        group: &TargetGroup,
        target: usize,
        answer: &HeaderMap,
        scheme: Scheme,
        sealer: &Sealer,
        now: UnixTime,
    ) -> Vec<String> {
        let place = |target: &str, duration| Place { group: group.name.clone(), target: target.to_owned(), until: now.plus(duration) };
        let for_group = self
            .groups
            .as_ref()
            .and_then(|(remembered, duration)| remembered.with(GROUP_COOKIE, place("", *duration), now, scheme, sealer));
        let for_target = group.stickiness.as_ref().and_then(|stickiness| {
            let wanted = match &stickiness.kind {
                StickinessType::LoadBalancerCookie => true,
                StickinessType::ApplicationCookie(name) => self.target.is_some() || sets(answer, name),
            };
            let target = wanted.then(|| group.targets.get(target)).flatten()?;
            self.targets.with(stickiness.cookie(), place(&target.name, stickiness.duration), now, scheme, sealer)
        });
        for_group.into_iter().chain(for_target).collect()
    }
}

/// Whether an answer sets a cookie.
fn sets(answer: &HeaderMap, cookie: &str) -> bool {
    let named = |line: &[u8]| line.split(|byte| *byte == b'=').next().is_some_and(|name| name.trim_ascii() == cookie.as_bytes());
    answer.get_all(SET_COOKIE).iter().any(|line| named(line.as_bytes()))
}

const GROUP_COOKIE: &str = "AWSALBTG";
const TARGET_COOKIE: &str = "AWSALB";
const APPLICATION_COOKIE: &str = "AWSALBAPP-0";
/// All of them.
pub const STICKINESS_COOKIES: [&str; 3] = [GROUP_COOKIE, TARGET_COOKIE, APPLICATION_COOKIE];
/// Groups of which one cookie knows.
const MOST_PLACES: usize = 5;

#[cfg(test)]
mod tests {
    use super::super::Algorithm;
    use super::super::tests::group;
    use super::*;
    use crate::secret::test_entropy;
    use crate::session::SessionKey;

    const NOW: UnixTime = UnixTime(1_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn sealer() -> Sealer {
        let entropy = test_entropy();
        Sealer::new(&[SessionKey::parse(&SessionKey::generate(&entropy).unwrap()).unwrap()], entropy).unwrap()
    }

    fn sticky_group(kind: StickinessType) -> ForwardAction {
        let group = Arc::into_inner(group(Algorithm::RoundRobin, Duration::ZERO, &[1, 1, 1])).unwrap();
        ForwardAction::to(Arc::new(TargetGroup { stickiness: Some(Stickiness { kind, duration: HOUR }), ..group }))
    }

    fn cookie(lines: &[String]) -> HeaderMap {
        let pairs: Vec<&str> = lines.iter().map(|line| line.split(';').next().unwrap()).collect();
        HeaderMap::from_iter([(http::header::COOKIE, pairs.join("; ").parse().unwrap())])
    }

    #[test]
    fn a_target_is_remembered_for_its_time_and_in_its_own_cookie_only() {
        let (sealer, entropy, action) = (sealer(), test_entropy(), sticky_group(StickinessType::LoadBalancerCookie));
        let decide = |headers: &HeaderMap, now| action.decide(&sealer, &entropy, headers, now).unwrap();
        let (group, sticky) = decide(&HeaderMap::new(), NOW);
        assert_eq!(sticky.target, None);
        let set = sticky.set_cookies(&group, 2, &HeaderMap::new(), Scheme::Https, &sealer, NOW);
        assert!(set[0].starts_with("AWSALB="), "{set:?}");
        assert!(set[0].ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600"), "{set:?}");
        assert_eq!(decide(&cookie(&set), NOW).1.target, Some(2));
        assert_eq!(decide(&cookie(&set), NOW.plus(HOUR)).1.target, None);
        let moved = [set[0].replace("AWSALB=", "AWSALBTG=")];
        let both = ForwardAction { stickiness: Some(HOUR), ..ForwardAction::to(group) };
        let (_, sticky) = both.decide(&sealer, &entropy, &cookie(&moved), NOW).unwrap();
        assert_eq!(sticky.groups.unwrap().0, Remembered::default());
        assert!(
            !sticky
                .targets
                .with("AWSALB", Place { group: String::new(), target: String::new(), until: NOW }, NOW, Scheme::Http, &sealer)
                .unwrap()
                .contains("Secure")
        );
    }

    #[test]
    fn an_applications_cookie_begins_it_and_ends_it() {
        let (sealer, entropy) = (sealer(), test_entropy());
        let action = sticky_group(StickinessType::ApplicationCookie("app".to_owned()));
        let decide = |headers: &HeaderMap| action.decide(&sealer, &entropy, headers, NOW).unwrap();
        let (group, sticky) = decide(&HeaderMap::new());
        let answer = |line: &'static str| HeaderMap::from_iter([(SET_COOKIE, http::HeaderValue::from_static(line))]);
        assert!(sticky.set_cookies(&group, 1, &answer("other=1; app=2"), Scheme::Https, &sealer, NOW).is_empty());
        let mut set = sticky.set_cookies(&group, 1, &answer("app=1; Path=/"), Scheme::Https, &sealer, NOW);
        assert!(set[0].starts_with("AWSALBAPP-0="), "{set:?}");
        assert_eq!(decide(&cookie(&set)).1.target, None, "without the application's cookie");
        set.push("app=1".to_owned());
        let (_, sticky) = decide(&cookie(&set));
        assert_eq!(sticky.target, Some(1));
        assert_eq!(sticky.set_cookies(&group, 1, &HeaderMap::new(), Scheme::Https, &sealer, NOW).len(), 1, "its time begins anew");
    }

    #[test]
    fn one_cookie_remembers_several_groups_and_not_too_many() {
        let sealer = sealer();
        let place = |number: usize| Place { group: format!("g{number}"), target: "t".repeat(200), until: NOW.plus(HOUR) };
        let mut remembered = Remembered::default();
        for number in 0..8 {
            let set = remembered.with(TARGET_COOKIE, place(number), NOW, Scheme::Https, &sealer).unwrap();
            remembered = Remembered::open(TARGET_COOKIE, &sealer, &cookie(&[set]));
        }
        assert_eq!(remembered.0.len(), MOST_PLACES);
        assert!(remembered.find(NOW, |place| place.group == "g7").is_some());
        assert!(remembered.find(NOW, |place| place.group == "g2").is_none());
    }
}
