//! Comparing an event that somebody has with the proven record.

use serde_json::{Number, Value};

/// The maximum number of differences that are named.
const MAX_NAMED: usize = 20;

/// Returns the paths of the fields in which two events differ, at most 20; none if they are equal as JSON:
/// the order of fields and the spelling of numbers and texts say nothing.
pub fn differences(proven: &Value, given: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(proven, given, "", &mut found);
    found
}

fn compare(proven: &Value, given: &Value, path: &str, found: &mut Vec<String>) {
    if found.len() >= MAX_NAMED {
        return;
    }
    match (proven, given) {
        (Value::Object(proven), Value::Object(given)) => {
            let only_given = given.keys().filter(|name| !proven.contains_key(*name));
            for name in proven.keys().chain(only_given) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (proven.get(name), given.get(name)) {
                    (Some(proven), Some(given)) => compare(proven, given, &path, found),
                    _ => found.push(path),
                }
            }
        }
        (Value::Array(proven), Value::Array(given)) if proven.len() == given.len() => {
            for (index, (proven, given)) in proven.iter().zip(given).enumerate() {
                compare(proven, given, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Number(proven), Value::Number(given)) if is_same_number(proven, given) => {}
        (proven, given) if proven == given => {}
        _ => found.push(path.to_owned()),
    }
    found.truncate(MAX_NAMED);
}

/// Returns whether two numbers are the same. Integers are compared exactly: as floating-point numbers,
/// large ones that differ would be equal.
fn is_same_number(one: &Number, other: &Number) -> bool {
    if one.is_f64() || other.is_f64() { one.as_f64() == other.as_f64() } else { one == other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_compared_as_json() {
        for (proven, given, expected) in [
            (r#"{"a":1,"b":"x"}"#, r#"{ "b" : "\u0078", "a":1.0 }"#, vec![]),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740992}"#, vec!["n"]),
            (r#"{"n":1e2}"#, r#"{"n":100}"#, vec![]),
            (r#"{"a":{"b":[1,{"c":2}]}}"#, r#"{"a":{"b":[1,{"c":3}]}}"#, vec!["a.b[1].c"]),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, vec!["a"]),
            (r#"{"a":null}"#, r#"{}"#, vec!["a"]),
            (r#"{}"#, r#"{"a":null,"b":1}"#, vec!["a", "b"]),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, vec!["a"]),
        ] {
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(differences(&value(proven), &value(given)), expected, "{proven} {given}");
        }
    }

    #[test]
    fn not_all_differences_are_named() {
        let many: Value =
            (0..1000).map(|index| (index.to_string(), Value::from(index))).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(differences(&many, &serde_json::json!({})).len(), MAX_NAMED);
    }
}
