//! JSON Schemas of the rule table and of the settings, for editors: which keys there are, what
//! each is for, and what kind of value it takes.
//!
//! Descriptions only: nothing here is ever made or read. `rules::file` and `settings::file` read,
//! and say more than a schema can; tests hold both to the same keys.

mod rules;
mod settings;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// The schema of a rule table.
pub fn rules() -> Value {
    of::<rules::Table>()
}

/// The schema of a settings file.
pub fn settings() -> Value {
    of::<settings::Settings>()
}

/// Draft 2020-12 in words that draft 7 has too, and without `$ref`: some editors know no more, and
/// others show the description of what is referred to, not that of the key.
fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms = vec![
            Box::new(RecursiveTransform(without_null)),
            Box::new(RecursiveTransform(without_format)),
        ];
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // What it is stands first, for who opens the file.
    let head = ["$schema", "$id", "title", "description"];
    let head: Map<_, _> =
        head.into_iter().filter_map(|key| Some((key.to_owned(), schema.remove(key)?))).collect();
    Value::Object(head.into_iter().chain(std::mem::take(schema.ensure_object())).collect())
}

/// A key that may be left out is not one that may be null: TOML has no null.
fn without_null(schema: &mut Schema) {
    let null = serde_json::json!({ "type": "null" });
    if let Some(Value::Array(either)) = schema.get_mut("anyOf") {
        either.retain(|schema| *schema != null);
        if let [Value::Object(only)] = either.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            let own = schema.ensure_object();
            only.into_iter().for_each(|(key, value)| _ = own.entry(key).or_insert(value));
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(kind @ Value::Array(_)) = schema.get_mut("type") {
        let kinds = kind.as_array_mut().expect("matched as one");
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_mut_slice() {
            *kind = only.take();
        }
    }
}

/// `int64` and its like are Rust's, not JSON Schema's, and strict editors complain.
fn without_format(schema: &mut Schema) {
    schema.remove("format");
}

/// Kinds of values that a derive would write as `anyOf`. Said as one schema, a mistake is told as
/// what it is ("12 is not of types string, array"), not as "fits none of these".
macro_rules! kinds {
    ($($name:ident = $schema:expr;)+) => {$(
        struct $name;

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    )+};
}
use kinds;
