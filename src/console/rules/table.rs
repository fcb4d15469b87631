//! `/rules`: the rules in order, and `/rules/rule`: one of them.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::hits::{Hits, HitsPart, HitsView};
use super::info::{TableInfo, TablePart, read_table};
use super::links::{Link, Links, PlaceView, element_id};
use super::pages::{PageQuery, Pager};
use crate::console::access::Reader;
use crate::console::page::{Frame, HtmlPage, PageError, PageSection, Parameters, with_query};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rules::overview::{self, Overview, RuleEntry, RuleState, SourceText};

/// Rules on a page.
const RULES: usize = 50;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct RulesQuery {
    #[serde(flatten)]
    pages: PageQuery,
    /// `unreachable` for the rules that no call can reach.
    #[serde(default)]
    only: String,
    /// Hits are part of the page, for browsers without scripts.
    #[serde(default)]
    hits: String,
}

impl RulesQuery {
    fn shows_unreachable(&self) -> bool {
        self.only == "unreachable"
    }

    /// Parameters besides those of the part of the sequence.
    fn further(&self) -> Vec<(&'static str, &'static str)> {
        let only = self.shows_unreachable().then_some(("only", "unreachable"));
        let hits = self.has_hits().then_some(("hits", "shown"));
        only.into_iter().chain(hits).collect()
    }

    fn has_hits(&self) -> bool {
        !self.hits.is_empty()
    }

    fn link(&self, path: &str, further: &[(&str, &str)]) -> String {
        let own = self.pages.pairs();
        let own = own.iter().map(|(name, value)| (*name, &**value));
        let only = self.shows_unreachable().then_some(("only", "unreachable"));
        let pairs: Vec<_> = own.chain(only).chain(further.iter().copied()).collect();
        with_query(path, &pairs)
    }
}

/// A rule as a part of a page.
pub(super) struct RuleView {
    pub(super) id: String,
    number: Option<usize>,
    name: String,
    path: Option<String>,
    calls: Option<String>,
    place: Option<PlaceView>,
    conditions: Vec<(String, String)>,
    /// Word for the kind of the outcome, which a class has too; `None` if the rule is disabled.
    kind: Option<&'static str>,
    outcome: String,
    adds: String,
    unsupported_at: String,
    /// Reason for which no call can reach it.
    unreachable: Option<String>,
    /// Definitions that it names, by kind.
    uses: Vec<(&'static str, Vec<Link>)>,
    lines: Vec<SourceLine>,
    is_cut: bool,
    hits: Option<HitsView>,
}

impl RuleView {
    fn new(rule: &RuleEntry, hits: Option<&Hits>, links: &Links, reader: &Reader) -> RuleView {
        let conditions = rule.conditions.iter().map(|condition| {
            let value = match condition.key.as_str() {
                "scope" => links.relative(&condition.value),
                _ => reader.text(&condition.value).into_owned(),
            };
            (reader.text(&condition.key).into_owned(), value)
        });
        let text = rule.text.as_ref();
        let link = links.rule(&rule.name);
        let outcome = rule.outcome.as_ref();
        RuleView {
            id: element_id("hits", &rule.name),
            number: rule.number,
            name: link.name,
            path: link.path,
            calls: links.calls("rule", &rule.name),
            place: PlaceView::of(rule.place.as_ref(), links),
            conditions: conditions.collect(),
            kind: outcome.map(|outcome| outcome.kind.as_str()),
            outcome: outcome
                .map(|outcome| reader.text(&outcome.detail).into_owned())
                .unwrap_or_default(),
            adds: reader.text(&rule.adds.join("; ")).into_owned(),
            unsupported_at: rule.unsupported_at.join(", "),
            unreachable: match &rule.state {
                RuleState::Unreachable(reason) => Some(reader.text(reason).into_owned()),
                RuleState::Active | RuleState::Disabled => None,
            },
            uses: uses(rule, links),
            lines: text.map(|text| source_lines(text, reader)).unwrap_or_default(),
            is_cut: text.is_some_and(|text| text.is_cut),
            hits: hits.and_then(|hits| hits.of(rule)),
        }
    }
}

fn uses(rule: &RuleEntry, links: &Links) -> Vec<(&'static str, Vec<Link>)> {
    let uses = &rule.uses;
    let all = |names: &[String], link: fn(&Links, &str) -> Link| -> Vec<Link> {
        names.iter().map(|name| link(links, name)).collect()
    };
    let by_kind = [
        ("Agents", all(&uses.agents, Links::agent)),
        ("Lists", all(&uses.lists, Links::list)),
        ("Hours", all(&uses.hours, Links::hours)),
        ("Dates", all(&uses.dates, Links::dates)),
        ("Look-ups", all(&uses.lookups, Links::lookup)),
    ];
    by_kind.into_iter().filter(|(_, links)| !links.is_empty()).collect()
}

/// Returns the rules of a page.
fn page_of(overview: Overview<'_>, query: &RulesQuery) -> overview::Page<RuleEntry> {
    let request = query.pages.request(RULES);
    match query.shows_unreachable() {
        true => overview.unreachable_rules(request),
        false => overview.rules(request),
    }
}

#[derive(Template)]
#[template(path = "rules/table.html")]
struct TablePage {
    frame: Frame,
    table: TableInfo,
    search: String,
    shows_unreachable: bool,
    unreachable_count: usize,
    has_texts: bool,
    /// Part of the page with the hits, unless they are shown already.
    hits_part: Option<String>,
    /// The same page with the hits.
    with_hits: String,
    hits_problem: Option<String>,
    rules: Vec<RuleView>,
    pages: Pager,
    /// Numbers are masked for this reader.
    is_masked: bool,
}

/// Shows the rules in order.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<RulesQuery>,
) -> Result<Response, PageError> {
    let asked = query.clone();
    let read = move |overview: Overview<'_>| {
        let rules = page_of(overview, &asked);
        (rules, overview.unreachable_count(), overview.has_texts())
    };
    let (found, unreachable_count, has_texts) = read_table(&console, read).await?;
    let hits = match query.has_hits() {
        true => Some(Hits::read(&console, &found.items).await?),
        false => None,
    };
    let links = Links::new(&console, &reader);
    let view = |rule: &RuleEntry| RuleView::new(rule, hits.as_ref(), &links, &reader);
    let rules: Vec<_> = found.items.iter().map(view).collect();
    let counts = (rules.len(), found.total, RULES);
    Ok(HtmlPage(TablePage {
        frame: TablePart::Rules.frame(&reader),
        table: TableInfo::new(&console, TablePart::Rules),
        search: query.pages.search().to_owned(),
        shows_unreachable: query.shows_unreachable(),
        unreachable_count,
        has_texts,
        hits_part: hits.is_none().then(|| query.link("/rules/hits", &[])),
        with_hits: query.link("/rules", &[("hits", "shown")]),
        hits_problem: hits.as_ref().and_then(Hits::problem),
        pages: Pager::new("/rules", &query.pages, &query.further(), counts),
        rules,
        is_masked: !reader.sees_numbers(),
    })
    .into_response())
}

