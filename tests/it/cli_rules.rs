//! `switchboard rules`: tables that have answered are listed, shown, compared and restored.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{self, SETTINGS, Served, run, start, text};
use crate::support::wait;

/// A folder of rules, whose records have two tables: with agent_1 and with agent_2.
struct Recorded {
    folder: TempDir,
    settings: String,
}

const LIST: &str = "number\n+12137770000\n";

fn rules(agent: &str) -> String {
    format!(
        "lists.vip.file = \"vip.csv\"\n\n[[rule]]\nname = \"vip\"\nfrom = \"@vip\"\nagent = \"vip\"\n\n\
         [[rule]]\nname = \"everyone\"\nagent = \"{agent}\"\n"
    )
}

impl Recorded {
    fn new() -> Recorded {
        let sections = "[rules]\npath = \"rules\"\npoll_ms = 0\n[records]\nurl = \"sqlite:r.db\"\n";
        let (folder, settings) = program::folder(&format!("{SETTINGS}{sections}"), "");
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        let recorded = Recorded { folder, settings };
        recorded.write("50-rules.toml", &rules("agent_1"));
        recorded.write("vip.csv", LIST);
        let served = Served::new(start(&["--config", &recorded.settings]));
        recorded.send(&served);
        recorded.write("50-rules.toml", &rules("agent_2"));
        recorded.write("60-more.toml", "[[rule]]\nname = \"more\"\nkeep = true\n");
        assert_eq!(program::admin_request(&served.admin, "POST /reload", "").0, 200);
        (0..2).for_each(|_| recorded.send(&served));
        let (code, log) = served.terminate();
        assert_eq!(code, Some(0), "{log}");
        recorded
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("rules").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn send(&self, served: &Served) {
        let sent = run(&["send", "--config", &self.settings, "--url", &served.url]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    }

    fn rules(&self, arguments: &[&str]) -> Output {
        run(&[&["rules"], arguments, &["--config", &self.settings]].concat())
    }

    /// Returns the tables, newest first.
    fn tables(&self) -> Vec<Value> {
        let listed = text(&self.rules(&["list", "--json"]).stdout);
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the fingerprint of a table, by its place in the list.
    fn fingerprint(&self, at: usize) -> String {
        self.tables()[at]["fingerprint"].as_str().unwrap().to_owned()
    }
}

#[test]
fn tables_are_listed_with_their_use_and_their_files() {
    let recorded = Recorded::new();
    let tables = recorded.tables();
    let uses: Vec<_> = tables.iter().map(|table| (&table["calls"], &table["files"])).collect();
    assert_eq!(uses.len(), 2, "{tables:?}");
    assert_eq!(uses[0].0, 2);
    assert_eq!(uses[0].1, &serde_json::json!(["50-rules.toml", "60-more.toml", "vip.csv"]));
    assert_eq!(uses[1].0, 1);
    assert!(tables[0]["first_call"].as_str() <= tables[0]["last_call"].as_str());
    let table = text(&recorded.rules(&["list"]).stdout);
    let mut lines = table.lines();
    let header: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(header.join(" "), "TABLE LIVE SINCE FIRST CALL LAST CALL CALLS FILES");
    assert!(lines.next().unwrap().starts_with(&recorded.fingerprint(0)[..7]), "{table}");
}

#[test]
fn a_table_is_shown_written_into_a_folder_and_compared() {
    let recorded = Recorded::new();
    let old = recorded.fingerprint(1);
    let shown = text(&recorded.rules(&["show", &old[..5]]).stdout);
    assert_eq!(
        shown,
        format!("==> 50-rules.toml <==\n{}==> vip.csv <==\n{LIST}", rules("agent_1"))
    );
    let to = recorded.folder.path().join("copy");
    let wrote = recorded.rules(&["show", &old, "--to", to.to_str().unwrap()]);
    assert_eq!(wrote.status.code(), Some(0), "{}", text(&wrote.stderr));
    let checked = run(&["check", "--rules", to.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let again = recorded.rules(&["show", &old, "--to", to.to_str().unwrap()]);
    assert!(text(&again.stderr).contains("is not empty"));

    let short = &old[..7];
    let compared = recorded.rules(&["diff", short, "HEAD"]);
    assert_eq!(compared.status.code(), Some(1));
    let expected = format!(
        "--- {short}/50-rules.toml\n+++ live/50-rules.toml\n@@ -7,4 +7,4 @@\n \n [[rule]]\n \
         name = \"everyone\"\n-agent = \"agent_1\"\n+agent = \"agent_2\"\n\
         --- /dev/null\n+++ live/60-more.toml\n@@ -0,0 +1,3 @@\n+[[rule]]\n+name = \"more\"\n\
         +keep = true\n"
    );
    assert_eq!(text(&compared.stdout), expected);
    let new = recorded.fingerprint(0);
    assert_eq!(recorded.rules(&["diff", &new]).status.code(), Some(0), "the files are live");
    let unknown = recorded.rules(&["show", "zzz"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("no stored rule table has the fingerprint zzz"));
}

/// A list in another encoding can be used, but no version that the records keep can have it.
#[test]
fn nothing_is_restored_if_the_current_files_cannot_be_kept() {
    let recorded = Recorded::new();
    let old = recorded.fingerprint(1);
    let latin_1 = b"number,name\n+12137770000,Jos\xe9\n";
    std::fs::write(recorded.path("vip.csv"), latin_1).unwrap();
    let refused = recorded.rules(&["restore", &old, "--yes"]);
    let problem = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{problem}");
    assert!(problem.contains("nothing was written: vip.csv"), "{problem}");
    assert!(problem.contains("so the current files cannot be kept in the records"), "{problem}");
    assert_eq!(std::fs::read(recorded.path("vip.csv")).unwrap(), latin_1);
    assert_eq!(std::fs::read_to_string(recorded.path("50-rules.toml")).unwrap(), rules("agent_2"));
}

#[test]
fn a_table_is_restored_and_the_current_one_is_kept() {
    let recorded = Recorded::new();
    let old = recorded.fingerprint(1);
    let read = |name: &str| std::fs::read_to_string(recorded.path(name)).ok();
    // An edit that never answered a call.
    recorded.write("60-more.toml", "[[rule]]\nname = \"newest\"\nkeep = true\n");
    let asked = recorded.rules(&["restore", &old]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(text(&asked.stderr).contains("write --yes to restore"), "{}", text(&asked.stderr));
    assert_eq!(read("50-rules.toml"), Some(rules("agent_2")), "nothing was written");

    let note = "the old agent again";
    let restored = recorded.rules(&["restore", &old, "--yes", "--note", note]);
    let output = text(&restored.stdout);
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored.stderr));
    assert!(output.contains("kept the current rules as "), "{output}");
    assert_eq!(read("50-rules.toml"), Some(rules("agent_1")));
    assert_eq!((read("60-more.toml"), read("vip.csv")), (None, Some(LIST.to_owned())));
    let names = std::fs::read_dir(recorded.folder.path().join("rules")).unwrap();
    assert_eq!(names.count(), 2, "no other files");
    assert_eq!(recorded.rules(&["diff", &old, "live"]).status.code(), Some(0));

    let tables = recorded.tables();
    let change = |fingerprint: &str| {
        let table = tables.iter().find(|table| table["fingerprint"] == fingerprint);
        table.unwrap()["change"].clone()
    };
    assert_eq!(change(&old)["note"], note);
    assert_eq!(change(&old)["action"], "restore");
    assert!(!change(&old)["who"].as_str().unwrap().is_empty());
    let listed = text(&recorded.rules(&["list"]).stdout);
    assert!(listed.contains(note) && listed.contains(" BY "), "{listed}");

    // The table that was kept can be restored in turn.
    assert_eq!(tables.len(), 3);
    let kept = output.lines().find_map(|line| line.strip_prefix("kept the current rules as "));
    let back = recorded.rules(&["restore", kept.unwrap(), "--yes"]);
    assert_eq!(back.status.code(), Some(0), "{}", text(&back.stderr));
    assert!(read("60-more.toml").unwrap().contains("newest"));
    let again = recorded.rules(&["restore", kept.unwrap(), "--yes"]);
    assert!(text(&again.stdout).contains("already"), "{}", text(&again.stdout));

    // A running service takes the restored files like an edit.
    let served = Served::new(start(&["--config", &recorded.settings]));
    assert_eq!(recorded.rules(&["restore", &old, "--yes"]).status.code(), Some(0));
    served.signal("-HUP");
    let explain =
        || program::admin_request(&served.admin, "GET /explain?from=%2B12137771234", "").1;
    assert!(wait::until(|| explain().contains("agent_1")), "{}", served.log());
}
