//! How long a decision takes, from ten rules to a million, by the index and by the scan; what the
//! index and the whole table take in memory, and how long the table takes to load. "Cold" is with
//! eight megabytes of other memory touched between two decisions, as in a busy service. Prints
//! figures and ratios; passes or fails on none. The last line compares forty files with a scope with the
//! same rules without one.
//!
//! `cargo bench`; `cargo bench -- --most-rules=10000` for smaller tables.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use jiff::Timestamp;
use peak_alloc::PeakAlloc;
use switchboard::dialect;
use switchboard::domain::call::{Call, Channel, Fields};
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::rules;
use switchboard::rules::engine::{decide, scan};
use switchboard::rules::{CheckContext, RuleSet};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
const CALLS: usize = 4_096;
/// The scan of a longer table is measured on fewer calls.
const SCAN_BUDGET: usize = 20_000_000;
/// 2026-11-20 10:00 in New York.
const AT: i64 = 1_795_186_800;

fn main() {
    let most = std::env::args().find_map(|arg| arg.strip_prefix("--most-rules=")?.parse().ok());
    let sizes = SIZES.into_iter().filter(|size| *size <= most.unwrap_or(usize::MAX));
    let sizes: Vec<_> = sizes.collect();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    let mut lines = Vec::new();
    for kind in [Kind::Exact, Kind::Mixed, Kind::List] {
        for size in &sizes {
            lines.push(measured(&mut criterion, kind, *size));
        }
    }
    println!(
        "\ntable         rules  p50 ns  p99 ns  cold p50  cold p99  scan p50 ns  scan/index  index B/rule  table B/rule  load ms  peak MB"
    );
    lines.iter().for_each(|line| println!("{line}"));
    println!("\n{}", scopes_compared());
}

const CLIENTS: usize = 40;
const RULES_OF_CLIENT: usize = 100;

/// One line of figures about forty clients with a hundred rules each: by the scopes of their files, and by
/// a `to` in each rule.
fn scopes_compared() -> String {
    let [scoped, plain] = [true, false].map(|is_scoped| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut chance = Chance(40);
        let numbers: Vec<_> = (0..CLIENTS).map(|_| chance.number()).collect();
        let callers: Vec<_> = (0..RULES_OF_CLIENT).map(|_| chance.number()).collect();
        for (client, number) in numbers.iter().enumerate() {
            let to = format!("to = \"{number}\"\n");
            let (scope, own) =
                if is_scoped { (format!("[scope]\n{to}"), "") } else { (String::new(), &*to) };
            let rules = callers.iter().enumerate().map(|(rule, caller)| {
                format!(
                    "[[rule]]\nname = \"{client}: {rule}\"\n{own}from = \"{caller}\"\nkeep = true\n"
                )
            });
            let others = format!("[[rule]]\nname = \"{client}: others\"\n{own}keep = true\n");
            let text = scope + &rules.collect::<String>() + &others;
            let name = format!("{client:02}.toml");
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let context = CheckContext::default();
        let loaded = rules::load(folder.path(), &context, &mut |_| {}).expect("readable files");
        let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
        let party = |text: &str| Party::parse(Some(text)).party;
        let call = |index: usize| {
            let to = party(&numbers[index % CLIENTS]);
            let from = party(&callers[index / 2 % RULES_OF_CLIENT]);
            let from = if index.is_multiple_of(2) { from } else { party("+12135550100") };
            let fields = Fields { from, to, ..Fields::unknown(Channel::Call) };
            Call::synthetic("bench", dialect::ALL[0].platform(), fields)
        };
        let calls: Vec<_> = (0..CALLS).map(call).collect();
        let facts = Facts::at(Timestamp::from_second(AT).expect("a time"));
        percentiles(&calls, &mut || (), |call| drop(black_box(decide(&table, call, &facts)))).0
    });
    format!(
        "{CLIENTS} files of {RULES_OF_CLIENT} rules: p50 {} ns by scope, {} ns by `to` in each rule; ratio {:.2}",
        scoped.as_nanos(),
        plain.as_nanos(),
        scoped.as_secs_f64() / plain.as_secs_f64(),
    )
}

