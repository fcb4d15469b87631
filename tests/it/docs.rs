//! Documentation: links resolve, named tests exist, and the commands print what the pages show.
//!
//! Commands are the lines that start with `$` in `console` blocks. The commands of a page run in order in
//! one directory with copies of `config/` and `examples/`; `switchboard` and `cargo run --` are the test
//! binary. Ids, times, ports and durations are not compared, a line `…` stands for any lines, and `…`
//! within a line for any text. Output of a command without printed output is not compared; a line `?` is
//! a placeholder for the output. `UPDATE_GOLDEN=1 cargo test docs::` writes the output into the pages.
//!
//! Comments in a page prepare its commands: `<!-- run: COMMAND -->` runs a command,
//! `<!-- file: NAME -->` writes the next block to a file, and `<!-- log -->` says that the lines of the
//! next block are in the log of the service.

mod links;
mod output;
mod page;

use page::check_page;

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(#[test] fn $name() { check_page($path); })*

        /// Pages whose commands run.
        const PAGES: &[&str] = &[$($path),*];
    };
}

pages! {
    readme: "README.md",
    operating: "docs/operating.md",
    records: "docs/records.md",
    deploying: "docs/deploying.md",
    replay: "docs/replay.md",
    rules: "docs/rules.md",
    errors: "docs/errors.md",
    lookups: "docs/lookups.md",
    recipes: "docs/recipes.md",
    agency: "examples/agency/README.md",
    call_centre: "examples/call-centre/README.md",
    clinic: "examples/clinic/README.md",
    every_platform: "examples/platforms/README.md",
}

#[test]
fn every_page_with_commands_is_run() {
    for (path, text) in links::pages() {
        let has_commands = text.lines().any(|line| line.starts_with("$ "));
        let is_record = path.starts_with("docs/decisions/");
        assert!(!has_commands || is_record || PAGES.contains(&path.as_str()), "{path}");
    }
}
