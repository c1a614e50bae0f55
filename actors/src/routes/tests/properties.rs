//! Whatever two backends' parts and the user do to a route, in whatever order.

use proptest::prelude::*;

use super::*;

/// What happens to a route.
#[derive(Clone, Debug)]
enum Event {
    /// The part of one of the two backends is laid over it, or another one, or taken away.
    Ours(bool, Option<Forwarding>),
    /// The user makes a rule of the user's own, before the rule of that number.
    AddRule(usize, Value),
    RemoveRule(usize),
    SetMatches(usize, Value),
    AddReference(usize, i64),
    /// Somebody applies the whole of the user's manifest again.
    Apply,
}

fn rule() -> impl Strategy<Value = Value> {
    let references = prop::collection::vec((0..3usize, 0..5i64), 1..4);
    let filters = prop::sample::subsequence(vec![0, 1, 2], 0..3);
    (references, 0..4usize, filters, any::<bool>()).prop_map(move |(references, at, chosen, is_named)| {
        let references: Vec<_> =
            references.into_iter().map(|(which, weight)| reference(["web", "api", "other"][which], weight)).collect();
        let filters: Vec<_> = chosen
            .into_iter()
            .map(|filter| match filter {
                0 => json!({ "type": "URLRewrite",
                    "urlRewrite": { "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" } } }),
                1 => json!({ "type": "RequestHeaderModifier",
                    "requestHeaderModifier": { "set": [{ "name": "x", "value": "users" }] } }),
                _ => json!({ "type": "RequestMirror",
                    "requestMirror": { "backendRef": { "name": "elsewhere", "port": 80 } } }),
            })
            .collect();
        let mut rule = json!({ "matches": path(["/", "/a", "/b", "/c"][at]), "backendRefs": references });
        (!filters.is_empty()).then(|| rule["filters"] = json!(filters));
        is_named.then(|| rule["name"] = json!(format!("users-{at}")));
        rule
    })
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    let wanted = || prop::sample::subsequence(vec![header("user", "me"), header("tenant", "a")], 1..3);
    let share = prop_oneof![(0..=100i32).prop_map(Share::Weight), wanted().prop_map(Share::Matches)];
    let filter: HttpRouteFilter = serde_json::from_value(json!({ "type": "RequestHeaderModifier",
        "requestHeaderModifier": { "set": [{ "name": "X", "value": "ours" }] } }))
    .unwrap();
    let redirect: HttpRouteFilter =
        serde_json::from_value(json!({ "type": "RequestRedirect", "requestRedirect": { "hostname": "new.example" } }))
            .unwrap();
    let filters = move || prop::sample::subsequence(vec![filter.clone(), redirect.clone()], 0..2);
    let canary = (share, filters()).prop_map(|(share, filters)| Canary { share, filters });
    let stable = (wanted(), filters()).prop_map(|(matches, filters)| Stable { matches, filters });
    let half = Fraction { numerator: 1, denominator: None };
    let mirror = prop_oneof![(1..=100i32).prop_map(Mirror::Percent), Just(Mirror::Fraction(half))];
    let rest = prop_oneof![Just(Rest::Stable), Just(Rest::Origin)];
    (rest, prop::option::of(stable), prop::option::weighted(0.8, canary), prop::option::of(mirror))
        .prop_map(|(rest, stable, canary, mirror)| Forwarding { rest, stable, canary, mirror })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<bool>(), prop::option::of(forwarding())).prop_map(|(which, it)| Event::Ours(which, it)),
        1 => (0..8usize, rule()).prop_map(|(at, rule)| Event::AddRule(at, rule)),
        1 => (0..8usize).prop_map(Event::RemoveRule),
        1 => (0..8usize, 0..3usize).prop_map(|(at, to)| Event::SetMatches(at, path(["/x", "/y", "/"][to]))),
        1 => (0..8usize, 1..99i64).prop_map(|(at, weight)| Event::AddReference(at, weight)),
        1 => Just(Event::Apply),
    ]
}

fn is_users(rule: &Value) -> bool {
    !rule["name"].as_str().is_some_and(|name| name.ends_with("rollout.kusionstack.io"))
}

/// The user's edit, which is the same whether our part lies over the route or not: the user counts the user's own rules.
fn edit(rules: &mut Value, event: &Event) {
    let rules = rules.as_array_mut().unwrap();
    let users: Vec<_> = (0..rules.len()).filter(|at| is_users(&rules[*at])).collect();
    let place = |at: &usize| users[at % users.len()];
    match event {
        Event::AddRule(at, rule) => rules.insert(users.get(*at).copied().unwrap_or(rules.len()), rule.clone()),
        Event::RemoveRule(at) if users.len() > 1 => drop(rules.remove(place(at))),
        Event::SetMatches(at, matches) => rules[place(at)]["matches"] = matches.clone(),
        Event::AddReference(at, weight) => {
            rules[place(at)]["backendRefs"].as_array_mut().unwrap().push(reference("more", *weight));
        }
        _ => {}
    }
}

