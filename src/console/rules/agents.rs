//! `/rules/agents`: agents, their ids, and where they are used.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::info::{TableInfo, TablePart, read_table};
use super::links::{Link, Links, PlaceView};
use super::pages::{PageQuery, Pager};
use crate::console::access::Reader;
use crate::console::page::{Frame, HtmlPage, PageError, Parameters};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rules::overview::{AgentEntry, AgentUse, Overview};

/// Agents on a page.
const AGENTS: usize = 50;
/// Uses that a page of several agents shows for each.
const USES: usize = 8;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct AgentsQuery {
    #[serde(flatten)]
    pages: PageQuery,
    /// Name of the only agent to show.
    #[serde(default)]
    name: String,
}

/// An agent as a row.
struct AgentView {
    link: Link,
    place: Option<PlaceView>,
    calls: Option<String>,
    /// Platform and id.
    ids: Vec<(String, String)>,
    version: Option<String>,
    sessions: String,
    required: String,
    /// Kind of the use, the link, and what else there is to say.
    uses: Vec<(&'static str, Link, String)>,
    more_uses: usize,
}

impl AgentView {
    fn new(agent: &AgentEntry, most: usize, links: &Links) -> AgentView {
        let ids = agent.ids.iter().map(|id| {
            let platform = id.platform.clone().unwrap_or_else(|| "every platform".to_owned());
            (platform, links.text(&id.id))
        });
        let uses: Vec<_> =
            agent.uses.iter().take(most).map(|found| use_view(found, links)).collect();
        AgentView {
            link: links.agent(&agent.name),
            place: PlaceView::of(agent.place.as_ref(), links),
            calls: links.calls("agent", &agent.name),
            ids: ids.collect(),
            version: agent.version.as_deref().map(|version| links.text(version)),
            sessions: agent.sessions.join(", "),
            required: links.text(&agent.required_variables.join(", ")),
            more_uses: agent.use_count - uses.len(),
            uses,
        }
    }
}

fn use_view(found: &AgentUse, links: &Links) -> (&'static str, Link, String) {
    match found {
        AgentUse::Rule(rule) => ("rule", links.rule(rule), String::new()),
        AgentUse::DefaultOfRule(rule) => ("rule", links.rule(rule), "as the default".to_owned()),
        AgentUse::ArmOfRule(rule, share) => ("rule", links.rule(rule), share.clone()),
        AgentUse::ArmOfSplit(split, share) => ("split", links.split(split), share.clone()),
        AgentUse::Column { list, column, rows } => {
            let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            ("list", links.list(list), format!("column {column}, {rows}"))
        }
    }
}

#[derive(Template)]
#[template(path = "rules/agents.html")]
struct AgentsPage {
    frame: Frame,
    table: TableInfo,
    search: String,
    /// Name of the only agent that is shown.
    name: Option<String>,
    agents: Vec<AgentView>,
    pages: Pager,
    has_raw_ids: bool,
}

/// Shows agents with where they are used.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<AgentsQuery>,
) -> Result<Response, PageError> {
    let asked = query.clone();
    let read = move |overview: Overview<'_>| {
        let agents = match asked.name.as_str() {
            "" => overview.agents(asked.pages.request(AGENTS)),
            name => overview.agent(name).into(),
        };
        (agents, overview.has_raw_agent_ids())
    };
    let (agents, has_raw_ids) = read_table(&console, read).await?;
    let name = Some(query.name).filter(|name| !name.is_empty());
    if let (Some(name), []) = (&name, &agents.items[..]) {
        return Err(HttpProblem::NotFound(format!("the live table has no agent `{name}`")).into());
    }
    let links = Links::new(&console, &reader);
    let most = if name.is_some() { usize::MAX } else { USES };
    let views: Vec<_> =
        agents.items.iter().map(|agent| AgentView::new(agent, most, &links)).collect();
    let counts = (views.len(), agents.total, AGENTS);
    Ok(HtmlPage(AgentsPage {
        frame: TablePart::Agents.frame(&reader),
        table: TableInfo::new(&console, TablePart::Agents),
        search: query.pages.search().to_owned(),
        name,
        pages: Pager::new("/rules/agents", &query.pages, &[], counts),
        agents: views,
        has_raw_ids,
    })
    .into_response())
}
