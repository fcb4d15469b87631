//! *Change*: edits are checked, replayed and applied; versions are listed, compared and restored.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::Value;
use switchboard::records::{RuleAction, RuleSnapshot, TransferLine};

use super::client::{Client, Service, service_at, service_with};
use crate::support::app::Answer;
use crate::support::wait::until_async;

const RULES: &str = "lists.vip.file = \"vip.csv\"\n\n[[rule]]\nname = \"vip\"\nfrom = \"@vip\"\n\
                     agent = \"vip\"\n\n[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const LIST: &str = "number,note\n+12137770000,\"a, b\"\n+12137770001,\n";
const PAGES: [&str; 5] = [
    "/change",
    "/change/versions",
    "/change/list?file=vip.csv",
    "/change/file?file=vip.csv",
    "/change/schema",
];
const FORMS: [&str; 7] = [
    "/change/check",
    "/change/lint",
    "/change/apply",
    "/change/download",
    "/change/list",
    "/change/versions/abc",
    "/change/versions/abc/restore",
];

async fn service(more: &str, records: &str) -> Service {
    service_with(more, records, &[("rules.toml", RULES), ("vip.csv", LIST)]).await
}

async fn editable() -> Service {
    service("edit = true", "memory:").await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// Returns the value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no field {name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

fn file(service: &Service, name: &str) -> String {
    std::fs::read_to_string(service.folder.path().join(name)).unwrap()
}

/// An editor at the page.
struct Edit {
    client: Client,
    version: String,
    csrf: String,
}

impl Edit {
    async fn new(service: &Service) -> Edit {
        Edit::of(service, "ed").await
    }

    async fn of(service: &Service, name: &str) -> Edit {
        let mut client = Client::logged_in(&service.admin, name).await;
        let page = client.page("/change").await;
        Edit { client, version: field(&page, "version"), csrf: field(&page, "csrf") }
    }

    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let (csrf, version) = (self.csrf.clone(), self.version.clone());
        let all = [&[("csrf", &*csrf), ("version", &*version)], fields].concat();
        self.client.submit(path, &encoded(&all)).await
    }

    /// Checks texts, which must be right, and applies them.
    async fn apply(&mut self, fields: &[(&str, &str)]) -> Answer {
        let checked = self.send("/change/check", fields).await;
        let page = text(&checked);
        assert_eq!(checked.status, StatusCode::OK, "{page}");
        let checked = field(&page, "checked");
        self.send("/change/apply", &[fields, &[("checked", &checked)]].concat()).await
    }
}

