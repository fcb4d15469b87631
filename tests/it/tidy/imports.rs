//! Imports between source files: the graph has no circle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

use crate::support::app::root;

/// A module path below the crate root: `rules::model`. The root itself is empty.
type ModulePath = Vec<String>;

/// A source file: the paths that it names, and the names that it re-exports.
struct Source {
    references: Vec<ModulePath>,
    reexports: HashMap<String, ModulePath>,
}

/// Reads every file below `src`, except the entry points of the library and the program.
fn read_sources() -> BTreeMap<ModulePath, Source> {
    fn read(folder: &Path, module: &[String], sources: &mut BTreeMap<ModulePath, Source>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if module.is_empty() && ["lib", "main"].contains(&name.as_str()) {
                continue;
            }
            let child = [module, &[name]].concat();
            if path.is_dir() {
                read(&path, &child, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(child.clone(), parse(&text, child));
            }
        }
    }
    let mut sources = BTreeMap::new();
    read(&root().join("src"), &[], &mut sources);
    sources
}

fn parse(text: &str, module: ModulePath) -> Source {
    let file = syn::parse_file(text).expect("Rust");
    let children = file.items.iter().filter_map(|item| {
        let Item::Mod(child) = item else { return None };
        child.content.is_none().then(|| child.ident.to_string())
    });
    let mut collector = Collector {
        children: children.collect(),
        module,
        source: Source { references: Vec::new(), reexports: HashMap::new() },
    };
    collector.visit_file(&file);
    collector.source
}

/// Collects the paths of one file, made absolute.
struct Collector {
    module: ModulePath,
    children: BTreeSet<String>,
    source: Source,
}

impl Collector {
    /// Returns a path below the crate root, or `None` for a path into another crate or the file itself.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let parents = path.iter().take_while(|segment| *segment == "super").count();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "super" => {
                let base = &self.module[..self.module.len().checked_sub(parents)?];
                Some([base, &path[parents..]].concat())
            }
            child if self.children.contains(child) => Some([&self.module, path].concat()),
            _ => None,
        }
    }

    fn add_use(&mut self, tree: &UseTree, prefix: &[String], is_public: bool) {
        let (path, name) = match tree {
            UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                return self.add_use(&path.tree, &prefix, is_public);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_use(tree, prefix, is_public));
            }
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
            UseTree::Glob(_) => return,
        };
        let Some(path) = self.absolute(&[prefix, &[path.to_string()]].concat()) else { return };
        if is_public {
            self.source.reexports.insert(name.to_string(), path);
        } else {
            self.source.references.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 {
            self.source.references.extend(self.absolute(&segments));
        }
        syn::visit::visit_path(self, path);
    }
}

/// Returns the file that defines the last name of `path`, following re-exports.
fn definition(sources: &BTreeMap<ModulePath, Source>, mut path: ModulePath) -> Option<ModulePath> {
    for _ in 0..10 {
        let depth = (1..=path.len()).rev().find(|depth| sources.contains_key(&path[..*depth]))?;
        let (module, rest) = path.split_at(depth);
        let reexport = rest.first().and_then(|name| sources[module].reexports.get(name));
        match reexport {
            Some(target) => path = [target, &rest[1..]].concat(),
            None => return Some(module.to_vec()),
        }
    }
    None
}

/// Returns the files that each file depends on. A module and the files below it are one unit, so
/// edges between a file and its ancestors are left out.
fn graph(sources: &BTreeMap<ModulePath, Source>) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let edges = sources.iter().map(|(module, source)| {
        let paths = source.references.iter().chain(source.reexports.values());
        let targets = paths.filter_map(|path| definition(sources, path.clone()));
        let others =
            targets.filter(|other| !module.starts_with(other) && !other.starts_with(module));
        (module.clone(), others.collect())
    });
    edges.collect()
}

/// Returns a circle of files, if there is one.
fn find_circle(graph: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Option<Vec<ModulePath>> {
    fn visit(
        module: &ModulePath,
        graph: &BTreeMap<ModulePath, BTreeSet<ModulePath>>,
        path: &mut Vec<ModulePath>,
        done: &mut BTreeSet<ModulePath>,
    ) -> Option<Vec<ModulePath>> {
        if let Some(start) = path.iter().position(|earlier| earlier == module) {
            return Some(path[start..].to_vec());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module.clone());
        let circle = graph[module].iter().find_map(|next| visit(next, graph, path, done));
        path.pop();
        done.insert(module.clone());
        circle
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| visit(module, graph, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = read_sources();
    assert!(sources.len() > 100, "the sources were not found");
    let graph = graph(&sources);
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 300, "only {edges} imports were found");
    let circle = find_circle(&graph).map(|circle| {
        circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> ")
    });
    assert_eq!(circle, None);
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let edge = |from: &str, to: &[&str]| {
        (module(from), to.iter().map(|name| module(name)).collect::<BTreeSet<_>>())
    };
    let graph = [edge("a", &["b"]), edge("b", &["c"]), edge("c", &["b"])].into_iter().collect();
    assert_eq!(find_circle(&graph), Some(vec![module("b"), module("c")]));
}
