//! Files of a table, split into chunks, with their definitions parsed.

use std::sync::Arc;

use super::reporter::Reporter;
use crate::diagnostics::SourceFile;
use crate::rules::load::chunks::{CHUNK_BYTES, Chunk, ChunkKind, split_chunks};
use crate::rules::load::raw::{RawDefinitions, parse};

/// Files of a table. Each phase takes the parts that it checks. Chunks of rules and tests stay text
/// until then: the raw values of a million rules would take about 4 GB.
pub(super) struct RawTable {
    pub(super) files: Vec<RawFile>,
}

pub(super) struct RawFile {
    pub(super) source: Arc<SourceFile>,
    pub(super) chunks: Vec<Chunk>,
    /// Parsed definitions; `None` if those of any file are not TOML.
    pub(super) definitions: Option<RawDefinitions>,
}

impl RawTable {
    /// Splits the files, and parses the definitions of all of them.
    pub(super) fn parse(sources: &[Arc<SourceFile>], reporter: &mut Reporter<'_>) -> RawTable {
        let mut files: Vec<_> =
            sources.iter().map(|source| RawFile::parse(source, reporter)).collect();
        if !reporter.has_definitions() {
            files.iter_mut().for_each(|file| file.definitions = None);
        }
        RawTable { files }
    }

    /// Returns the length of all files in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.source.text.len()).sum()
    }
}

impl RawFile {
    fn parse(source: &Arc<SourceFile>, reporter: &mut Reporter<'_>) -> RawFile {
        let chunks = split_chunks(&source.text, CHUNK_BYTES);
        let mut definitions = None;
        if let Some(chunk) = chunks.iter().find(|chunk| chunk.kind == ChunkKind::Definitions) {
            definitions = parse::definitions(source, chunk, &chunks, reporter.report);
            if definitions.is_none() {
                reporter.set_definitions_missing();
            }
        }
        RawFile { source: source.clone(), chunks, definitions }
    }
}