#[tokio::test]
async fn only_a_session_reaches_the_pages_and_only_an_editor_the_forms() {
    let service = editable().await;
    let mut nobody = Client::new(&service.admin);
    let mut viewer = Client::logged_in(&service.admin, "vera").await;
    let mut editor = Client::logged_in(&service.admin, "ed").await;
    for path in PAGES {
        let answer = nobody.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let expected = match path.contains("file=") {
            true => StatusCode::FORBIDDEN,
            false => StatusCode::OK,
        };
        assert_eq!(viewer.get(path).await.status, expected, "{path}");
        assert_eq!(editor.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in FORMS {
        assert_eq!(nobody.submit(path, "").await.status, StatusCode::FORBIDDEN, "{path}");
        let sent = viewer.submit_with_token(path, "text%3Arules.toml=x").await;
        assert_eq!(sent.status, StatusCode::FORBIDDEN, "{path}");
        for wrong in ["csrf=wrong", ""] {
            let sent = editor.submit(path, wrong).await;
            assert_eq!(sent.status, StatusCode::FORBIDDEN, "{path} {wrong}");
        }
    }
    let page = viewer.page("/change").await;
    assert!(page.contains("needs the role") && !page.contains("<textarea"), "{page}");
    assert!(page.contains("+1213***0000") && !page.contains("12137770000"), "{page}");
    assert_eq!(file(&service, "rules.toml"), RULES);
    service.stop().await;
}

#[tokio::test]
async fn an_edit_is_checked_replayed_and_applied() {
    let service = editable().await;
    let mut edit = Edit::new(&service).await;
    let call = service.call("+13125550199").await;
    // Browsers send line breaks as CR and LF.
    let new = RULES.replace("agent_1", "agent_2").replace('\n', "\r\n");
    let texts = [("text:rules.toml", &*new), ("text:vip.csv", LIST), ("note", "for +12137771234")];
    let checked = edit.send("/change/check", &texts).await;
    let page = text(&checked);
    assert_eq!(checked.status, StatusCode::OK, "{page}");
    assert!(page.contains("No errors"), "{page}");
    assert!(page.contains("agent agent_1") && page.contains("agent agent_2"), "{page}");
    assert!(page.contains(&format!("/calls/{call}")), "an example of a changed call");
    assert!(page.contains("1 added, 1 removed") && !page.contains("Changes of vip.csv"), "{page}");
    assert_eq!(file(&service, "rules.toml"), RULES, "a check writes nothing");

    let checked = field(&page, "checked");
    let other = RULES.replace("agent_1", "agent_3");
    let unchecked = [("text:rules.toml", &*other), ("checked", &checked)];
    let refused = edit.send("/change/apply", &unchecked).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&refused).contains("agent_3"), "what was typed stays");
    assert_eq!(file(&service, "rules.toml"), RULES);

    let fields = [&texts[..], &[("checked", &checked)]].concat();
    let applied = edit.send("/change/apply", &fields).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER, "{}", text(&applied));
    assert_eq!(file(&service, "rules.toml"), RULES.replace("agent_1", "agent_2"));
    let location = applied.headers["location"].to_str().unwrap().to_owned();
    let page = edit.client.page(&location).await;
    assert!(page.contains("the new rules answer calls now"), "{page}");
    assert_eq!(&*service.app.table().agents[1].name, "agent_2");
    let store = service.app.recorder().store().unwrap();
    let changes = store.rule_changes().await.unwrap();
    assert_eq!((&*changes[0].who, &*changes[0].note), ("ed", "for +12137771234"));
    assert_eq!(changes[0].action, RuleAction::Apply);

    // Viewers see who changed what, with masked numbers.
    let mut viewer = Client::logged_in(&service.admin, "vera").await;
    let versions = viewer.page("/change/versions").await;
    assert!(versions.contains("for +1213***1234"), "{versions}");
    let version = viewer.page(&format!("/change/versions/{}", changes[0].new_fingerprint)).await;
    assert!(version.contains("agent_2") && !version.contains("Back to this version"), "{version}");
    service.stop().await;
}

#[tokio::test]
async fn the_way_back_has_the_same_checks() {
    let service = editable().await;
    let old = service.app.table().fingerprint.clone();
    let mut edit = Edit::new(&service).await;
    let new = RULES.replace("agent_1", "agent_2");
    let applied = edit.apply(&[("text:rules.toml", &new)]).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER, "{}", text(&applied));

    let path = format!("/change/versions/{old}");
    let page = edit.client.page(&path).await;
    assert!(page.contains("Back to this version"), "{page}");
    let unchecked = edit.client.submit_with_token(&format!("{path}/restore"), "note=x").await;
    assert_eq!(unchecked.status, StatusCode::CONFLICT);
    let checked = edit.client.submit_with_token(&path, "days=30").await;
    let page = text(&checked);
    assert_eq!(checked.status, StatusCode::OK, "{page}");
    assert!(page.contains("Go back to this version") && page.contains("last 30 days"), "{page}");
    let fields = encoded(&[("checked", &field(&page, "checked")), ("note", "too early")]);
    let restored = edit.client.submit_with_token(&format!("{path}/restore"), &fields).await;
    assert_eq!(restored.status, StatusCode::SEE_OTHER, "{}", text(&restored));
    assert_eq!(file(&service, "rules.toml"), RULES);
    assert_eq!(service.app.table().fingerprint, old);
    let versions = edit.client.page("/change/versions").await;
    assert!(versions.contains("too early") && versions.contains("restored"), "{versions}");
    let unknown = edit.client.get("/change/versions/0123456789ab").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    service.stop().await;
}

