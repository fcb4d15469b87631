//! `/rules/splits`: splits with the declared shares of their arms, and the real ones of the newest calls.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::info::{TableInfo, TablePart, read_table};
use super::links::{Link, Links, PlaceView, UsedBy};
use super::pages::{PageQuery, Pager};
use crate::console::access::Reader;
use crate::console::calls::zone;
use crate::console::page::{Frame, HtmlPage, PageError, Parameters, with_query};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::records::ArmCounts;
use crate::rules::overview::{ArmEntry, Overview, PageRequest, SplitEntry, SplitOwner};

/// Splits on a page.
const SPLITS: usize = 20;
/// Newest calls of a rule whose arms are counted.
const COUNTED_CALLS: usize = 1_000;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct SplitsQuery {
    #[serde(flatten)]
    pages: PageQuery,
    /// Name of the only rule or split to show.
    #[serde(default)]
    name: String,
}

/// A split as a part of the page.
struct SplitView {
    title: Link,
    place: Option<PlaceView>,
    key: String,
    column: Option<String>,
    arms: Vec<ArmView>,
    /// Part of the page with the real shares, for the split of a rule.
    shares_part: Option<String>,
    used_by: UsedBy,
}

/// An arm of a split.
struct ArmView {
    agent: Link,
    declared: String,
}

impl ArmView {
    fn new(arm: &ArmEntry, links: &Links) -> ArmView {
        let agent = match arm.is_known {
            true => links.agent(&arm.agent),
            false => links.plain(&arm.agent),
        };
        ArmView { agent, declared: arm.share.clone() }
    }
}

impl SplitView {
    fn new(split: &SplitEntry, links: &Links) -> SplitView {
        let is_of_rule = split.owner == SplitOwner::Rule;
        let title = match is_of_rule {
            true => links.rule(&split.name),
            false => links.split(&split.name),
        };
        let path = || with_query("/rules/splits/shares", &[("name", &split.name)]);
        let is_whole = title.path.is_some();
        SplitView {
            title,
            place: PlaceView::of(split.place.as_ref(), links),
            key: links.plain(&split.key).name,
            column: split.column.clone(),
            arms: split.arms.iter().map(|arm| ArmView::new(arm, links)).collect(),
            shares_part: (is_of_rule && is_whole).then(path),
            used_by: links.used_by(&split.used_by),
        }
    }
}

#[derive(Template)]
#[template(path = "rules/splits.html")]
struct SplitsPage {
    frame: Frame,
    table: TableInfo,
    search: String,
    name: Option<String>,
    rules: Vec<SplitView>,
    pages: Pager,
    named: Vec<SplitView>,
    more_named: usize,
}

/// Shows splits with their declared shares.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<SplitsQuery>,
) -> Result<Response, PageError> {
    let asked = query.clone();
    let read = move |overview: Overview<'_>| match asked.name.as_str() {
        "" => {
            let rules = overview.rule_splits(asked.pages.request(SPLITS));
            (rules, overview.named_splits(PageRequest::first()))
        }
        name => (overview.rule_split(name).into(), overview.named_split(name).into()),
    };
    let (rules, named) = read_table(&console, read).await?;
    let name = Some(query.name).filter(|name| !name.is_empty());
    if let Some(name) = name.as_ref().filter(|_| rules.total + named.total == 0) {
        return Err(HttpProblem::NotFound(format!("the live table has no split `{name}`")).into());
    }
    let links = Links::new(&console, &reader);
    let view = |split: &SplitEntry| SplitView::new(split, &links);
    let views: Vec<_> = rules.items.iter().map(view).collect();
    let counts = (views.len(), rules.total, SPLITS);
    Ok(HtmlPage(SplitsPage {
        frame: TablePart::Splits.frame(&reader),
        table: TableInfo::new(&console, TablePart::Splits),
        search: query.pages.search().to_owned(),
        name,
        pages: Pager::new("/rules/splits", &query.pages, &[], counts),
        rules: views,
        more_named: named.total - named.items.len(),
        named: named.items.iter().map(view).collect(),
    })
    .into_response())
}

/// Query parameters of the shares of a rule.
#[derive(Debug, Deserialize)]
pub(super) struct SharesQuery {
    name: String,
}

/// An arm, or an agent of the splits that rows name, with its real share.
struct ShareView {
    agent: Link,
    /// Declared share of an arm.
    declared: Option<String>,
    calls: u64,
    /// `12.5 %`
    real: String,
    /// Share in hundredths of a percent, for the picture.
    hundredths: u64,
}

impl ShareView {
    fn new(agent: Link, declared: Option<String>, calls: u64, of: &ArmCounts) -> ShareView {
        let hundredths = (calls * 10_000).checked_div(of.calls).unwrap_or_default();
        let real = format!("{}.{} %", hundredths / 100, hundredths % 100 / 10);
        ShareView { agent, declared, calls, real, hundredths }
    }
}

#[derive(Template)]
#[template(path = "rules/shares.html")]
struct SharesPart {
    name: String,
    shares: Vec<ShareView>,
    calls: u64,
    /// Time of the oldest call that was counted.
    since: Option<String>,
    problem: Option<String>,
}

/// Sends the real shares of the split of a rule.
pub(super) async fn show_shares(
    State(console): State<Console>,
    reader: Reader,
    Parameters(SharesQuery { name }): Parameters<SharesQuery>,
) -> Result<Response, PageError> {
    let wanted = name.clone();
    let read = move |overview: Overview<'_>| overview.rule_split(&wanted);
    let split = read_table(&console, read).await?;
    let missing = || HttpProblem::NotFound(format!("the live table has no split in `{name}`"));
    let split = split.ok_or_else(missing)?;
    let (counts, problem) = match console.app.recorder().store() {
        Ok(store) => {
            let _turn = console.counting.wait().await;
            (store.arm_counts(&name, COUNTED_CALLS).await?, None)
        }
        Err(error) => (ArmCounts::default(), Some(error.to_string())),
    };
    let links = Links::new(&console, &reader);
    let arms = split.arms.iter().enumerate().map(|(at, arm)| {
        let calls = counts.by_arm.get(&at).copied().unwrap_or_default();
        let ArmView { agent, declared } = ArmView::new(arm, &links);
        ShareView::new(agent, Some(declared), calls, &counts)
    });
    // The rows name different splits, so the arms have no order.
    let agents = counts.by_agent.iter().filter(|_| split.column.is_some());
    let agents =
        agents.map(|(agent, calls)| ShareView::new(links.agent(agent), None, *calls, &counts));
    let since = counts.oldest.map(|at| at.to_zoned(zone(&console)));
    Ok(HtmlPage(SharesPart {
        shares: arms.chain(agents).collect(),
        calls: counts.calls,
        since: since.map(|at| at.strftime("%d %b %Y %H:%M").to_string()),
        problem,
        name: reader.text(&name).into_owned(),
    })
    .into_response())
}
