//! Reads the files of a table: TOML cut into chunks, parsed into raw values with their places, and list rows.

pub(crate) mod chunks;
pub(crate) mod files;
pub(crate) mod list_rows;
pub(crate) mod parse;
pub(crate) mod raw;
