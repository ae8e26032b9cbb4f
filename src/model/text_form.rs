//! The serialized form of types that are written as text: `Display` writes it, `FromStr` reads it.

/// Implements `Serialize` and `Deserialize` for a type through `Display` and `FromStr`.
macro_rules! serialize_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Implements `JsonSchema` for a type that is written as a string. The second argument holds
/// further keywords of the schema.
macro_rules! string_schema {
    ($name:ident, { $($keyword:literal : $value:expr),* $(,)? }) => {
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" $(, $keyword: $value)* })
            }
        }
    };
}

pub(super) use {serialize_as_text, string_schema};