#[tokio::test]
async fn every_change_stays_in_the_history_when_its_files_return() {
    let service = editable().await;
    let first = service.app.table().fingerprint.clone();
    let mut edit = Edit::new(&service).await;
    let new = RULES.replace("agent_1", "agent_2");
    let fields = [("text:rules.toml", &*new), ("note", "to the second")];
    assert_eq!(edit.apply(&fields).await.status, StatusCode::SEE_OTHER);
    let second = service.app.table().fingerprint.clone();
    for (target, note) in [(&first, "too early"), (&second, "now at last")] {
        let path = format!("/change/versions/{target}");
        let page = text(&edit.client.submit_with_token(&path, "").await);
        let fields = encoded(&[("checked", &field(&page, "checked")), ("note", note)]);
        let done = edit.client.submit_with_token(&format!("{path}/restore"), &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", text(&done));
    }
    let versions = edit.client.page("/change/versions").await;
    let at = |part: &str| versions.find(part).unwrap_or_else(|| panic!("{part}: {versions}"));
    assert!(at("now at last") < at("too early") && at("too early") < at("to the second"));
    assert_eq!(versions.matches("<td class=\"time\">").count(), 3, "{versions}");
    assert_eq!(versions.matches(">current<").count(), 1, "{versions}");

    // The page of a version has each of them.
    let page = edit.client.page(&format!("/change/versions/{second}")).await;
    assert!(page.contains("now at last") && page.contains("to the second"), "{page}");
    let store = service.app.recorder().store().unwrap();
    let oldest = store.rule_changes().await.unwrap().pop().unwrap();
    assert_eq!(oldest.note, "to the second");
    let page = edit.client.page(&format!("/change/versions/{second}?change={}", oldest.id)).await;
    assert!(page.contains("<dt>Note</dt><dd>to the second</dd>"), "{page}");
    assert!(page.contains("agent_1") && page.contains("agent_2"), "its difference: {page}");

    // An edit of the files on disk has no author.
    for agent in ["agent_3", "agent_2"] {
        let path = service.folder.path().join("rules.toml");
        std::fs::write(path, RULES.replace("agent_1", agent)).unwrap();
        let done = edit.client.submit_with_token("/health/reload", "").await;
        assert_eq!(done.status, StatusCode::OK, "{}", text(&done));
        let fingerprint = service.app.table().fingerprint.clone();
        let live_since = service.app.live_table().table_and_status().1.loaded_at.as_millisecond();
        let is_stored = async || {
            let stored = store.rule_snapshot(&fingerprint).await.unwrap();
            stored.is_some_and(|stored| stored.at.as_millisecond() >= live_since)
        };
        assert!(until_async(is_stored).await);
    }
    assert_eq!(service.app.table().fingerprint, second);
    let page = edit.client.page(&format!("/change/versions/{second}")).await;
    assert!(page.contains("<span class=\"none\">an edit of the files</span>"), "{page}");
    assert!(page.contains("now at last"), "the earlier times are listed: {page}");
    assert!(page.contains("agent_3"), "what the edit changed: {page}");
    service.stop().await;
}

#[tokio::test]
async fn the_reload_after_a_change_names_the_person() {
    let service = editable().await;
    let new = RULES.replace("agent_1", "agent_2");
    let mut edit = Edit::new(&service).await;
    assert_eq!(edit.apply(&[("text:rules.toml", &new)]).await.status, StatusCode::SEE_OTHER);
    let page = edit.client.page("/health").await;
    assert!(page.contains("<td>ed</td>"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn a_list_that_is_not_utf_8_is_named_and_closes_nothing_else() {
    let service = editable().await;
    let latin_1 = b"number,city\n+12137770000,M\xfcnchen\n";
    std::fs::write(service.folder.path().join("vip.csv"), latin_1).unwrap();
    let mut edit = Edit::new(&service).await;
    let page = edit.client.page("/change").await;
    assert!(page.contains("This file is not UTF-8; save it as UTF-8."), "{page}");
    assert!(page.contains("vip.csv is not UTF-8, so the current files cannot be kept"), "{page}");
    assert!(page.contains("name=\"text:rules.toml\"") && !page.contains("name=\"text:vip.csv\""));
    assert!(edit.client.page("/change/versions").await.contains("live since"));
    let answer = edit.client.get("/change/file?file=vip.csv").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &latin_1[..]), "as it is on disk");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let answer = edit.client.get("/change/list?file=vip.csv").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    let new = RULES.replace("agent_1", "agent_2");
    let fields = [("text:rules.toml", &*new)];
    let checked = edit.send("/change/check", &fields).await;
    let page = text(&checked);
    assert_eq!(checked.status, StatusCode::OK, "{page}");
    assert!(page.contains("No errors") && page.contains("Download rules.toml"), "{page}");
    let sent = edit.send("/change/download", &[fields[0], ("download", "rules.toml")]).await;
    assert_eq!(text(&sent), new);
    service.stop().await;
}

#[tokio::test]
async fn a_table_with_many_lists_has_room_in_a_form() {
    const LISTS: usize = 18;
    let mut rules = RULES.replace("vip.file = \"vip.csv\"", "vip.numbers = [\"+12135550000\"]");
    let note = "n".repeat(200);
    let rows: String = (2_000_000..2_002_100).map(|row| format!("+1213{row},{note}\n")).collect();
    let mut files = Vec::new();
    for number in 0..LISTS {
        rules = format!("lists.l{number}.file = \"l{number}.csv\"\n{rules}");
        files.push((format!("l{number}.csv"), format!("number,note\n{rows}")));
    }
    let mut all = vec![("rules.toml", rules.as_str())];
    all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let service = service_with("edit = true", "memory:", &all).await;
    let mut edit = Edit::new(&service).await;
    let page = edit.client.page("/change").await;
    assert!(page.contains("name=\"text:rules.toml\""), "rules come first");
    let shown = page.matches("name=\"text:l").count();
    assert!((1..LISTS).contains(&shown), "{shown}");
    assert_eq!(page.matches("is too large for a page").count(), LISTS - shown);
    // As a browser without scripts sends it: everything that is on the page.
    let names: Vec<String> = files.iter().map(|(name, _)| format!("text:{name}")).collect();
    let new = rules.replace("agent_1", "agent_2");
    let mut fields = vec![("text:rules.toml", new.as_str())];
    for (name, (_, content)) in names.iter().zip(&files) {
        if page.contains(&format!("name=\"{name}\"")) {
            fields.push((name, content));
        }
    }
    let checked = edit.send("/change/check", &fields).await;
    assert_eq!(checked.status, StatusCode::OK);
    assert!(text(&checked).contains("Changes of rules.toml"));
    service.stop().await;
}

#[tokio::test]
async fn a_file_of_dates_is_no_grid() {
    let rules = format!("{RULES}\n[dates.closed]\nfile = \"closed.csv\"\n");
    let files = [("rules.toml", &*rules), ("vip.csv", LIST), ("closed.csv", "2026-12-25\n")];
    let service = service_with("edit = true", "memory:", &files).await;
    let mut edit = Edit::new(&service).await;
    let page = edit.client.page("/change").await;
    assert!(page.contains("/change/list?file=vip.csv"), "{page}");
    assert!(!page.contains("/change/list?file=closed.csv"), "its first line is a date: {page}");
    let answer = edit.client.get("/change/list?file=closed.csv").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let new = [("text:closed.csv", "2026-12-25\n2026-12-26\n")];
    assert_eq!(edit.apply(&new).await.status, StatusCode::SEE_OTHER, "as text it is edited");
    service.stop().await;
}

#[tokio::test]
async fn mistakes_and_failing_tests_are_shown_at_their_lines_and_never_applied() {
    let service = editable().await;
    let mut edit = Edit::new(&service).await;
    let test = "\n[[test]]\nname = \"a\"\nfrom = \"+13125550199\"\nexpect = { agent = \"vip\" }\n";
    for (broken, code, line) in [
        (RULES.replace("@vip", "@wip"), "unknown-list", 5),
        (RULES.replace("agent = \"agent_1\"", "agent = \"agent_1"), "syntax", 10),
        (format!("{RULES}{test}"), "failing-test", 13),
    ] {
        let texts = [("text:rules.toml", broken.as_str())];
        let found = edit.send("/change/lint", &texts).await;
        assert_eq!(found.status, StatusCode::OK);
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        let mistake = &found["mistakes"][0];
        assert_eq!((&mistake["code"], &mistake["line"]), (&code.into(), &line.into()), "{found:#}");
        assert_eq!(mistake["file"], "rules.toml");
        assert!(found["errors"].as_u64().unwrap() > 0);
        let checked = edit.send("/change/check", &texts).await;
        let page = text(&checked);
        assert_eq!(checked.status, StatusCode::OK);
        assert!(page.contains(&format!("rules.toml:{line}")), "{page}");
        assert!(!page.contains("formaction=\"/change/apply\""), "{page}");
        let hash = field(&page, "checked");
        let applied = edit.send("/change/apply", &[texts[0], ("checked", &hash)]).await;
        assert_eq!(applied.status, StatusCode::UNPROCESSABLE_ENTITY, "{code}");
    }
    let right = edit.send("/change/lint", &[("text:rules.toml", RULES)]).await;
    let right: Value = serde_json::from_slice(&right.body).unwrap();
    assert_eq!((&right["errors"], &right["is_current"]), (&0.into(), &true.into()), "{right}");
    assert!(right["names"]["lists"].as_array().unwrap().contains(&"vip".into()), "{right}");
    assert_eq!(file(&service, "rules.toml"), RULES);
    service.stop().await;
}

#[tokio::test]
async fn the_second_of_two_editors_gets_a_conflict_and_loses_nothing() {
    let service = editable().await;
    let mut first = Edit::new(&service).await;
    let mut second = Edit::new(&service).await;
    let (mine, yours) = (RULES.replace("agent_1", "agent_2"), RULES.replace("agent_1", "agent_3"));
    let checked = second.send("/change/check", &[("text:rules.toml", &yours)]).await;
    let checked = field(&text(&checked), "checked");
    let applied = first.apply(&[("text:rules.toml", &mine)]).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER);
    for path in ["/change/check", "/change/apply"] {
        let fields = [("text:rules.toml", &*yours), ("checked", &checked)];
        let answer = second.send(path, &fields).await;
        let page = text(&answer);
        assert_eq!(answer.status, StatusCode::CONFLICT, "{page}");
        assert!(page.contains("ed changed the rules at"), "{page}");
        assert!(page.contains("agent_2") && page.contains("agent_3"), "the difference: {page}");
        assert_ne!(field(&page, "version"), second.version, "a check now goes on from here");
    }
    let found = second.send("/change/lint", &[("text:rules.toml", &yours)]).await;
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["is_current"], false);
    assert_eq!(file(&service, "rules.toml"), mine);
    let page = second.client.page("/change").await;
    second.version = field(&page, "version");
    let applied = second.apply(&[("text:rules.toml", &yours)]).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER);
    service.stop().await;
}

