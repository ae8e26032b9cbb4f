//! Comparing an event that somebody has with the proven record.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::event::{Event, decoded};

/// The maximum number of differences that are named.
const MAX_NAMED: usize = 20;
/// The maximum nesting in which differences are named by their paths: what is deeper is compared as text.
const MAX_NESTING: usize = 128;

/// Returns the paths of the fields in which two events differ, at most 20, or `.` for the whole
/// event; none if they are equal as JSON: the order of fields and the spelling of numbers and texts
/// say nothing. Numbers are compared exactly. A field that stands twice in an object differs, since
/// readers disagree on which one counts.
pub fn differences(proven: &str, given: &str) -> Vec<String> {
    let mut found = Vec::new();
    compare(proven.trim(), given.trim(), "", 0, &mut found);
    found.truncate(MAX_NAMED);
    found
}

fn compare(proven: &str, given: &str, path: &str, nesting: usize, found: &mut Vec<String>) {
    if found.len() > MAX_NAMED {
        return;
    }
    if nesting < MAX_NESTING {
        match (kind(proven), kind(given)) {
            (b'{', b'{') => {
                if let (Ok(proven), Ok(given)) = (Event::parse(proven), Event::parse(given)) {
                    return compare_objects(&proven, &given, path, nesting, found);
                }
            }
            (b'[', b'[') => {
                let elements = |text| serde_json::from_str::<Vec<&RawValue>>(text);
                if let (Ok(proven), Ok(given)) = (elements(proven), elements(given))
                    && proven.len() == given.len()
                {
                    for (index, (proven, given)) in proven.iter().zip(&given).enumerate() {
                        compare(proven.get(), given.get(), &format!("{path}[{index}]"), nesting + 1, found);
                    }
                    return;
                }
            }
            (b'"', b'"') if decoded(proven) == decoded(given) => return,
            _ if is_number(proven) && is_number(given) && decimal(proven) == decimal(given) => return,
            _ => {}
        }
    }
    if proven != given {
        found.push(if path.is_empty() { "." } else { path }.to_owned());
    }
}

fn compare_objects(proven: &Event<'_>, given: &Event<'_>, path: &str, nesting: usize, found: &mut Vec<String>) {
    let mut names: Vec<&str> = proven.names().collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    names.extend(given.names().filter(|name| !known.contains(name)));
    let mut seen = HashSet::new();
    for name in names.into_iter().filter(|name| seen.insert(*name)) {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match (&proven.all(name)[..], &given.all(name)[..]) {
            ([proven], [given]) => compare(proven, given, &path, nesting + 1, found),
            _ => found.push(path),
        }
    }
}

/// The first byte of a value, which tells what it is.
fn kind(value: &str) -> u8 {
    value.bytes().next().unwrap_or_default()
}

fn is_number(value: &str) -> bool {
    matches!(kind(value), b'-' | b'0'..=b'9')
}

/// A number as its sign, its digits without zeros at both ends, and the power of ten of the last digit.
/// Without digits, it is zero. `None` if its exponent is too large to be a number of anything.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, rest) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let mut exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    exponent = exponent.checked_add(i64::try_from(digits.len() - kept.len()).ok()?)?;
    Some(if kept.is_empty() { (false, String::new(), 0) } else { (is_negative, kept.to_owned(), exponent) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_compared_as_json() {
        for (proven, given, expected) in [
            (r#"{"a":1,"b":"x"}"#, r#"{ "b" : "\u0078", "a":1.0 }"#, vec![]),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#, vec!["n"]),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992.0}"#, vec!["n"]),
            (r#"{"n":18446744073709551617}"#, r#"{"n":18446744073709551999}"#, vec!["n"]),
            (r#"{"n":0.1}"#, r#"{"n":0.1000000000000000055511}"#, vec!["n"]),
            (r#"{"n":1e2}"#, r#"{"n":100}"#, vec![]),
            (r#"{"n":-0.0e9}"#, r#"{"n":0}"#, vec![]),
            (r#"{"n":1.50E-3}"#, r#"{"n":0.0015}"#, vec![]),
            (r#"{"n":1e400}"#, r#"{"n":10E399}"#, vec![]),
            (r#"{"n":1e99999999999999999999}"#, r#"{"n":1e99999999999999999999}"#, vec![]),
            (r#"{"n":-1}"#, r#"{"n":1}"#, vec!["n"]),
            (r#"{"a":{"b":[1,{"c":2}]}}"#, r#"{"a":{"b":[1,{"c":3}]}}"#, vec!["a.b[1].c"]),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, vec!["a"]),
            (r#"{"a":null}"#, r#"{}"#, vec!["a"]),
            (r#"{}"#, r#"{"a":null,"b":1}"#, vec!["a", "b"]),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, vec!["a"]),
            (r#"{"a":"x"}"#, r#"{"a":"y","a":"x"}"#, vec!["a"]),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83d"}"#, vec![]),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83e"}"#, vec!["a"]),
            (r#"{"\ud83d":1}"#, r#"{"\ud83d":1}"#, vec![]),
            (r#"{"b":{"\ud83d":1}}"#, r#"{"b":{"\ud83d":2}}"#, vec!["b"]),
        ] {
            assert_eq!(differences(proven, given), expected, "{proven} {given}");
        }
    }

    #[test]
    fn large_events_are_compared_within_limits() {
        let many: Vec<String> = (0..1000).map(|index| format!("\"{index}\":1")).collect();
        assert_eq!(differences(&format!("{{{}}}", many.join(",")), "{}").len(), MAX_NAMED);
        let deep = |value: &str| format!("{{\"a\":{}{value}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(differences(&deep("1"), &deep("1")), [""; 0]);
        assert_eq!(differences(&deep("1"), &deep("2")).len(), 1);
    }
}
