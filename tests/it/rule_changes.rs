//! Changes of the rule files by people: plans, checks of edited texts, replays, and versions in the records.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use switchboard::domain::secret::Secret;
use switchboard::records::{
    Filter, NumberPolicy, NumberTraces, Order, RuleAction, Store, TransferLine,
};
use switchboard::replay::Replay;
use switchboard::rule_changes::{
    Author, CarryOutError, ChangePlan, Edit, EditProblem, NotKept, ReplayLimits, RuleFileKind,
    RuleFiles, Stopped, Versions, carry_out, check, check_writable, replay_calls,
};
use switchboard::rules::{CheckContext, LoadedTable, NotHeldReason};
use switchboard::settings::{NumberStorage, RecordsLocation};
use tempfile::TempDir;

use crate::support::postgres::Postgres;

const RULES: &str = "lists.vip.file = \"vip.csv\"\n\n[[rule]]\nname = \"vip\"\nfrom = \"@vip\"\n\
                     agent = \"vip\"\n\n[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const LIST: &str = "number\n+12137770000\n";

/// A folder of rules with one TOML file and a list.
struct Folder {
    folder: TempDir,
    rules: PathBuf,
}

impl Folder {
    fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).unwrap();
        fs::write(rules.join("50-rules.toml"), RULES).unwrap();
        fs::write(rules.join("vip.csv"), LIST).unwrap();
        Folder { folder, rules }
    }

    fn files(&self) -> RuleFiles {
        RuleFiles::read(&self.rules, &CheckContext::default()).unwrap()
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.rules.join(name)).ok()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.rules).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn edit(texts: &[(&str, Option<&str>)]) -> Edit {
    let mut edit = Edit::default();
    for (name, text) in texts {
        match text {
            Some(text) => edit.set((*name).to_owned(), (*text).to_owned()),
            None => edit.remove((*name).to_owned()),
        }
    }
    edit
}

fn plan(files: &RuleFiles, texts: &[(&str, Option<&str>)]) -> ChangePlan {
    ChangePlan::of_edit(files, &edit(texts)).unwrap()
}

#[test]
fn the_files_of_a_table_are_named_by_their_form() {
    let folder = Folder::new();
    fs::write(folder.folder.path().join("far.csv"), LIST).unwrap();
    let more = "lists.far.file = \"../far.csv\"\n";
    fs::write(folder.rules.join("10-more.toml"), more).unwrap();
    let files = folder.files();
    let found = files.files();
    let found: Vec<_> = found.iter().map(|file| (file.name.as_str(), file.kind)).collect();
    let expected = [
        ("10-more.toml", RuleFileKind::Rules),
        ("50-rules.toml", RuleFileKind::Rules),
        ("../far.csv", RuleFileKind::Outside),
        ("vip.csv", RuleFileKind::List),
    ];
    assert_eq!(found, expected);
    assert_eq!(files.find("vip.csv").unwrap().text, LIST);
    check_writable(&files).unwrap();
}

#[test]
fn a_plan_refuses_files_that_the_table_does_not_have() {
    let folder = Folder::new();
    fs::write(folder.folder.path().join("far.csv"), LIST).unwrap();
    fs::write(folder.rules.join("60-far.toml"), "lists.far.file = \"../far.csv\"\n").unwrap();
    fs::write(folder.rules.join("unused.csv"), LIST).unwrap();
    let files = folder.files();
    let problem =
        |name: &str, text| ChangePlan::of_edit(&files, &edit(&[(name, text)])).unwrap_err();
    for (name, expected) in [
        ("../far.csv", EditProblem::Outside),
        ("../other.toml", EditProblem::Name),
        ("/etc/passwd", EditProblem::Name),
        ("below/x.toml", EditProblem::Name),
        ("..", EditProblem::Name),
        ("", EditProblem::Name),
        (".hidden.toml", EditProblem::Name),
        ("x.sh", EditProblem::Name),
        ("x\\y.csv", EditProblem::Name),
        ("x\n.csv", EditProblem::Name),
        ("x.live.csv", EditProblem::Name),
        ("unused.csv", EditProblem::Exists),
    ] {
        let error = problem(name, Some("x"));
        assert_eq!((error.file.as_str(), error.problem), (name, expected));
    }
    assert_eq!(problem("vip.csv", None).problem, EditProblem::Removal);
    assert_eq!(problem("nowhere.toml", None).problem, EditProblem::Unknown);
    let all = edit(&[("50-rules.toml", None), ("60-far.toml", None)]);
    assert_eq!(ChangePlan::of_edit(&files, &all).unwrap_err().problem, EditProblem::Removal);

    let single = folder.rules.join("50-rules.toml");
    let single = RuleFiles::read(&single, &CheckContext::default()).unwrap();
    let added = ChangePlan::of_edit(&single, &edit(&[("new.toml", Some(""))])).unwrap_err();
    assert_eq!(added.problem, EditProblem::Unknown);
    assert!(plan(&single, &[("vip.csv", Some(LIST))]).is_empty(), "nothing has changed");
}

