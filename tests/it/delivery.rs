//! The Debian package: each file that it installs exists, and each command has a manual page.

use std::path::Path;
use std::process::Command;

use crate::support::app::root;
use crate::support::wait;

/// Folder of the files that `deploy/debian/build` prepares.
const PREPARED: &str = "target/debian-files";

/// Sources of `assets` in Cargo.toml.
fn assets() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, assets) = manifest.split_once("\nassets = [\n").expect("assets");
    let (assets, _) = assets.split_once("\n]").expect("their end");
    let source = |line: &str| line.trim().strip_prefix("[\"")?.split('"').next().map(str::to_owned);
    assets.lines().filter_map(source).collect()
}

/// Returns whether a path exists. A `*` in its name stands for anything.
fn exists(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some((start, end)) = name.split_once('*') else { return path.is_file() };
    let files = std::fs::read_dir(path.parent().unwrap()).into_iter().flatten().flatten();
    files.into_iter().any(|file| {
        let name = file.file_name();
        let name = name.to_str().unwrap_or_default();
        name.starts_with(start) && name.ends_with(end)
    })
}

#[test]
fn the_debian_package_has_each_of_its_files_and_a_manual_page_for_each_command() {
    let prepared = tempfile::tempdir().unwrap();
    let mut script = Command::new(root().join("deploy/debian/files"));
    let output = wait::output(script.arg(env!("CARGO_BIN_EXE_switchboard")).arg(prepared.path()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let assets = assets();
    assert!(assets.len() > 10, "{assets:?}");
    for asset in &assets {
        let path = match asset.strip_prefix(PREPARED) {
            Some(rest) => prepared.path().join(rest.trim_start_matches('/')),
            None => root().join(asset),
        };
        assert!(exists(&path), "{asset} does not exist");
    }
    for command in ["", "-serve", "-init", "-records-forget", "-rules-restore", "-man"] {
        let page = prepared.path().join(format!("man/switchboard{command}.1.gz"));
        let roff = wait::output(Command::new("gzip").arg("-dc").arg(&page)).stdout;
        let title = format!(".TH switchboard{command} 1");
        assert!(String::from_utf8_lossy(&roff).contains(&title), "{title}");
    }
    let help = prepared.path().join("man/switchboard-help.1.gz");
    assert!(!help.exists(), "`help` is no command of its own");
}