/// Between two requests the kernel and other work fill the nearer caches: this does, too.
const COLD_BYTES: usize = 8 << 20;

fn soil(dirt: &mut [u8]) {
    dirt.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
    black_box(dirt);
}

/// What a table is made of.
#[derive(Clone, Copy)]
enum Kind {
    /// A dialled number each.
    Exact,
    /// One rule, and the dialled numbers in a CSV file that names the agent of each.
    List,
    /// Numbers, prefixes, countries, X patterns, negations, channels, and rules that only add.
    Mixed,
}

/// One line of figures about a table of so many rules.
fn measured(criterion: &mut Criterion, kind: Kind, size: usize) -> String {
    let name = match kind {
        Kind::Exact => "exact",
        Kind::Mixed => "mixed",
        Kind::List => "list",
    };
    let mut chance = Chance(size as u64);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bench.toml");
    let text = match kind {
        Kind::List => list_text(size, &mut chance, folder.path()),
        Kind::Exact | Kind::Mixed => table_text(kind, size, &mut chance),
    };
    let bytes = text.len();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let begun = Instant::now();
    let loaded = rules::parse(&path.display().to_string(), text, &CheckContext::default());
    let load = begun.elapsed();
    let peak = MEMORY.peak_usage() - before + bytes;
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    drop((loaded.report, loaded.locations, loaded.tests));
    let held = (MEMORY.current_usage() + bytes).saturating_sub(before);
    let calls = calls(&mut chance, &table);
    let facts = Facts::at(Timestamp::from_second(AT).expect("a time"));

    let mut group = criterion.benchmark_group(format!("decide/{name}"));
    let mut turn = calls.iter().cycle();
    group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
        bencher.iter(|| decide(&table, turn.next().expect("it goes round"), &facts));
    });
    group.finish();

    let by_index = |between: &mut dyn FnMut()| {
        percentiles(&calls, between, |call| drop(black_box(decide(&table, call, &facts))))
    };
    let mut dirt = vec![0_u8; COLD_BYTES];
    let (warm, cold) = (by_index(&mut || ()), by_index(&mut || soil(&mut dirt)));
    let fewer = (SCAN_BUDGET / size).clamp(20, calls.len());
    let by_scan = percentiles(&calls[..fewer], &mut || (), |call| {
        drop(black_box(scan(&table, call, &facts)))
    });
    format!(
        "{name:<8}{size:>11}{:>8}{:>8}{:>10}{:>10}{:>13}{:>12.1}{:>14}{:>14}{:>9}{:>9}",
        warm.0.as_nanos(),
        warm.1.as_nanos(),
        cold.0.as_nanos(),
        cold.1.as_nanos(),
        by_scan.0.as_nanos(),
        by_scan.0.as_secs_f64() / warm.0.as_secs_f64(),
        (table.deciding_index.bytes() + table.continuing_index.bytes()) / size,
        held / size,
        load.as_millis(),
        peak / 1_000_000,
    )
}

