//! Opening the visitor's browser, where there is one to open.
use std::{
    env,
    io::{self, IsTerminal},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Whether to open a browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Browser {
    /// Where there is a display, on a terminal.
    Open,
    /// `--no-open`
    Leave,
}

const OPENER: &str = "xdg-open";

impl Browser {
    /// Opens a page, if it may and can. The child is the caller's to reap.
    pub(super) fn open(self, url: &str) -> Option<Child> {
        let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| env::var_os(name).is_some());
        if self == Browser::Leave || !has_display || !io::stdout().is_terminal() {
            return None;
        }
        let folders = env::var_os("PATH")?;
        let opener = env::split_paths(&folders)
            .map(|folder| folder.join(OPENER))
            .find(|path| path.is_file())?;
        start(&opener, url)
    }
}

/// A browser that does not start is no reason to end the demo: the address stands on the terminal.
fn start(opener: &Path, url: &str) -> Option<Child> {
    let mut command = Command::new(opener);
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_open_opens_nothing_and_a_missing_opener_is_no_error() {
        assert!(Browser::Leave.open("https://localhost/").is_none());
        assert!(start(Path::new("/nonexistent/opener"), "https://localhost/").is_none());
    }
}
