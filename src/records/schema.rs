//! The JSON Schema of the records, derived from their types.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::v2::{Line, Schema};

/// Returns the JSON Schema (draft 2020-12) of one record, in the form that [`Line`] is written in.
/// It accepts fields and kinds of records that this version doesn't have.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.root_schema_for::<Line<'_>>().to_value();
    schema["$id"] = json!("urn:ctverify:records:2");
    schema["title"] = json!(format!("Records of {}", Schema::NAME));
    schema["description"] =
        json!("One line of --format jsonl. Consumers pass over fields and kinds of records that they do not know.");
    accept_other_kinds(&mut schema);
    join_lines(&mut schema);
    schema
}

/// Adds an alternative for records whose kind is none of those that are listed.
fn accept_other_kinds(schema: &mut Value) {
    let Some(kinds) = schema["oneOf"].as_array_mut() else { return };
    let names: Vec<Value> = kinds.iter().map(|kind| kind["properties"]["record"]["const"].clone()).collect();
    kinds.push(json!({
        "description": "A kind of record of a later version.",
        "type": "object",
        "properties": { "record": { "type": "string", "not": { "enum": names } } },
        "required": ["record"],
    }));
}

/// Joins the lines of descriptions, which are wrapped as the documentation of the types is.
fn join_lines(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    }
                    member => join_lines(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChainFault, Depth, DigestKind, DigestStatus, Fault, GapCause, LogFileStatus, Verdict};

    /// The values of a schema made of constants.
    fn constants(schema: &Value) -> Vec<&str> {
        let list = |kinds: &'_ Value| kinds.as_array().into_iter().flatten().cloned().collect::<Vec<_>>();
        assert!(list(&schema["oneOf"]).iter().all(|kind| kind["description"].is_string()), "{schema}");
        schema["oneOf"].as_array().unwrap().iter().filter_map(|kind| kind["const"].as_str()).collect()
    }

    #[test]
    fn every_word_of_the_records_is_in_the_schema_with_its_meaning() {
        let schema = schema();
        let words = |name: &str| constants(&schema["$defs"][name]);
        assert_eq!(words("Depth"), Depth::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("DigestStatus"), DigestStatus::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("DigestKind"), DigestKind::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("LogFileStatus"), LogFileStatus::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("Fault"), Fault::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("GapCause"), GapCause::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("ChainFault"), ChainFault::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
        assert_eq!(words("Verdict"), Verdict::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn every_field_is_required_unless_it_is_left_out_when_empty() {
        let schema = schema();
        for kind in schema["oneOf"].as_array().unwrap() {
            let Some(name) = kind["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) else {
                continue;
            };
            let record = &schema["$defs"][name];
            let required: Vec<_> = record["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let optional: Vec<_> = record["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let optional: Vec<_> = optional.into_iter().filter(|field| !required.contains(field)).collect();
            match name {
                "digest" | "log_file" | "chain" => {
                    assert_eq!(optional, ["acknowledged", "id", "mended", "since"], "{name}");
                }
                "gap" => assert_eq!(optional, ["acknowledged", "ended_by", "event_history", "id", "mended", "since"]),
                "tampering" => assert_eq!(optional, ["id"]),
                "summary" => assert_eq!(optional, ["checkpoint", "keys_of_bag", "sample", "tampering"]),
                "run" => assert_eq!(optional, ["fail_on", "files", "merged"]),
                _ => assert!(optional.is_empty(), "{name}: {optional:?}"),
            }
        }
    }
}
