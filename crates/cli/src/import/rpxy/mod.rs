//! rpxy's configuration.
mod app;
mod globals;
mod table;

use super::{
    draft::{Draft, Note, Part},
    value::Value,
};
use app::App;
use globals::Globals;
use std::{fs, path::Path};

/// Reads a file; otherwise everything that is wrong with its text.
pub(super) fn import(file: &Path) -> Result<Draft, Vec<String>> {
    let unreadable = |error| vec![format!("{}: cannot be read: {error}", file.display())];
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let mut root = table::parse(&text, file)?;
    let mut draft = Draft::default();
    let globals = Globals::read(&mut root, &mut draft.process);
    let apps = root
        .named("apps")
        .into_iter()
        .map(|(name, table)| App::read(name, table, &globals))
        .collect::<Vec<_>>();
    root.finish(&mut draft.process);
    if globals.plain.is_none() && globals.tls.is_none() {
        return Err(vec![format!(
            "{}: neither listen_port nor listen_port_tls is set",
            file.display()
        )]);
    }
    open(&mut draft, &globals, &apps);
    for app in &apps {
        app.place(&mut draft, &globals);
    }
    issuer(&mut draft, &globals, &apps);
    if let Some(app) = apps.iter().find(|app| app.has_relative_paths()) {
        let why =
            "rpxy takes paths from the folder it is started in, Portcullis from the folder of its file: keep it there";
        draft
            .process
            .note(Note::new(&app.place_of_tls(), "relative paths", why));
    }
    Ok(draft)
}

/// The names of the two listeners.
const SECURE: &str = "https";
const PLAIN: &str = "http";

fn open(draft: &mut Draft, globals: &Globals, apps: &[App]) {
    let serves_tls = apps.iter().any(App::is_secure);
    let serves_plain = apps.iter().any(|app| app.is_plain(globals));
    if let Some(port) = globals.tls.filter(|_| serves_tls) {
        let mut listener = globals.listener(SECURE, port);
        if globals.http3 {
            listener.set("http3", true);
        }
        if let Some(port) = globals.public_port.filter(|public| *public != port) {
            listener.set("public_port", port);
        }
        if let Some(plain) = globals.plain.filter(|_| !serves_plain) {
            listener.set("redirect_from", Value::texts(globals.addresses(plain)));
        }
        listener.notes.extend(globals.said.notes.iter().cloned());
        draft.listeners.push(listener);
    }
    if let Some(port) = globals.plain.filter(|_| serves_plain) {
        let mut listener = globals.listener(PLAIN, port);
        listener.set("plain", true);
        draft.listeners.push(listener);
    }
}

fn issuer(draft: &mut Draft, globals: &Globals, apps: &[App]) {
    if !apps.iter().any(App::has_acme) {
        return;
    }
    let mut issuer = Part::new(app::ISSUER);
    if let Some(email) = &globals.email {
        issuer.set("email", email.as_str());
    }
    draft.issuers.push(issuer);
}