#[tokio::test]
async fn a_text_that_was_not_edited_undoes_nothing() {
    let service = editable().await;
    let mut first = Edit::new(&service).await;
    let mut second = Edit::new(&service).await;
    let page = second.client.page("/change").await;
    let list = file(&service, "vip.csv");
    let applied = first.apply(&[("text:vip.csv", &format!("{list}+13125550188,x\n"))]).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER);
    let new_list = file(&service, "vip.csv");
    // A form sends the texts of all files, also of those that nobody has touched.
    let rules = RULES.replace("agent_1", "agent_2");
    let sent = field(&page, "sent:vip.csv");
    let old = list.replace('\n', "\r\n");
    second.version = field(&second.client.page("/change").await, "version");
    let fields = [("text:rules.toml", &*rules), ("text:vip.csv", &*old), ("sent:vip.csv", &*sent)];
    assert_eq!(second.apply(&fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(file(&service, "vip.csv"), new_list);
    assert_eq!(file(&service, "rules.toml"), rules);
    service.stop().await;
}

#[tokio::test]
async fn files_outside_of_the_rules_are_neither_written_nor_sent() {
    let service = editable().await;
    std::fs::write(service.folder.path().join("secret.txt"), "secret").unwrap();
    let mut edit = Edit::new(&service).await;
    for name in ["../x.toml", "/etc/passwd", "secret.txt", "new.toml", "vip.csv/x"] {
        let fields = [(&*format!("text:{name}"), "x")];
        for path in ["/change/check", "/change/lint", "/change/apply"] {
            let answer = edit.send(path, &fields).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {name}");
        }
        let query = encoded(&[("file", name)]);
        for path in ["/change/file", "/change/list"] {
            let answer = edit.client.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} {name}");
        }
        let added = edit.send("/change/check", &[("new_name", name), ("new_text", "x")]).await;
        assert_eq!(added.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        let asked = edit.send("/change/download", &[("download", name)]).await;
        assert_eq!(asked.status, StatusCode::NOT_FOUND, "{name}");
    }
    let removed = edit.send("/change/check", &[("remove", "rules.toml")]).await;
    assert_eq!(removed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(std::fs::read_dir(service.folder.path()).unwrap().count(), 3);
    service.stop().await;
}

#[tokio::test]
async fn where_nothing_can_be_applied_the_files_are_downloaded() {
    for (more, records, reason) in [
        ("edit = false", "memory:", "edit = false"),
        ("edit = true", "off", "is \"off\""),
        ("edit = true", "memory:\"\nnumbers = \"masked", "is \"masked\""),
    ] {
        let service = service(more, records).await;
        let mut edit = Edit::new(&service).await;
        let new = RULES.replace("agent_1", "agent_2");
        let fields = [("text:rules.toml", &*new)];
        let checked = edit.send("/change/check", &fields).await;
        let page = text(&checked).replace("&#34;", "\"").replace("&quot;", "\"");
        assert_eq!(checked.status, StatusCode::OK, "{page}");
        assert!(page.contains(reason) && page.contains("Download rules.toml"), "{page}");
        assert!(!page.contains("/change/apply"), "{page}");
        let hash = field(&page, "checked");
        let applied = edit.send("/change/apply", &[fields[0], ("checked", &hash)]).await;
        assert_eq!(applied.status, StatusCode::SERVICE_UNAVAILABLE, "{reason}");
        assert_eq!(file(&service, "rules.toml"), RULES);
        let sent = edit.send("/change/download", &[fields[0], ("download", "rules.toml")]).await;
        assert_eq!((sent.status, text(&sent)), (StatusCode::OK, new.clone()));
        let disposition = sent.headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition, "attachment; filename=\"rules.toml\"");
        service.stop().await;
    }
}

#[tokio::test]
async fn a_list_is_edited_as_a_grid() {
    let service = editable().await;
    let mut edit = Edit::new(&service).await;
    let page = edit.client.page("/change/list?file=vip.csv").await;
    assert!(
        page.contains("value=\"a, b\"") && page.contains("aria-label=\"note, row 2\""),
        "{page}"
    );
    let rows = [
        ("file", "vip.csv"),
        ("row", "0"),
        ("cell", "+12137770000"),
        ("cell", "a, b"),
        ("row", "1"),
        ("cell", "+12137770001"),
        ("cell", "x"),
        ("drop", "on"),
        ("row", ""),
        ("cell", "+12137770002"),
        ("cell", "says \"hi\""),
        ("row", ""),
        ("cell", ""),
        ("cell", " "),
    ];
    let more = edit.send("/change/list", &[&rows[..], &[("add_rows", "1")]].concat()).await;
    assert_eq!(more.status, StatusCode::OK);
    assert!(
        text(&more).contains("row 8"),
        "two rows of the file, two new ones, and five empty ones less one"
    );
    let checked = edit.send("/change/list", &rows).await;
    let page = text(&checked);
    assert_eq!(checked.status, StatusCode::OK, "{page}");
    assert!(page.contains("Changes of vip.csv"), "{page}");
    let expected = "number,note\n+12137770000,\"a, b\"\n+12137770002,\"says \"\"hi\"\"\"\n";
    let fields = [("text:vip.csv", expected), ("checked", &*field(&page, "checked"))];
    let applied = edit.send("/change/apply", &fields).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER, "{}", text(&applied));
    assert_eq!(file(&service, "vip.csv"), expected);
    service.stop().await;
}

