//! Pages of long sequences: which part is shown, and links to the others.

use serde::Deserialize;

use crate::console::page::with_query;
use crate::rules::overview::PageRequest;

/// Query parameters of a page that shows a part of a sequence.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Part of a name.
    q: String,
    /// Number of the page, from 1. A text: the query is flattened into others.
    page: String,
}

impl PageQuery {
    /// Returns the text to search names for.
    pub(super) fn search(&self) -> &str {
        self.q.trim()
    }

    /// Returns the part of the sequence to show.
    pub(super) fn request(&self, limit: usize) -> PageRequest<'_> {
        let offset = (self.number() - 1).saturating_mul(limit);
        PageRequest { search: self.search(), offset, limit }
    }

    fn number(&self) -> usize {
        self.page.parse().unwrap_or(1).max(1)
    }

    /// Returns the parameters as pairs.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        self.pairs_of(self.number())
    }

    fn pairs_of(&self, page: usize) -> Vec<(&'static str, String)> {
        let search = Some(("q", self.search().to_owned())).filter(|(_, text)| !text.is_empty());
        let page = (page > 1).then(|| ("page", page.to_string()));
        search.into_iter().chain(page).collect()
    }
}

/// Which items of a sequence a page shows, and links to its neighbours.
pub(super) struct Pager {
    /// Number of the first item, from 1.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) total: usize,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Pager {
    /// `further` are parameters of the path besides those of the query.
    pub(super) fn new(
        path: &str,
        query: &PageQuery,
        further: &[(&str, &str)],
        (shown, total, limit): (usize, usize, usize),
    ) -> Pager {
        let page = query.number();
        let before = (page - 1).saturating_mul(limit);
        let link = |page: usize| {
            let pairs = query.pairs_of(page);
            let pairs = pairs.iter().map(|(name, value)| (*name, &**value));
            with_query(path, &further.iter().copied().chain(pairs).collect::<Vec<_>>())
        };
        Pager {
            first: if shown == 0 { 0 } else { before + 1 },
            last: if shown == 0 { 0 } else { before + shown },
            total,
            previous: (page > 1).then(|| link((page - 1).min(total.div_ceil(limit).max(1)))),
            next: (before + shown < total && shown > 0).then(|| link(page + 1)),
        }
    }

    /// Returns whether the page shows all items.
    pub(super) fn shows_all(&self) -> bool {
        self.previous.is_none() && self.next.is_none()
    }
}