/// What the API server makes of it.
fn stored(mut rules: Value) -> Value {
    for rule in rules.as_array_mut().unwrap() {
        for one in rule["matches"].as_array_mut().into_iter().flatten() {
            for header in one.get_mut("headers").and_then(Value::as_array_mut).into_iter().flatten() {
                header["type"] = json!("Exact");
            }
        }
        for filter in rule.get_mut("filters").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(mirror) = filter.get_mut("requestMirror") {
                mirror["backendRef"]["kind"] = json!("Service");
                mirror["backendRef"]["group"] = json!("");
            }
        }
    }
    rules
}

/// Of what a rule sends to a backend, the share that its canary fork gets; and of all it sends, the backend's share.
fn shares(rule: &Value, backend: &Backend) -> (f64, f64) {
    let sum = |is: &dyn Fn(&str) -> bool| -> f64 {
        let refs = rule["backendRefs"].as_array().unwrap().iter();
        refs.filter(|r| is(r["name"].as_str().unwrap())).map(|r| r["weight"].as_f64().unwrap()).sum()
    };
    let (all, canary) = (sum(&|_| true), sum(&|name| name == backend.canary));
    let ours = sum(&|name| name.starts_with(&backend.origin));
    (if ours == 0.0 { 0.0 } else { canary / ours }, if all == 0.0 { 0.0 } else { ours / all })
}

proptest! {
    /// The route less both parts is the user's latest route, whatever we and the user did in whatever order; no backend's
    /// share of a rule is another for our parts; a part that is laid is known as laid, whatever the other one does; and to
    /// lay it again, as after a crash, changes nothing.
    #[test]
    fn our_parts_can_be_taken_away_again(first in rule(), events in prop::collection::vec(event(), 0..30)) {
        let first = stored(json!([first]));
        let (mut users, mut route) = (first.clone(), first);
        let backends = [named("web"), named("api")];
        let mut laid: [Option<Forwarding>; 2] = [None, None];
        // Whether a weight was added to weights that had been multiplied: nobody can tell what share was meant.
        let mut is_mixed = false;
        for event in events {
            match &event {
                Event::Ours(which, forwarding) => {
                    let (which, other) = (usize::from(*which), usize::from(!*which));
                    let backend = &backends[which];
                    route = match forwarding {
                        None => without(&route, backend),
                        // What is refused is not written.
                        Some(forwarding) => match with(Kind::Http, &route, backend, forwarding) {
                            Ok(rules) => stored(rules),
                            Err(_) => continue,
                        },
                    };
                    laid[which].clone_from(forwarding);
                    if let Some(forwarding) = forwarding {
                        prop_assert!(is_laid(Kind::Http, &route, backend, forwarding), "{:#}", route);
                        let again = with(Kind::Http, &route, backend, forwarding).unwrap();
                        prop_assert_eq!(normal(Kind::Http, &again), normal(Kind::Http, &route));
                    }
                    if let Some(theirs) = laid[other].as_ref().filter(|_| !is_mixed) {
                        prop_assert!(is_laid(Kind::Http, &route, &backends[other], theirs), "{:#}", route);
                    }
                    let share = match forwarding.as_ref().and_then(|it| it.canary.as_ref()).map(|it| &it.share) {
                        Some(Share::Weight(percent)) => f64::from(*percent) / 100.0,
                        _ => 0.0,
                    };
                    is_mixed &= route != users;
                    let of_users = route.as_array().unwrap().iter().filter(|rule| is_users(rule));
                    for (rule, before) in of_users.zip(users.as_array().unwrap()) {
                        let ((canary, ours), (_, wanted)) = (shares(rule, backend), shares(before, backend));
                        prop_assert!(is_mixed || (ours - wanted).abs() < 1e-9, "{rule:#} {before:#}");
                        prop_assert!(ours == 0.0 || (canary - share).abs() < 1e-9, "{rule:#}");
                    }
                }
                Event::Apply => {
                    route = users.clone();
                    laid = [None, None];
                    is_mixed = false;
                }
                event => {
                    is_mixed |= matches!(event, Event::AddReference(..)) && route != users;
                    edit(&mut route, event);
                    edit(&mut users, event);
                    (users, route) = (stored(users), stored(route));
                    // Until they are laid again.
                    laid = [None, None];
                }
            }
            let [web, api] = &backends;
            prop_assert_eq!(&without(&without(&route, web), api), &users, "{:#}", route);
            prop_assert_eq!(&without(&without(&route, api), web), &users, "{:#}", route);
        }
    }
}