/// A line of a rule.
struct SourceLine {
    number: usize,
    text: String,
    /// Lines between the line before and this one are left out.
    is_apart: bool,
}

/// Returns the lines of a rule as the reader may see them.
fn source_lines(text: &SourceText, reader: &Reader) -> Vec<SourceLine> {
    let mut lines = Vec::new();
    for piece in &text.pieces {
        for (at, line) in piece.text.lines().enumerate() {
            lines.push(SourceLine {
                number: piece.line + at,
                text: reader.text(line).into_owned(),
                is_apart: at == 0 && !lines.is_empty(),
            });
        }
    }
    lines
}

/// Query parameters of the page of one rule.
#[derive(Debug, Deserialize)]
pub(super) struct RuleQuery {
    name: String,
}

#[derive(Template)]
#[template(path = "rules/rule.html")]
struct RulePage {
    frame: Frame,
    table: TableInfo,
    rule: RuleView,
    has_texts: bool,
}

/// Shows one rule.
pub(super) async fn show_one(
    State(console): State<Console>,
    reader: Reader,
    Parameters(RuleQuery { name }): Parameters<RuleQuery>,
) -> Result<Response, PageError> {
    let read = move |overview: Overview<'_>| (overview.rule(&name), overview.has_texts(), name);
    let (rule, has_texts, name) = read_table(&console, read).await?;
    let missing = || HttpProblem::NotFound(format!("the live table has no rule `{name}`"));
    let rule = rule.ok_or_else(missing)?;
    let hits = Hits::read(&console, std::slice::from_ref(&rule)).await?;
    let links = Links::new(&console, &reader);
    let rule = RuleView::new(&rule, Some(&hits), &links, &reader);
    let frame = Frame::new(format!("Rule {}", rule.name), PageSection::Rules, &reader);
    let table = TableInfo::new(&console, TablePart::Rules);
    Ok(HtmlPage(RulePage { frame, table, rule, has_texts }).into_response())
}

/// Sends the hits of the rules of a page.
pub(super) async fn show_hits(
    State(console): State<Console>,
    _: Reader,
    Parameters(query): Parameters<RulesQuery>,
) -> Result<Response, PageError> {
    let rules = read_table(&console, move |overview| page_of(overview, &query)).await?.items;
    let hits = Hits::read(&console, &rules).await?;
    let shown =
        rules.iter().filter_map(|rule| Some((element_id("hits", &rule.name), hits.of(rule)?)));
    Ok(HtmlPage(HitsPart { rules: shown.collect(), problem: hits.problem() }).into_response())
}
