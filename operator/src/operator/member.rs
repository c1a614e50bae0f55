//! `--member NAME=CONTEXT`.

use std::{collections::BTreeMap, str::FromStr};

/// A member cluster as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberArg {
    /// Its name in manifests.
    pub name: String,
    /// Its kubeconfig context.
    pub context: String,
}

impl FromStr for MemberArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, context)) = text.split_once('=') else {
            return Err("a member is written name=context, for example east=k8s-east".to_owned());
        };
        if context.is_empty() {
            return Err(format!("member {name:?} has no context: write {name}=CONTEXT"));
        }
        if !is_dns_label(name) {
            return Err(format!(
                "member name {name:?} is no DNS label: use 1 to 63 lower-case letters, digits and '-', \
                 beginning and ending with a letter or digit"
            ));
        }
        Ok(Self { name: name.to_owned(), context: context.to_owned() })
    }
}

/// A name that stands in manifests, labels and object names.
fn is_dns_label(name: &str) -> bool {
    let inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|it| inner(it) || it == '-')
        && name.starts_with(inner)
        && name.ends_with(inner)
}

/// Refuses members that appear twice, by name or by context.
pub(crate) fn check(members: &[MemberArg]) -> Result<(), String> {
    let (mut names, mut contexts) = (BTreeMap::new(), BTreeMap::new());
    for member in members {
        if let Some(context) = names.insert(&member.name, &member.context) {
            return Err(format!(
                "--member {}: appears twice, with contexts {context} and {}; give each member its own name",
                member.name, member.context
            ));
        }
        if let Some(name) = contexts.insert(&member.context, &member.name) {
            return Err(format!(
                "--member {}: context {} is already member {name}; every workload would be taken for two: name each \
                 cluster once",
                member.name, member.context
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_names_with_contexts() {
        let long = "a".repeat(64);
        for (text, expected) in [
            ("east=k8s-east", Ok("east k8s-east")),
            ("e=ctx=with=signs", Ok("e ctx=with=signs")),
            ("east", Err("name=context")),
            ("east=", Err("has no context")),
            ("=ctx", Err("no DNS label")),
            ("East=ctx", Err("no DNS label")),
            ("-east=ctx", Err("no DNS label")),
            ("east-=ctx", Err("no DNS label")),
            ("e.ast=ctx", Err("no DNS label")),
            (&*format!("{long}=ctx"), Err("no DNS label")),
        ] {
            let parsed = text.parse::<MemberArg>().map(|it| format!("{} {}", it.name, it.context));
            match (parsed, expected) {
                (Ok(parsed), Ok(expected)) => assert_eq!(parsed, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (parsed, expected) => panic!("{text}: {parsed:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_member_appears_once() {
        let check = |texts: &[&str]| check(&texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>());
        assert_eq!(check(&["east=a", "west=b"]), Ok(()));
        assert!(check(&["east=a", "east=b"]).unwrap_err().contains("--member east: appears twice"));
        assert!(check(&["east=a", "west=a"]).unwrap_err().contains("already member east"));
    }
}
