//! nginx's configuration.
mod access;
mod answer;
mod doors;
mod files;
mod grammar;
mod headers;
mod http;
mod listen;
mod location;
mod names;
mod redirect;
mod said;
mod scope;
mod stream;
mod target;
mod tls;

use super::draft::Draft;
use grammar::Directive;
use scope::Scope;
use std::path::Path;
use target::Shelf;

pub(super) use files::FilesError;

/// Reads a main file, or a part of one such as a site of Debian's `sites-available`.
pub(super) fn import(file: &Path) -> Result<Draft, FilesError> {
    let files = files::read(file)?;
    let mut draft = Draft::default();
    draft.process.notes.extend(files.notes);
    let root = Scope::new(&files.directives);
    let is_main = ["http", "stream", "events", "mail"]
        .iter()
        .any(|name| root.one(name).is_some());
    if !is_main {
        http::read(&mut draft, &root, &shelf(&root, &files.prefix));
        return Ok(draft);
    }
    workers(&mut draft, &root);
    said::leftovers(&mut draft.process, root.own(), &[]);
    for block in root.own() {
        let inner = root.within(block.block());
        match block.name.as_str() {
            "http" => http::read(&mut draft, &inner, &shelf(&inner, &files.prefix)),
            "stream" => stream::read(&mut draft, &inner, &shelf(&inner, &files.prefix)),
            _ => {}
        }
    }
    Ok(draft)
}

fn shelf<'f>(scope: &Scope<'f>, prefix: &'f Path) -> Shelf<'f> {
    let blocks = scope.own().iter().filter(|directive| directive.name == "upstream");
    Shelf {
        upstreams: blocks.map(|block: &Directive| (block.first(), block)).collect(),
        prefix,
    }
}

/// `auto`, which ours is anyway, or a number.
fn workers(draft: &mut Draft, root: &Scope<'_>) {
    if let Some(workers) = root.word("worker_processes").and_then(|text| text.parse::<u64>().ok()) {
        draft.process.set("workers", workers);
    }
}
