//! A crate's files: what each defines, and which paths it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

use crate::circles::Imports;

type Segments = Vec<String>;

/// One module: a file, or `mod name { … }` inside of one.
#[derive(Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// What `use` calls by a name of this module.
    aliases: BTreeMap<String, Segments>,
    globs: Vec<Segments>,
    /// Every path that is named in it.
    paths: BTreeSet<Segments>,
}

/// A crate's modules by their paths; the crate's root is the empty one.
pub struct Source(BTreeMap<Segments, Module>);

impl Source {
    /// Reads a crate, from `lib.rs` or `main.rs` in the folder, without what only tests compile.
    pub fn of_crate(folder: &Path) -> Self {
        let root = ["lib.rs", "main.rs"]
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
            .expect("a crate has a lib.rs or a main.rs");
        let mut source = Self(BTreeMap::new());
        source.read(folder, &root, Vec::new(), folder.to_path_buf());
        source
    }

    fn read(&mut self, base: &Path, file: &Path, module: Segments, children: PathBuf) {
        let text = std::fs::read_to_string(file).expect("a module's file can be read");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file
            .strip_prefix(base)
            .expect("below the crate")
            .display()
            .to_string();
        let mut reader = Reader {
            source: self,
            base,
            file: name,
            module: module.clone(),
            children,
        };
        reader.source.0.entry(module).or_default().file = reader.file.clone();
        reader.visit_file(&parsed);
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.0
            .values()
            .map(|module| &module.file)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Which file imports which others.
    pub fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (name, module) in &self.0 {
            let others = imports.entry(module.file.clone()).or_default();
            let named = module
                .paths
                .iter()
                .filter_map(|path| self.definition(name, path, 0));
            others.extend(named.filter(|file| **file != module.file).cloned());
        }
        imports
    }

    /// The file in which the item is defined that a path leads to, seen from a module. None for what is outside of the crate,
    /// and for a path that ends in a module.
    fn definition(&self, from: &[String], path: &[String], depth: usize) -> Option<&String> {
        // Re-exports of re-exports, and globs that lead back to where they came from.
        if depth > 8 {
            return None;
        }
        let mut at = from.to_vec();
        for (index, segment) in path.iter().enumerate() {
            let rest = path.get(index + 1..).unwrap_or_default();
            match segment.as_str() {
                "crate" if index == 0 => at.clear(),
                "self" => {}
                "super" => {
                    at.pop()?;
                }
                name => {
                    let module = self.0.get(&at)?;
                    let child = [at.as_slice(), &[name.to_owned()]].concat();
                    if self.0.contains_key(&child) {
                        at = child;
                    } else if module.items.contains(name) {
                        return Some(&module.file);
                    } else if let Some(alias) = module.aliases.get(name) {
                        return self.definition(&at, &[alias.as_slice(), rest].concat(), depth + 1);
                    } else {
                        let asked = path.get(index..).unwrap_or_default();
                        return module.globs.iter().find_map(|glob| {
                            self.definition(&at, &[glob.as_slice(), asked].concat(), depth + 1)
                        });
                    }
                }
            }
        }
        None
    }
}

struct Reader<'a> {
    source: &'a mut Source,
    base: &'a Path,
    file: String,
    module: Segments,
    /// Where the files of child modules are.
    children: PathBuf,
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        self.source.0.entry(self.module.clone()).or_default()
    }

    fn used(&mut self, before: &Segments, tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before.as_slice(), &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.used(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = before.last() {
                    self.alias(last.clone(), before.clone());
                }
            }
            syn::UseTree::Name(name) => self.alias(name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(rename) => self.alias(rename.rename.to_string(), with(&rename.ident)),
            syn::UseTree::Glob(_) => self.here().globs.push(before.clone()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.used(before, tree)),
        }
    }

    fn alias(&mut self, name: String, path: Segments) {
        let module = self.here();
        // `use status::status` would lead to itself.
        if path.first() != Some(&name) {
            module.aliases.insert(name, path.clone());
        }
        module.paths.insert(path);
    }

    fn child(&mut self, item: &syn::ItemMod) {
        let name = item.ident.to_string();
        let module = [self.module.as_slice(), std::slice::from_ref(&name)].concat();
        if let Some((_, items)) = &item.content {
            let mut reader = Reader {
                source: &mut *self.source,
                base: self.base,
                file: self.file.clone(),
                module: module.clone(),
                children: self.children.join(&name),
            };
            reader.here().file = reader.file.clone();
            items.iter().for_each(|item| reader.visit_item(item));
        } else {
            let folder = self.children.join(&name);
            let file = [folder.with_extension("rs"), folder.join("mod.rs")]
                .into_iter()
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("mod {name} of {} has no file", self.file));
            self.source.read(self.base, &file, module, folder);
        }
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, syn::Meta::List(list)
            if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &syn::Item) -> Option<&syn::Ident> {
    match item {
        syn::Item::Const(item) => Some(&item.ident),
        syn::Item::Enum(item) => Some(&item.ident),
        syn::Item::Fn(item) => Some(&item.sig.ident),
        syn::Item::Macro(item) => item.ident.as_ref(),
        syn::Item::Static(item) => Some(&item.ident),
        syn::Item::Struct(item) => Some(&item.ident),
        syn::Item::Trait(item) => Some(&item.ident),
        syn::Item::Type(item) => Some(&item.ident),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if only_for_tests(attributes(item)) {
            return;
        }
        if let Some(name) = name(item) {
            let name = name.to_string();
            self.here().items.insert(name);
        }
        match item {
            syn::Item::Mod(item) => self.child(item),
            syn::Item::Use(item) => self.used(&Vec::new(), &item.tree),
            item => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            self.here().paths.insert(segments);
        }
        syn::visit::visit_path(self, path);
    }

    // What a macro is called with is no syntax tree: the paths in it are found by their form.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        let mut paths = BTreeSet::new();
        paths_of_tokens(item.tokens.clone(), &mut paths);
        self.here().paths.extend(paths);
    }
}

/// Every `a::b::c` in a macro's tokens.
fn paths_of_tokens(tokens: proc_macro2::TokenStream, paths: &mut BTreeSet<Segments>) {
    let mut path = Segments::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => {
                if colons != 2 {
                    paths.insert(std::mem::take(&mut path));
                }
                path.push(ident.to_string());
                colons = 0;
            }
            proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            proc_macro2::TokenTree::Group(group) => {
                paths.insert(std::mem::take(&mut path));
                paths_of_tokens(group.stream(), paths);
                colons = 0;
            }
            _ => {
                paths.insert(std::mem::take(&mut path));
                colons = 0;
            }
        }
    }
    paths.insert(path);
    paths.remove(&Segments::new());
}
