//! Definitions of lists that live elsewhere: `url`, or `database` and `query`.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::guards::ListGuard;
use super::lookups::LookupChecker;
use super::reporter::Reporter;
use crate::domain::phone_number::Country;
use crate::rules::CheckContext;
use crate::rules::load::files::COPY_EXTENSION;
use crate::rules::load::raw::{RawList, RawLookup, Spanned};
use crate::rules::model::live_list::LiveList;
use crate::rules::model::lookup::{HttpLookup, LookupBackend};
use crate::rules::model::request_template::RequestPart;

const LIST_FORM: &str = "list-form";
const REFRESH_S: i64 = 300;
const REFRESHES_S: RangeInclusive<i64> = 10..=86_400;
/// Characters that are escaped in the names of copies.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Returns the name of the copy of a list. No other file of a table is likely to have it.
pub(super) fn copy_name(list: &str) -> String {
    format!("{}{COPY_EXTENSION}", utf8_percent_encode(list, ESCAPED))
}

/// Checks the definition of a list that has a `url` or a `database`.
pub(super) struct LiveListChecker<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) reporter: &'c mut Reporter<'r>,
}

impl LiveListChecker<'_, '_> {
    /// Returns the list, or `None` if the definition has errors, which are reported.
    pub(super) fn check(
        &mut self,
        raw: &mut RawList,
        guard: ListGuard,
        country: Option<Country>,
        copy: PathBuf,
    ) -> Option<LiveList> {
        let refresh = self.refresh(raw);
        self.check_keys(raw)?;
        let number_columns = raw.columns.iter().map(|column| column.value.as_str().into());
        let number_columns = number_columns.collect();
        let lookup = RawLookup {
            name: raw.name.clone(),
            url: raw.url.take(),
            headers: std::mem::take(&mut raw.headers),
            database: raw.database.take(),
            query: raw.query.take(),
            allow_private: raw.allow_private.take(),
            ..RawLookup::default()
        };
        let (context, reporter) = (self.context, &mut *self.reporter);
        let backend = LookupChecker { raw: &lookup, context, reporter }.backend()?;
        let span = [&lookup.url, &lookup.query].into_iter().flatten().next()?.span.clone();
        if needs_call(&backend) {
            let message = "a list cannot contain values of a call".to_owned();
            self.reporter
                .error(LIST_FORM, &span, message)
                .help("fetch all rows; ${env.NAME} stands for a variable of the service");
            return None;
        }
        Some(LiveList {
            name: raw.name.value.as_str().into(),
            backend,
            refresh,
            is_strict: raw.is_strict(),
            limits: guard.limits,
            number_columns,
            used_columns: Vec::new(),
            country,
            copy,
        })
    }

    fn refresh(&mut self, raw: &RawList) -> Duration {
        let seconds = raw.refresh_s.as_ref().map_or(REFRESH_S, |seconds| seconds.value);
        if let Some(refresh) = raw.refresh_s.as_ref().filter(|_| !REFRESHES_S.contains(&seconds)) {
            let (least, most) = (REFRESHES_S.start(), REFRESHES_S.end());
            let message = format!("refresh_s is {seconds}; it must be from {least} to {most}");
            self.reporter.error(LIST_FORM, &refresh.span, message);
        }
        Duration::from_secs(seconds.unsigned_abs())
    }

    /// Reports keys that do not fit together.
    fn check_keys(&mut self, raw: &RawList) -> Option<()> {
        let span = |key: &Option<Spanned<String>>| key.as_ref().map(|key| key.span.clone());
        let header = raw.headers.first().map(|(name, _)| name.span.clone());
        let (url, database) = (span(&raw.url), span(&raw.database));
        let unfit: [(bool, Option<Range<usize>>, &str); 4] = [
            (url.is_some(), database.clone(), "a list has either a `url` or a `database`"),
            (url.is_some(), span(&raw.query), "a list with a `url` has no `query`"),
            (database.is_some(), header, "a list with a `database` has no `headers`"),
            (
                true,
                span(&raw.bad_rows),
                "a list with a `url` or a `database` has `strict` in place of `bad_rows`",
            ),
        ];
        let unfit = unfit.into_iter().filter(|(applies, ..)| *applies);
        let found: Vec<_> = unfit.filter_map(|(_, span, message)| Some((span?, message))).collect();
        for (span, message) in &found {
            self.reporter.error(LIST_FORM, span, (*message).to_owned());
        }
        if let (Some(database), None) = (&database, &raw.query) {
            let message = "a list with a `database` needs a `query`".to_owned();
            self.reporter
                .error(LIST_FORM, database, message)
                .help("write query = \"SELECT phone, name FROM customers\"");
            return None;
        }
        found.is_empty().then_some(())
    }
}

fn needs_call(backend: &LookupBackend) -> bool {
    match backend {
        LookupBackend::Http(HttpLookup { url, headers, .. }) => {
            let templates = headers.iter().map(|(_, value)| value).chain([url]);
            let mut parts = templates.flat_map(|template| template.parts());
            parts.any(|part| matches!(part, RequestPart::Value(..)))
        }
        LookupBackend::Sql(sql) => !sql.parameters.is_empty(),
    }
}