#[tokio::test]
async fn a_folder_gains_and_loses_files() {
    let single = editable().await;
    let page = Edit::new(&single).await.client.page("/change").await;
    assert!(!page.contains("Add a file"), "a single file has no folder");
    single.stop().await;

    let more = "[[rule]]\nname = \"more\"\nchannel = \"sms\"\nagent = \"texts\"\n";
    let files =
        [("rules/50-rules.toml", RULES), ("rules/vip.csv", LIST), ("rules/40-more.toml", more)];
    let service = service_at("edit = true", "memory:", "rules", &files).await;
    let before = service.app.table().fingerprint.clone();
    let mut edit = Edit::new(&service).await;
    let new = more.replace("more", "new");
    let taken = [("new_name", "50-rules.toml"), ("new_text", &*new)];
    let taken = edit.send("/change/check", &taken).await;
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&taken).contains("has a file of this name already"));
    let fields = [("remove", "40-more.toml"), ("new_name", "10-new.toml"), ("new_text", &*new)];
    let applied = edit.apply(&fields).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER, "{}", text(&applied));
    let mut names: Vec<_> = std::fs::read_dir(service.folder.path().join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["10-new.toml", "50-rules.toml", "vip.csv"]);

    // What was typed for a file that someone has removed is not lost.
    let version = std::mem::take(&mut edit.version);
    let fields = [("version", &*version), ("text:40-more.toml", "# mine")];
    let lost = edit.send("/change/check", &fields).await;
    assert_eq!(lost.status, StatusCode::CONFLICT);
    assert!(text(&lost).contains("# mine"));

    let path = format!("/change/versions/{before}");
    let checked = text(&edit.client.submit_with_token(&path, "").await);
    assert!(checked.contains("Changes of 40-more.toml"), "{checked}");
    let fields = encoded(&[("checked", &field(&checked, "checked"))]);
    let restored = edit.client.submit_with_token(&format!("{path}/restore"), &fields).await;
    assert_eq!(restored.status, StatusCode::SEE_OTHER, "{}", text(&restored));
    assert_eq!(file(&service, "rules/40-more.toml"), more);
    assert_eq!(service.app.table().fingerprint, before);
    service.stop().await;
}

