//! Declarations of TOML tables: each key is declared once, with its type, documentation and default.
//!
//! `toml_table!` turns a declaration into a struct, the reader of its keys and a [`TableSpec`]. The
//! JSON Schemas for editors, the lists of known keys in error messages and the reference tables in
//! `docs/` all come from the specs.

pub(crate) mod units;

use serde_json::{Value, json};

/// Declaration of one key.
pub struct KeySpec {
    /// Name in the TOML file.
    pub name: &'static str,
    /// Documentation in Markdown: the lines of the doc comment.
    pub doc: &'static str,
    /// Handling of an absent key.
    pub absent: Absent,
    /// Returns the JSON Schema of the value.
    pub schema: fn() -> Value,
}

/// Handling of an absent key.
pub enum Absent {
    /// The key may be absent.
    Allowed,
    /// The key is required.
    Rejected,
    /// This value applies: JSON, or a plain string.
    Default(&'static str),
}

/// Declaration of a table.
pub struct TableSpec {
    /// Noun phrase for error messages: `a rule`.
    pub noun: &'static str,
    /// Documentation in Markdown: the lines of the doc comment.
    pub doc: &'static str,
    /// Keys in the order of the reference.
    pub keys: &'static [KeySpec],
    /// Adds constraints that span several keys to the JSON Schema.
    pub constrain: fn(&mut Value),
}

impl KeySpec {
    /// Returns the JSON Schema of the value, with the documentation of the key.
    pub(crate) fn json_schema(&self) -> Value {
        let mut schema = (self.schema)();
        if !self.doc.is_empty() {
            schema["description"] = paragraphs(self.doc).into();
        }
        if let Absent::Default(default) = self.absent {
            schema["default"] = serde_json::from_str(default).unwrap_or_else(|_| default.into());
        }
        schema
    }
}

impl TableSpec {
    /// Names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }

    /// Returns the JSON Schema of the table. It has only keywords that draft 7 and draft 2020-12
    /// share, and no `$ref`: some editors support nothing newer, and others show the description of
    /// the target in place of the key's own.
    pub fn json_schema(&self) -> Value {
        let mut schema = json!({
            "description": paragraphs(self.doc),
            "type": "object",
            "properties": {},
            "additionalProperties": false,
        });
        for key in self.keys {
            schema["properties"][key.name] = key.json_schema();
        }
        let required = self.keys.iter().filter(|key| matches!(key.absent, Absent::Rejected));
        let required: Vec<_> = required.map(|key| key.name).collect();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        (self.constrain)(&mut schema);
        schema
    }

    /// Returns the JSON Schema of a whole file.
    pub fn root_schema(&self, name: &str, title: &str) -> Value {
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": format!("urn:switchboard:schema:{name}"),
            "title": title,
        });
        for (keyword, value) in self.json_schema().as_object().into_iter().flatten() {
            schema[keyword] = value.clone();
        }
        schema
    }
}

/// Joins the lines of each paragraph of a doc comment.
fn paragraphs(doc: &str) -> String {
    let lines: Vec<_> = doc.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Declares a TOML table.
///
/// Expands to the struct with what the reader found, and to its `TableKeys`. The module that
/// invokes it has in scope: `TableKeys`, `ValueType` (one implementation for each type of value)
/// and `Entry` (a key with its value).
///
/// * `name as "key"`: the key is no Rust identifier, or its field has another name.
/// * `: Type = required`, or `= "default"`: the value that applies when the key is absent.
/// * `collect method into KEYS`: keys that share a field; `method` reads them. Their types are
///   functions that return a JSON Schema.
/// * `header`: fields that describe the table itself, set by `TableKeys::set_header`.
/// * `extra`: further fields.
/// * `constrain`: a function that adds constraints to the JSON Schema.
macro_rules! toml_table {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $Table:ident: $noun:literal {
            $(
                $(#[doc = $key_doc:literal])*
                $field:ident $(as $key:literal)?: $type:ty $(= $default:tt)?,
            )*
        }
        $(collect $method:ident into $KEYS:ident {
            $(
                $(#[doc = $other_doc:literal])*
                $other:literal: $other_schema:expr,
            )*
        })?
        $(header { $($header:ident: $header_type:ty,)* })?
        $(extra { $($(#[doc = $extra_doc:literal])* $extra:ident: $extra_type:ty,)* })?
        $(constrain $constrain:expr;)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Default)]
        $vis struct $Table {
            $($(#[doc = $key_doc])* $vis $field: <$type as ValueType>::Raw,)*
            $($($vis $header: $header_type,)*)?
            $($($(#[doc = $extra_doc])* $vis $extra: $extra_type,)*)?
        }

        $(
            /// Keys that share a field.
            $vis const $KEYS: &[&str] = &[$($other),*];
        )?

        impl TableKeys for $Table {
            fn spec() -> &'static $crate::schema::TableSpec {
                static SPEC: $crate::schema::TableSpec = $crate::schema::TableSpec {
                    noun: $noun,
                    doc: concat!($($doc, "\n",)*),
                    keys: &[
                        $($crate::schema::KeySpec {
                            name: $crate::schema::toml_table!(@name $field $($key)?),
                            doc: concat!($($key_doc, "\n",)*),
                            absent: $crate::schema::toml_table!(@absent $($default)?),
                            schema: <$type as ValueType>::schema,
                        },)*
                        $($($crate::schema::KeySpec {
                            name: $other,
                            doc: concat!($($other_doc, "\n",)*),
                            absent: $crate::schema::Absent::Allowed,
                            schema: $other_schema,
                        },)*)?
                    ],
                    constrain: $crate::schema::toml_table!(@constrain $($constrain)?),
                };
                &SPEC
            }

            fn read_key(&mut self, key: &str, entry: &mut Entry<'_, '_>) -> bool {
                match key {
                    $($crate::schema::toml_table!(@name $field $($key)?) => {
                        self.$field = <$type as ValueType>::read(entry);
                    })*
                    $($($other)|* => self.$method(entry),)?
                    _ => return false,
                }
                true
            }

            $(fn set_header(&mut self, header: Header) {
                $(self.$header = header.$header;)*
            })?
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
    (@absent) => { $crate::schema::Absent::Allowed };
    (@absent required) => { $crate::schema::Absent::Rejected };
    (@absent $default:literal) => { $crate::schema::Absent::Default($default) };
    (@constrain) => { |_| {} };
    (@constrain $constrain:expr) => { $constrain };
}
pub(crate) use toml_table;

/// Declares types of values: the JSON Schema and the reader of each.
///
/// The module that invokes it has in scope: `ValueType`, which each type implements, and `Entry` (a key with
/// its value).
macro_rules! value_types {
    ($(
        $(#[doc = $doc:literal])*
        $Type:ident $([$T:ident: $Bound:ident])? -> $Raw:ty { $schema:expr, |$entry:ident| $read:expr }
    )+) => {$(
        $(#[doc = $doc])*
        pub(crate) struct $Type $(<$T>(::std::marker::PhantomData<$T>))?;

        impl $(<$T: $Bound>)? ValueType for $Type $(<$T>)? {
            type Raw = $Raw;

            fn schema() -> ::serde_json::Value {
                $schema
            }

            fn read($entry: &mut Entry<'_, '_>) -> $Raw {
                $read
            }
        }
    )+};
}
pub(crate) use value_types;