/// The median and the 99th percentile of single decisions, less what the clock takes.
fn percentiles(
    calls: &[Call<'_>],
    between: &mut dyn FnMut(),
    decide: impl Fn(&Call<'_>),
) -> (Duration, Duration) {
    calls.iter().for_each(&decide);
    let overhead = (0..1_000).map(|_| Instant::now().elapsed()).min().unwrap_or_default();
    let mut times: Vec<_> = calls
        .iter()
        .map(|call| {
            between();
            let begun = Instant::now();
            decide(call);
            begun.elapsed().saturating_sub(overhead)
        })
        .collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn table_text(kind: Kind, size: usize, chance: &mut Chance) -> String {
    const COUNTRIES: [&str; 8] = ["US", "CA", "DE", "AT", "CH", "FR", "GB", "IT"];
    let mut text = String::with_capacity(size * 80);
    text.push_str("[agents]\n");
    for agent in 0..100 {
        writeln!(text, "a{agent} = \"agent_{agent:08}\"").expect("a text takes it");
    }
    for rule in 0..size - 1 {
        let number = chance.number();
        let country = COUNTRIES[chance.below(8) as usize];
        let condition = match (kind, chance.below(100)) {
            (Kind::Exact | Kind::List, _) | (Kind::Mixed, 0..50) => format!("to = \"{number}\""),
            (Kind::Mixed, 50..65) => format!("from = \"{number}\""),
            (Kind::Mixed, 65..75) => format!("to = \"{number}\"\nfrom = \"{country}\""),
            (Kind::Mixed, 75..83) => {
                format!("to = \"{number}\"\nfrom = \"+{}*\"", 1_000 + chance.below(90_000))
            }
            (Kind::Mixed, 83..88) => {
                format!("to = \"{}*\"", &number[..8 + chance.below(3) as usize])
            }
            (Kind::Mixed, 88..91) => format!("to = \"{}XXX\"", &number[..9]),
            (Kind::Mixed, 91..94) => format!("to = \"{number}\"\nchannel = \"sms\""),
            (Kind::Mixed, 94..97) => format!("to = \"{number}\"\nfrom = [\"US\", \"!+1907*\"]"),
            (Kind::Mixed, _) => {
                let adds = "continue = true\nvariables = { seen = \"yes\" }";
                writeln!(text, "[[rule]]\nname = \"rule {rule}\"\nto = \"{number}\"\n{adds}\n")
                    .expect("a text takes it");
                continue;
            }
        };
        let agent = rule % 100;
        writeln!(text, "[[rule]]\nname = \"rule {rule}\"\n{condition}\nagent = \"a{agent}\"\n")
            .expect("a text takes it");
    }
    text.push_str("[[rule]]\nname = \"everyone else\"\nagent = \"a0\"\n");
    text
}

fn list_text(size: usize, chance: &mut Chance, folder: &std::path::Path) -> String {
    let mut rows = "number,agent,city,greeting\n".to_owned();
    for row in 0..size {
        let (number, agent, city) = (chance.number(), row % 100, row % 5_000);
        writeln!(rows, "{number},a{agent},City {city},Hello from store {row}")
            .expect("a text takes it");
    }
    std::fs::write(folder.join("list.csv"), rows).expect("a file");
    let listed = "\n[lists.stores]\nfile = \"list.csv\"\n[[rule]]\nname = \"stores\"\nto = \"@stores\"\nagent = \"${stores.agent}\"\nvariables = { city = \"${stores.city}\" }\n";
    table_text(Kind::Exact, 1, chance).replace("\n[[rule]]", &format!("{listed}[[rule]]"))
}

/// Calls of which half are for a number that a rule names.
fn calls(chance: &mut Chance, table: &RuleSet) -> Vec<Call<'static>> {
    let party = |text: &str| Party::parse(Some(text)).party;
    let mut calls = Vec::new();
    while calls.len() < CALLS {
        let rule = &table.rules[chance.below(table.rules.len() as u64) as usize];
        let dialled = rule.to.any_of().first().map(ToString::to_string);
        let dialled = dialled.filter(|text| text.len() == 12 && !text.contains('X'));
        let to = dialled.filter(|_| chance.below(2) == 0).unwrap_or_else(|| chance.number());
        let from = chance.number();
        let fields =
            Fields { from: party(&from), to: party(&to), ..Fields::unknown(Channel::Call) };
        calls.push(Call::synthetic("bench", dialect::ALL[0].platform(), fields));
    }
    calls
}

/// The same numbers on every run: splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A number of +1.
    fn number(&mut self) -> String {
        format!("+1{}{:07}", 200 + self.below(800), 2_000_000 + self.below(8_000_000))
    }
}
