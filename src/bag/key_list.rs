//! Lists of public keys as `aws cloudtrail list-public-keys` prints them, merged.

use serde_json::{Value, json};

/// Merges the key lists of two runs. The result is by region only if both lists say whose keys they
/// have.
pub(super) fn merge(one: &Value, other: &Value) -> Value {
    const LIST: &str = "PublicKeyList";
    let keys = |value: &Value| value[LIST].as_array().cloned().unwrap_or_default();
    let joined = |one: Vec<Value>, other: Vec<Value>| {
        let mut all: Vec<Value> = Vec::new();
        one.into_iter().chain(other).for_each(|key| {
            if !all.contains(&key) {
                all.push(key);
            }
        });
        json!({ LIST: all })
    };
    let regions = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let is_flat = |value: &Value| value.get(LIST).is_some();
    if is_flat(one) || is_flat(other) {
        let all = |value: &Value| {
            if is_flat(value) { keys(value) } else { regions(value).values().flat_map(keys).collect() }
        };
        return joined(all(one), all(other));
    }
    let mut merged = regions(one);
    for (region, list) in regions(other) {
        let held = merged.get(&region).map(keys).unwrap_or_default();
        merged.insert(region, joined(held, keys(&list)));
    }
    Value::Object(merged)
}
