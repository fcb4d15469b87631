//! `records forget`: the number leaves the copies of rules and lists that the service keeps on disk.

use std::path::PathBuf;

use jiff::Timestamp;
use switchboard::reload::{self, LastGood, SavedTable};
use switchboard::rules::CheckContext;

use super::*;

const RULES_WITH_LIVE_LIST: &str = r#"
[lists.vip]
url = "https://crm.example.com/vip.csv"
[lists.blocked]
file = "blocked.csv"
[[rule]]
name = "boss"
from = ["+4930901820", "+12135550100"]
agent = "agent_boss"
[[rule]]
name = "vip"
from = "@vip"
agent = "agent_vip"
[[rule]]
name = "blocked callers"
from = "@blocked"
reject = "blocklist"
[[rule]]
name = "everyone"
agent = "agent_all"
[[test]]
name = "a person of the list"
from = "+4930901820"
to = "+12137771235"
expect = { agent = "agent_boss" }
[[test]]
name = "the same person on a list"
from = "+49 30 901820"
to = "+12137771236"
expect = { agent = "agent_boss" }
"#;

/// Writes rules with the number, and the copies that a service keeps of them.
fn write_copies(folder: &Path) -> (LastGood, CheckContext) {
    let lists_dir = folder.join("r.db.lists");
    std::fs::create_dir(&lists_dir).unwrap();
    std::fs::write(folder.join("rules.toml"), RULES_WITH_LIVE_LIST).unwrap();
    std::fs::write(folder.join("blocked.csv"), "number\n+19005550100\n+49-30-901820\n").unwrap();
    let list = "number;name\n+12135550101;Ann\n\"+49 (30) 90-18-20\";Boss\n+12135550102;Bob\n";
    std::fs::write(lists_dir.join("vip.live.csv"), list).unwrap();
    std::fs::write(lists_dir.join("vip.live.json"), "{}").unwrap();
    // What a crash leaves.
    std::fs::write(lists_dir.join("vip.live.csv.new"), "number\n+4930901820\n").unwrap();
    std::fs::write(lists_dir.join("mine.txt"), "of somebody else\n").unwrap();
    let context = CheckContext { lists_dir: Some(lists_dir), ..CheckContext::default() };
    let last_good = LastGood::new(folder.join("r.db.last-good-table"));
    save(&last_good, folder, &context);
    std::fs::write(folder.join("r.db.last-good-table.new"), "{\"files\":\"+4930901820").unwrap();
    (last_good, context)
}

fn save(last_good: &LastGood, folder: &Path, context: &CheckContext) {
    let loaded = reload::load(&folder.join("rules.toml"), context, false, &mut |_| {}).unwrap();
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    let (fingerprint, saved_at) = (table.fingerprint, Timestamp::UNIX_EPOCH);
    let files = loaded.snapshot.unwrap();
    last_good.save(&SavedTable { fingerprint, saved_at, files }).unwrap();
}

/// Returns the files below a folder whose bytes contain the end of the number, in one of its notations.
fn files_with_number(folder: &Path) -> Vec<PathBuf> {
    let mut command = Command::new("grep");
    command.args(["-rlaE", r"\+49[ ()-]*30[ )-]*90-?18-?20|4930901820"]).arg(folder);
    let grep = wait::output(&mut command);
    let mut files: Vec<PathBuf> = text(&grep.stdout).lines().map(PathBuf::from).collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_erased_number_is_in_no_copy_of_rules_and_lists() {
    let service = self::service(sqlite());
    let folder = service.folder.path();
    let (last_good, context) = write_copies(folder);
    service.send_call(BERLIN).await;
    let owns = [folder.join("blocked.csv"), folder.join("rules.toml")];
    assert_eq!(files_with_number(folder).len(), owns.len() + 5, "{:?}", files_with_number(folder));

    let dry = service.stdout(&["forget", "--number", BERLIN, "--dry-run"]);
    assert!(dry.contains("the last good table"), "{dry}");
    assert_eq!(files_with_number(folder).len(), owns.len() + 5, "a dry run edits nothing");

    let output = service.stdout(&["forget", "--number", BERLIN, "--yes"]);
    assert_eq!(files_with_number(folder), owns, "{output}");
    for expected in ["edited   the last good table ", "edited   the copy of a list, "] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    for (file, lines) in [("rules.toml", "lines 8, 23, 28"), ("blocked.csv", "line 3")] {
        let expected = format!("{file} contains it in {lines}: remove it there, too");
        assert!(output.contains(&expected), "{expected}: {output}");
    }
    assert!(output.contains("vip.live.csv does not contain it"), "{output}");
    let list = std::fs::read_to_string(folder.join("r.db.lists/vip.live.csv")).unwrap();
    assert_eq!(list, "number;name\n+12135550101;Ann\n\n+12135550102;Bob\n");
    assert!(folder.join("r.db.lists/vip.live.json").exists());

    // The service can start with the table, although its tests are about the person.
    let saved = last_good.read().unwrap().expect("a last good table");
    assert!(saved.files.is_edited());
    let loaded = saved.load(&context);
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    assert_eq!(table.rules.len(), 4);
    let rows: Vec<usize> = table.lists.all().iter().map(|list| list.rows).collect();
    assert_eq!(rows, [2, 1], "the other rows remain");
    service.stop().await;
}

#[tokio::test]
async fn a_copy_that_remains_from_other_settings_is_searched_too() {
    let service = self::service(&format!("{}\nnumbers = \"masked\"", sqlite()));
    let folder = service.folder.path();
    // No copy is kept of rules while numbers are masked, but there was one before.
    write_copies(folder);
    std::fs::write(folder.join("r.db.last-good-table"), "+4930901820, which is no table").unwrap();
    service.send_call(BOSTON).await;
    let output = service.stdout(&["forget", "--number", BERLIN, "--yes"]);
    assert!(output.contains("deleted  the last good table"), "{output}");
    assert_eq!(files_with_number(folder), [folder.join("blocked.csv"), folder.join("rules.toml")]);
    service.stop().await;
}

#[test]
fn copies_are_searched_although_nothing_has_been_recorded() {
    let folder = tempfile::tempdir().unwrap();
    write_copies(folder.path());
    let settings = app::SETTINGS.to_owned()
        + "[records]\nurl = \"off\"\n[rules]\nlast_good = \"r.db.last-good-table\"\nlists_dir = \"r.db.lists\"\n";
    let config = folder.path().join("s.toml");
    std::fs::write(&config, settings).unwrap();
    let forget = |more: &[&str]| {
        let arguments = [&["forget", "--number", BERLIN, "--yes"], more].concat();
        let mut command = program();
        command.arg("records").args(arguments).arg("--config").arg(&config);
        wait::output(&mut command)
    };
    let ran = forget(&[]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", text(&ran.stdout), text(&ran.stderr));
    let owns = [folder.path().join("blocked.csv"), folder.path().join("rules.toml")];
    assert_eq!(files_with_number(folder.path()), owns);
    // Without copies that contain it, there is nothing to search.
    assert_eq!(forget(&[]).status.code(), Some(2));
}
