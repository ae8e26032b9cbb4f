//! A condition on events in the language of jq.

use std::fmt;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, Error as LoadError, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Val, read};

/// The maximum nesting of a record that a condition is asked about, the same as serde_json's for values.
/// Reading JSON into values takes stack for each level.
const MAX_NESTING: usize = 128;

/// A condition on events: a program in the language of jq. An event meets it if one of the program's
/// outputs is neither false nor null, as with `select`.
pub struct JqCondition {
    filter: Filter<JustLut<Val>>,
}

impl fmt::Debug for JqCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JqCondition").finish_non_exhaustive()
    }
}

/// A text that is no program of jq.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JqError(String);

impl JqCondition {
    /// Reads a program.
    ///
    /// # Errors
    ///
    /// The text is no program of jq, or uses something that is not defined.
    pub fn new(text: &str) -> Result<Self, JqError> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let program = File { code: text, path: () };
        let modules = Loader::new(definitions).load(&arena, program).map_err(|errors| {
            let first = errors.into_iter().next().map(|(_, error)| error);
            JqError(match first {
                Some(LoadError::Lex(errors)) => expected(errors.first().map(|(what, at)| (what.as_str(), *at))),
                Some(LoadError::Parse(errors)) => expected(errors.first().map(|(what, at)| (what.as_str(), *at))),
                Some(LoadError::Io(_)) | None => "modules can't be included".to_owned(),
            })
        })?;
        let filter = Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
            let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
            JqError(match first {
                Some((name, what)) => format!("the {} '{name}' is not defined", what.as_str()),
                None => "it is no program of jq".to_owned(),
            })
        })?;
        Ok(Self { filter })
    }

    /// Returns whether an event meets the condition.
    ///
    /// # Errors
    ///
    /// The program fails on this record, or the record is nested too deeply.
    pub fn holds(&self, record: &str) -> Result<bool, String> {
        if nesting(record) > MAX_NESTING {
            return Err(format!("the record is nested more than {MAX_NESTING} levels deep"));
        }
        let input = read::parse_single(record.as_bytes()).map_err(|error| error.to_string())?;
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        for output in self.filter.id.run((context, input)).map(unwrap_valr) {
            if !matches!(output.map_err(|error| error.to_string())?, Val::Null | Val::Bool(false)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the message about a part of a program at which something else is expected.
fn expected(error: Option<(&str, &str)>) -> String {
    match error {
        Some((what, "")) => format!("{what} is expected at its end"),
        Some((what, at)) => format!("{what} is expected at '{at}'"),
        None => "it is no program of jq".to_owned(),
    }
}

/// Returns how many arrays and objects contain each other in a JSON text, at most.
fn nesting(json: &str) -> usize {
    let (mut depth, mut most, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_meets_what_selects_it() {
        let record = r#"{"eventName":"RunInstances","n":9007199254740993,"userIdentity":{"arn":"a/b"},"list":[1,2]}"#;
        for (program, holds) in [
            (r#".eventName == "RunInstances""#, true),
            (".eventName | test(\"^Run\")", true),
            (".n == 9007199254740993", true),
            (".n == 9007199254740992", false),
            (".absent", false),
            (".absent.deeper", false),
            (".list[] | . == 2", true),
            ("empty", false),
            (r#".userIdentity.arn | split("/") | .[1] == "b""#, true),
            ("select(.list | length > 2)", false),
        ] {
            assert_eq!(JqCondition::new(program).unwrap().holds(record), Ok(holds), "{program}");
        }
    }

    #[test]
    fn errors_are_told() {
        for (program, says) in [
            (".a ==", "term is expected at its end"),
            ("nothing_known", "filter"),
            ("$x", "variable"),
            ("(.a", "closing parenthesis"),
            ("include \"a\"; .", "modules can't be included"),
        ] {
            let error = JqCondition::new(program).unwrap_err().to_string();
            assert!(error.contains(says), "{program}: {error}");
        }
        let condition = JqCondition::new(".a + 1 > 2").unwrap();
        assert!(condition.holds(r#"{"a":"x"}"#).unwrap_err().contains("cannot"));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(condition.holds(&deep).unwrap_err().contains("nested more than 128"));
        assert_eq!(nesting(r#"{"a":"[[\"[","b":[{}]}"#), 3);
    }
}
