//! Reads the files of a rule table: TOML, split into chunks and read into raw values with their
//! locations, the rows of lists, and the days of files.

mod calendar;
pub(crate) mod chunks;
pub(crate) mod copy_info;
pub(crate) mod date_files;
pub(crate) mod encoding;
pub(crate) mod file_days;
pub(crate) mod files;
pub(crate) mod list_rows;
pub(crate) mod raw;
mod snapshot_edit;
pub(crate) mod windows_path;

use raw::parse::TableKeys;

/// Returns the JSON Schema of a rule table, for editors.
pub fn json_schema() -> serde_json::Value {
    raw::RawDefinitions::spec().root_schema("rules", "Switchboard: the rule table")
}
