//! A configuration file's text: listeners, sites and upstreams, and what a test adds to them.
use crate::pki::Files;
use std::{fmt::Display, net::SocketAddr};

/// A configuration with one listener `front`, one site `site` and one upstream `back`, and room for more.
#[derive(Clone, Debug)]
pub struct Front {
    /// Certificates of the site, in order.
    pub certificates: Vec<Files>,
    /// Servers of the upstream.
    pub servers: Vec<String>,
    /// Lines at the top of the file.
    pub top: String,
    /// Lines of the listener.
    pub listener: String,
    /// Lines of the site.
    pub site: String,
    /// Lines of the upstream.
    pub upstream: String,
    /// Whole tables at the end of the file.
    pub more: String,
}

impl Front {
    /// These certificates before that backend, everything else as it comes.
    pub fn new(certificates: &[Files], backend: SocketAddr) -> Front {
        Front {
            certificates: certificates.to_vec(),
            servers: vec![backend.to_string()],
            top: String::new(),
            listener: r#"listen = ["127.0.0.1:0"]"#.to_owned(),
            site: String::new(),
            upstream: String::new(),
            more: String::new(),
        }
    }

    /// The same with another line of its listener.
    pub fn listener(mut self, line: &str) -> Front {
        add(&mut self.listener, line);
        self
    }

    /// The same with another line of its site.
    pub fn site(mut self, line: &str) -> Front {
        add(&mut self.site, line);
        self
    }

    /// The same with another line of its upstream.
    pub fn upstream(mut self, line: &str) -> Front {
        add(&mut self.upstream, line);
        self
    }

    /// The same with another line at the top.
    pub fn top(mut self, line: &str) -> Front {
        add(&mut self.top, line);
        self
    }

    /// The same with another table.
    pub fn more(mut self, table: &str) -> Front {
        add(&mut self.more, table);
        self
    }

    /// The text.
    pub fn toml(&self) -> String {
        let Front {
            top,
            listener,
            site,
            upstream,
            more,
            ..
        } = self;
        let certificates = certificates(&self.certificates);
        let servers = list(self.servers.iter().map(|s| format!("{s:?}")));
        format!(
            r#"
log = {{ level = "debug", format = "json", access = "-" }}
{top}
[[listener]]
name = "front"
mode = "tcp"
{listener}
[[site]]
name = "site"
{certificates}
upstream = "back"
{site}
[upstream.back]
servers = {servers}
{upstream}
{more}
"#
        )
    }
}

/// The line of a site's certificates; nothing for none.
pub fn certificates(files: &[Files]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let each = files
        .iter()
        .map(|f| format!("{{ chain = {:?}, key = {:?} }}", f.chain, f.key));
    format!("certificates = {}", list(each))
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn add(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
