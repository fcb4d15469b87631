//! Guards of lists: a file that lost rows does not empty a list, and rows with errors can be left out.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use switchboard::reload;
use switchboard::rules::{CheckContext, LoadedTable};
use tempfile::TempDir;

use crate::reload::{Live, live};
use crate::rules::codes_of;

/// A folder with a rule table that has the list `vip` with these keys, and a file of `rows` numbers.
fn folder(keys: &str, rows: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_rules(folder.path(), keys, "agent_1");
    write_rows(folder.path(), rows);
    folder
}

fn write_rules(folder: &Path, keys: &str, agent: &str) {
    let rules = format!(
        "[lists.vip]\nfile = \"vip.csv\"\n{keys}\n\
         [[rule]]\nname = \"vip\"\nfrom = \"@vip\"\nagent = \"agent_vip\"\nvariables = {{ name = \"${{vip.name|you}}\" }}\n\
         [[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n"
    );
    std::fs::write(folder.join("rules.toml"), rules).unwrap();
}

fn write_rows(folder: &Path, rows: usize) {
    let rows: String = (0..rows).map(|row| format!("+1213777{row:04},Ann\n")).collect();
    std::fs::write(folder.join("vip.csv"), format!("number,name\n{rows}")).unwrap();
}

fn load(folder: &TempDir) -> LoadedTable {
    let path = folder.path().join("rules.toml");
    reload::load(&path, &CheckContext::default(), false, &mut |_| {}).unwrap()
}

impl Live {
    fn vip_rows(&self) -> usize {
        let table = self.app.app.table();
        table.lists.list(table.lists.find("vip").unwrap()).rows
    }

    fn agent_of_everyone(&self) -> String {
        self.app.app.table().agents.last().unwrap().name.to_string()
    }
}

#[tokio::test]
async fn a_list_that_shrinks_too_much_keeps_its_rows_while_the_rules_go_live() {
    let folder = folder("max_shrink = \"50%\"", 100);
    let live = live(&folder.path().join("rules.toml"), None);
    write_rows(folder.path(), 50);
    assert!(live.reload().await.report.diagnostics().is_empty(), "half of it may go");
    assert_eq!(live.vip_rows(), 50);

    write_rows(folder.path(), 24);
    write_rules(folder.path(), "max_shrink = \"50%\"", "agent_2");
    for _ in 0..2 {
        let reloaded = live.reload().await;
        assert!(reloaded.ok, "{}", reloaded.report);
        assert_eq!(codes_of(&reloaded.report), ["list-shrank"]);
        let text = reloaded.report.to_string();
        assert!(text.contains("list `vip` has 24 rows and had 50"), "{text}");
        assert_eq!((live.vip_rows(), live.agent_of_everyone()), (50, "agent_2".to_owned()));
    }
    let status = live.get("/readyz").await;
    assert_eq!(
        status["table"]["held_lists"],
        json!([{ "list": "vip", "rows": 50, "rows_of_file": 24 }])
    );
    assert!(status["warning"].as_str().unwrap().contains("lists lost more rows"), "{status}");
    assert_eq!(live.metric("switchboard_lists_held").await, 1);

    write_rows(folder.path(), 60);
    assert!(live.reload().await.report.diagnostics().is_empty(), "the file is back");
    assert_eq!(live.vip_rows(), 60);
    assert_eq!(live.metric("switchboard_lists_held").await, 0);
    assert_eq!(live.get("/readyz").await["warning"], json!(null));
}

#[tokio::test]
async fn a_forced_reload_takes_the_list_as_it_is() {
    let keys = "max_shrink = \"10%\"\nmin_rows = 10";
    let folder = folder(keys, 20);
    let live = live(&folder.path().join("rules.toml"), None);
    write_rows(folder.path(), 3);
    let reloaded = live.reload().await;
    assert_eq!((reloaded.ok, live.vip_rows()), (true, 20));

    let request = Request::post("/reload?force=true").body(Body::empty()).unwrap();
    let (status, answer) = live.admin(request).await;
    assert_eq!((status, live.vip_rows()), (StatusCode::OK, 3), "{answer}");
    assert_eq!(answer["table"]["held_lists"], json!([]));

    write_rules(folder.path(), keys, "agent_2");
    let reloaded = live.reload().await;
    assert!(reloaded.ok && reloaded.report.diagnostics().is_empty(), "{}", reloaded.report);
    assert_eq!((live.vip_rows(), live.agent_of_everyone()), (3, "agent_2".to_owned()));

    let request = Request::post("/reload?fource=true").body(Body::empty()).unwrap();
    assert_eq!(live.admin(request).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_list_below_min_rows_or_without_a_header_keeps_its_rows() {
    let folder = folder("min_rows = 10", 20);
    let live = live(&folder.path().join("rules.toml"), None);
    for (rows, code) in [("number,name\n+12137770000,Ann\n", "list-too-small"), ("", "list-shrank")]
    {
        std::fs::write(folder.path().join("vip.csv"), rows).unwrap();
        let reloaded = live.reload().await;
        assert!(reloaded.ok, "{}", reloaded.report);
        assert_eq!((codes_of(&reloaded.report), live.vip_rows()), (vec![code], 20));
    }
}

#[tokio::test]
async fn an_error_elsewhere_still_keeps_the_whole_table() {
    let folder = folder("max_shrink = \"0%\"", 20);
    let live = live(&folder.path().join("rules.toml"), None);
    write_rows(folder.path(), 19);
    write_rules(folder.path(), "max_shrink = \"0%\"\nnothing = 1", "agent_2");
    let reloaded = live.reload().await;
    assert!(!reloaded.ok);
    assert_eq!(live.agent_of_everyone(), "agent_1");
    assert_eq!(live.get("/readyz").await["table"]["held_lists"], json!([]));
}

#[test]
fn at_start_min_rows_is_an_error_and_max_shrink_has_nothing_to_compare() {
    let small = load(&folder("min_rows = 3", 2));
    assert!(small.table.is_none());
    assert_eq!(codes_of(&small.report), ["list-too-small"]);
    assert!(load(&folder("min_rows = 3", 3)).table.is_some());
    assert!(load(&folder("max_shrink = \"1%\"", 1)).table.is_some());
}

#[test]
fn rows_with_errors_can_be_left_out() {
    let rows =
        "number,name\n+12137770000,Ann\ntwo,Bob\n+12137770001,Cid\nthree,Dan\n+1213777,Eve,x\n";
    let folder = folder("bad_rows = \"skip\"", 0);
    std::fs::write(folder.path().join("vip.csv"), rows).unwrap();
    let LoadedTable { table, report, .. } = load(&folder);
    let table = table.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(table.lists.all()[0].rows, 2);
    let text = report.to_string();
    assert!(text.contains("`two` is not a number; the row is skipped"), "{text}");
    assert!(text.contains("2 more rows of"), "{text}");
    assert!(text.contains("vip.csv have errors, and are skipped"), "{text}");
    assert!(!text.contains("three"), "{text}");

    write_rules(folder.path(), "bad_rows = \"strict\"", "agent_1");
    assert!(load(&folder).table.is_none());
}

#[test]
fn a_file_with_thousands_of_bad_rows_is_read_to_its_end() {
    let folder = folder("bad_rows = \"skip\"", 0);
    let bad = "no,Bob\n".repeat(3_000);
    let rows = format!("number,name\n{bad}+12137770000,Ann\n");
    std::fs::write(folder.path().join("vip.csv"), rows).unwrap();
    assert_eq!(load(&folder).table.unwrap().lists.all()[0].rows, 1);
}