#[test]
fn a_plan_is_checked_without_writing_and_then_written() {
    let folder = Folder::new();
    let files = folder.files();
    let list = "number\n+12137770000\n+12137770001\n";
    let more = "[[rule]]\nname = \"sms\"\nchannel = \"sms\"\nagent = \"texts\"\n";
    let edited = RULES.replace("agent_1", "agent_2");
    let texts =
        [("50-rules.toml", Some(&*edited)), ("vip.csv", Some(list)), ("10-sms.toml", Some(more))];
    let plan = plan(&files, &texts);
    let checked = check(&files, &plan, &CheckContext::default()).unwrap();
    let table = checked.table.unwrap_or_else(|| panic!("{:?}", checked.mistakes));
    assert_eq!(&*table.rules[0].name, "sms");
    assert_eq!(folder.text("vip.csv").as_deref(), Some(LIST), "nothing was written");

    let mode =
        |name: &str| fs::metadata(folder.rules.join(name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(folder.rules.join("vip.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    plan.write().unwrap();
    assert_eq!(folder.text("vip.csv").as_deref(), Some(list));
    assert_eq!(mode("vip.csv"), 0o640);
    assert_eq!(folder.names(), ["10-sms.toml", "50-rules.toml", "vip.csv"]);
    assert_eq!(folder.files().fingerprint(), table.fingerprint);

    // A link stays a link.
    let elsewhere = folder.folder.path().join("elsewhere.csv");
    fs::rename(folder.rules.join("vip.csv"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.rules.join("vip.csv")).unwrap();
    let files = folder.files();
    self::plan(&files, &[("vip.csv", Some(LIST))]).write().unwrap();
    assert!(folder.rules.join("vip.csv").is_symlink());
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), LIST);
}

#[test]
fn mistakes_have_their_places_in_the_edited_texts() {
    let folder = Folder::new();
    let files = folder.files();
    let test =
        "\n[[test]]\nname = \"a test\"\nfrom = \"+12137771234\"\nexpect = { agent = \"x\" }\n";
    let broken = RULES.replace("\"@vip\"", "\"@wip\"");
    let failing = format!("{RULES}{test}");
    let syntax = RULES.replace("\"vip\"\nfrom", "\"vip\nfrom");
    let mistakes = |text: &str| {
        let plan = plan(&files, &[("50-rules.toml", Some(text))]);
        let checked = check(&files, &plan, &CheckContext::default()).unwrap();
        assert!(checked.table.is_none() && checked.errors > 0);
        serde_json::to_value(&checked.mistakes).unwrap()
    };
    let broken = mistakes(&broken);
    assert_eq!(broken[0]["code"], "unknown-list", "{broken:#}");
    assert_eq!(broken[0]["file"], "50-rules.toml");
    assert_eq!((&broken[0]["line"], &broken[0]["column"]), (&5.into(), &8.into()), "{broken:#}");
    assert_eq!(broken[0]["end_line"], 5);
    assert!(broken[0]["end_column"].as_u64().unwrap() > 8);
    let failing = mistakes(&failing);
    assert_eq!(failing[0]["code"], "failing-test", "{failing:#}");
    assert_eq!(mistakes(&syntax)[0]["line"], 4);
}

#[test]
fn an_error_while_writing_leaves_every_file_as_it_was() {
    let folder = Folder::new();
    let files = folder.files();
    let plan = plan(&files, &[("50-rules.toml", Some("# new\n")), ("vip.csv", Some("number\n"))]);
    // The second file cannot be staged.
    fs::create_dir(folder.rules.join(".vip.csv.new")).unwrap();
    let error = plan.write().unwrap_err().to_string();
    assert!(error.contains("cannot write"), "{error}");
    assert_eq!(folder.text("50-rules.toml").as_deref(), Some(RULES));
    assert_eq!(folder.names(), [".vip.csv.new", "50-rules.toml", "vip.csv"]);

    // The second file cannot be replaced: a folder has taken its place.
    fs::remove_dir(folder.rules.join(".vip.csv.new")).unwrap();
    let snapshot = files.snapshot().unwrap().clone();
    fs::remove_file(folder.rules.join("vip.csv")).unwrap();
    fs::write(folder.rules.join("50-rules.toml"), "# edited\n").unwrap();
    let plan = ChangePlan::of_version(&folder.rules, &snapshot).unwrap();
    fs::create_dir_all(folder.rules.join("vip.csv/below")).unwrap();
    plan.write().unwrap_err();
    assert_eq!(folder.text("50-rules.toml").as_deref(), Some("# edited\n"));
    assert_eq!(folder.names(), ["50-rules.toml", "vip.csv"]);
}

fn author(note: &str, at: &str) -> Author {
    Author { who: "alice".to_owned(), note: note.to_owned(), at: at.parse().unwrap() }
}

/// Opens a store of each kind.
async fn stores(folder: &Path) -> Vec<Store> {
    let mut locations =
        vec![RecordsLocation::Memory, RecordsLocation::Sqlite(folder.join("records.db"))];
    if let Some(postgres) = Postgres::shared() {
        locations.push(RecordsLocation::Postgres(Secret::new(postgres.fresh())));
    }
    let mut stores = Vec::new();
    for location in &locations {
        stores.push(Store::open(location).await.unwrap());
    }
    stores
}

#[tokio::test]
async fn a_change_keeps_the_version_before_and_who_made_it() {
    let stores_folder = tempfile::tempdir().unwrap();
    let full = NumberPolicy::new(NumberStorage::Full);
    for store in stores(stores_folder.path()).await {
        let folder = Folder::new();
        let versions = Versions::new(&store, &full);
        let files = folder.files();
        let old = files.fingerprint().to_owned();
        let plan = plan(&files, &[("50-rules.toml", Some(&RULES.replace("agent_1", "agent_2")))]);
        let table = check(&files, &plan, &CheckContext::default()).unwrap().table.unwrap();
        let note = "for\n+1 213 777 1234";
        let by = author(note, "2026-11-27T10:00:00Z");
        let stale = (files.clone(), plan.clone());
        let change =
            carry_out(files, plan, &table.fingerprint, RuleAction::Apply, by, versions).await;
        let change = change.unwrap();
        assert!(folder.text("50-rules.toml").unwrap().contains("agent_2"));
        assert_eq!(store.rule_changes().await.unwrap(), std::slice::from_ref(&change));
        assert_eq!((&*change.who, &*change.note), ("alice", "for +1 213 777 1234"));
        assert_eq!(change.old_fingerprint, old);
        let kept = store.rule_snapshot(&old).await.unwrap().unwrap();
        assert!(kept.files.text(&folder.rules.join("50-rules.toml")).unwrap().contains("agent_1"));

        // An edit of the version before is a conflict, which writes nothing.
        let (files, plan) = stale;
        let by = author("", "2026-11-27T10:01:00Z");
        let again = carry_out(files, plan, "x", RuleAction::Apply, by, versions).await;
        assert!(matches!(again, Err(CarryOutError::Conflict)));
        assert_eq!(store.rule_changes().await.unwrap().len(), 1);

        // Back to it.
        let files = folder.files();
        let plan = ChangePlan::of_version(&folder.rules, &kept.files).unwrap();
        assert_eq!(plan.outside(&files), None);
        let by = author("", "2026-11-27T10:02:00Z");
        carry_out(files, plan, &old, RuleAction::Restore, by, versions).await.unwrap();
        assert_eq!(folder.text("50-rules.toml").as_deref(), Some(RULES));
        let changes = store.rule_changes().await.unwrap();
        assert_eq!(changes[0].action, RuleAction::Restore, "the newest first");
        let tables = store.rule_tables().await.unwrap();
        let restored = tables.iter().find(|table| table.fingerprint == old).unwrap();
        assert_eq!((restored.change(), restored.changes.len()), (Some(&changes[0]), 1));
        // Both were stored because they were replaced; no service is known to have used them.
        assert!(tables.iter().all(|table| table.snapshot.is_some() && table.live_since.is_none()));

        // An export has the change; a second store takes it once.
        let line = TransferLine::Change(change.clone().into()).to_json();
        let parsed = TransferLine::parse(line.as_bytes()).unwrap();
        assert_eq!(parsed, TransferLine::Change(change.clone().into()));
        let other = Store::open(&RecordsLocation::Memory).await.unwrap();
        for stored in [1, 0] {
            let lines = std::slice::from_ref(&parsed);
            assert_eq!(other.import(lines).await.unwrap().changes, stored);
        }

        // Erasing a number removes it from notes.
        let number = switchboard::domain::party::Party::parse(Some("+12137771234")).party;
        let traces = NumberTraces::new(&number, &full).unwrap();
        let found = store.find_number(&traces).await.unwrap();
        assert_eq!((found.changes(), found.total()), (1, 1));
        store.erase(&found, &traces).await.unwrap();
        assert_eq!(store.rule_changes().await.unwrap()[1].note, "for (erased)");

        // Versions stay as long as a change that names them.
        let day = |text: &str| text.parse::<Timestamp>().unwrap();
        store.delete_expired(day("2026-11-27T10:01:00Z")).await.unwrap();
        assert_eq!(store.rule_changes().await.unwrap().len(), 1);
        assert!(store.rule_snapshot(&old).await.unwrap().is_some());
        store.delete_expired(day("2026-11-28T00:00:00Z")).await.unwrap();
        assert!(store.rule_changes().await.unwrap().is_empty());
        store.close().await;
        other.close().await;
    }
}

#[tokio::test]
async fn nothing_is_written_unless_the_version_before_can_be_kept() {
    let store = Store::open(&RecordsLocation::Memory).await.unwrap();
    let [full, masked] = [NumberStorage::Full, NumberStorage::Masked].map(NumberPolicy::new);
    let folder = Folder::new();
    let files = folder.files();
    let change = plan(&files, &[("vip.csv", Some("number\n"))]);
    let attempt = async |files: RuleFiles, numbers: &NumberPolicy| {
        let versions = Versions::new(&store, numbers);
        let by = author("", "2026-11-27T10:00:00Z");
        carry_out(files, change.clone(), "x", RuleAction::Apply, by, versions).await.unwrap_err()
    };
    let refused = attempt(files, &masked).await;
    assert!(matches!(refused, CarryOutError::NotKept(NotKept::Numbers("masked"))), "{refused}");
    let large = format!("{LIST}# {}\n", "x".repeat(1 << 20));
    fs::write(folder.rules.join("vip.csv"), &large).unwrap();
    let refused = attempt(folder.files(), &full).await;
    assert!(matches!(refused, CarryOutError::NotKept(NotKept::TooLarge)), "{refused}");
    assert_eq!(folder.text("vip.csv"), Some(large));

    // A change that cannot be written is not listed.
    fs::write(folder.rules.join("vip.csv"), LIST).unwrap();
    fs::create_dir(folder.rules.join(".vip.csv.new")).unwrap();
    let refused = attempt(folder.files(), &full).await;
    assert!(matches!(refused, CarryOutError::Write(_)), "{refused}");
    assert!(store.rule_changes().await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_file_whose_text_is_not_held_leaves_the_others_as_they_are() {
    let store = Store::open(&RecordsLocation::Memory).await.unwrap();
    let full = NumberPolicy::new(NumberStorage::Full);
    let latin_1 = [b"number,city\n+12137770000,M".as_slice(), b"\xfcnchen\n"].concat();
    let large = (0..50).map(|row| format!("+1213777{row:04},{}\n", "x".repeat(700 << 10)));
    let large = format!("number,note\n{}", large.collect::<String>()).into_bytes();
    for (content, reason, rows) in
        [(latin_1, NotHeldReason::NotUtf8, 1), (large, NotHeldReason::TooLarge, 50)]
    {
        let folder = Folder::new();
        fs::write(folder.rules.join("vip.csv"), &content).unwrap();
        let files = folder.files();
        let list = files.find("vip.csv").unwrap();
        assert_eq!(list.kind, RuleFileKind::NotHeld(reason));
        assert_eq!((list.text, list.bytes), ("", content.len() as u64));
        let rules = files.find("50-rules.toml").unwrap();
        assert_eq!((rules.text, rules.kind), (RULES, RuleFileKind::Rules));
        assert_eq!(files.snapshot(), Err(("vip.csv".to_owned(), reason)));
        assert!(!files.texts().contains_key("vip.csv"), "nothing is compared with it");

        // An edit of another file is checked with the whole table.
        let edited = RULES.replace("agent_1", "agent_2");
        let change = plan(&files, &[("50-rules.toml", Some(&edited))]);
        let checked = check(&files, &change, &CheckContext::default()).unwrap();
        assert_eq!(checked.table.unwrap().lists.all()[0].rows, rows, "{:?}", checked.mistakes);
        let of_list = ChangePlan::of_edit(&files, &edit(&[("vip.csv", Some(LIST))])).unwrap_err();
        assert_eq!(of_list.problem, EditProblem::NotHeld(reason));

        // There is no way back, so nothing is written, and no part is stored as if it were the table.
        let by = author("", "2026-11-27T10:00:00Z");
        let versions = Versions::new(&store, &full);
        let done = carry_out(files.clone(), change, "x", RuleAction::Apply, by, versions).await;
        let refused = done.unwrap_err();
        assert!(matches!(refused, CarryOutError::NotKept(NotKept::NotHeld { .. })), "{refused}");
        assert!(refused.to_string().starts_with("vip.csv "), "{refused}");
        assert!(store.stored_versions().await.unwrap().is_empty());
        let loaded = switchboard::rules::load(&folder.rules, &CheckContext::default(), &mut |_| {});
        assert_eq!(loaded.unwrap().snapshot, None);

        // A change of the file is noticed.
        assert!(!files.have_changed().unwrap());
        fs::write(folder.rules.join("vip.csv"), [&content[..], b"\n"].concat()).unwrap();
        assert!(files.have_changed().unwrap());
    }
    store.close().await;
}

#[test]
fn a_list_in_utf_16_is_edited_like_any_other() {
    let folder = Folder::new();
    let text = format!("\u{feff}{LIST}");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.rules.join("vip.csv"), bytes).unwrap();
    let files = folder.files();
    assert_eq!(files.find("vip.csv").unwrap().text.trim_start_matches('\u{feff}'), LIST);
    assert!(!files.have_changed().unwrap());
    let longer = format!("{LIST}+12137770009\n");
    let change = plan(&files, &[("vip.csv", Some(&longer))]);
    let checked = check(&files, &change, &CheckContext::default()).unwrap();
    assert_eq!(checked.table.unwrap().lists.all()[0].rows, 2, "{:?}", checked.mistakes);
}

#[tokio::test]
async fn a_replay_stops_at_its_limits_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let table = |agent: &str| {
        let text = format!("[[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n");
        let loaded: LoadedTable =
            switchboard::rules::parse("r.toml", text, &CheckContext::default());
        loaded.table.unwrap()
    };
    let (old, new) = (table("agent_1"), table("agent_2"));
    crate::replay::record_some(&file, &old, 50).await;
    let store = Store::open_to_read(&RecordsLocation::Sqlite(file)).await.unwrap();
    let all = Filter::default();
    let replay = async |limits: ReplayLimits| {
        let sources = vec![("retell", switchboard::dialect::by_name("retell").unwrap().platform())];
        let mut replay = Replay::of_sources(&new, sources, 2);
        let newest = Order::NewestFirst;
        let done = replay_calls(&store, &all, newest, limits, &mut replay, &mut |_, _| {}).await;
        (done.unwrap(), replay.summary())
    };
    let (done, summary) = replay(ReplayLimits::default()).await;
    assert_eq!((done.recorded, done.read, done.stopped), (50, 50, None));
    assert_eq!((summary.replayed, summary.unchanged, summary.changed()), (50, 0, 50));
    let group = &summary.rerouted[0];
    assert_eq!(
        (group.calls, &*group.old.destination, &*group.new.destination),
        (50, "agent agent_1", "agent agent_2")
    );
    assert_eq!((group.old.outcome, group.new.rule.as_deref()), ("agent", Some("everyone")));
    assert_eq!(group.examples.len(), 2);
    assert!(group.examples[0].at > group.examples[1].at, "the newest first");
    assert!(group.examples[0].from.contains("***"), "masked");

    let (done, summary) = replay(ReplayLimits { calls: Some(20), time: None }).await;
    assert_eq!((done.read, done.stopped, summary.replayed), (20, Some(Stopped::Calls), 20));
    let (done, _) = replay(ReplayLimits { calls: Some(50), time: None }).await;
    assert_eq!(done.stopped, None);
    let (done, _) = replay(ReplayLimits { calls: None, time: Some(Duration::ZERO) }).await;
    assert_eq!((done.read, done.stopped), (0, Some(Stopped::Time)));
    store.close().await;
}