#[tokio::test]
async fn a_version_that_was_not_stored_is_live_since_its_table_was_loaded() {
    let service = editable().await;
    let store = service.app.recorder().store().unwrap();
    let fingerprint = service.app.table().fingerprint.clone();
    let is_stored = async || store.rule_snapshot(&fingerprint).await.unwrap().is_some();
    assert!(until_async(is_stored).await);
    let later = service.app.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    // The newest version is never deleted.
    let files = store.rule_snapshot(&fingerprint).await.unwrap().unwrap().files;
    let newest = RuleSnapshot { fingerprint: "newest".to_owned(), at: later, files };
    store.import(&[TransferLine::Rules(newest.into())]).await.unwrap();
    store.delete_expired(later).await.unwrap();
    assert!(!is_stored().await);
    let loaded_at = service.app.live_table().table_and_status().1.loaded_at;
    let edited = format!("# new\n{RULES}");
    let applied = Edit::new(&service).await.apply(&[("text:rules.toml", &edited)]).await;
    assert_eq!(applied.status, StatusCode::SEE_OTHER);
    let version = store.rule_snapshot(&fingerprint).await.unwrap().expect("it is stored now");
    assert_eq!(version.at.as_millisecond(), loaded_at.as_millisecond());
    service.stop().await;
}
