//! The files of an nginx configuration: the one named, and all that it includes.
use super::{
    super::draft::{Note, Place},
    grammar::{self, Directive, SyntaxError},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// A file that includes itself would never end; nobody nests them deeper by intention.
const DEEPEST: usize = 16;

/// What stands in the files.
#[derive(Debug)]
pub(super) struct Files {
    /// Their directives, each include replaced by what it names.
    pub(super) directives: Vec<Directive>,
    /// What could not be read.
    pub(super) notes: Vec<Note>,
    /// What paths in them are relative to.
    pub(super) prefix: PathBuf,
}

/// Why nothing can be imported.
#[derive(Debug, Error)]
pub(in crate::import) enum FilesError {
    #[error("{}: cannot be read: {error}", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
}

/// Reads a file and what it includes.
pub(super) fn read(file: &Path) -> Result<Files, FilesError> {
    let mut files = Files {
        directives: Vec::new(),
        notes: Vec::new(),
        prefix: prefix_of(file),
    };
    let directives = parse(file).map_err(|error| match error {
        Unread::Io(error) => FilesError::Unreadable {
            file: file.to_owned(),
            error,
        },
        Unread::Syntax(error) => error.into(),
    })?;
    files.directives = files.expanded(directives, 0)?;
    Ok(files)
}

/// nginx takes relative paths from the folder of its main file; a part of a configuration is taken from there too.
fn prefix_of(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    let main = folder.ancestors().find(|folder| folder.join("nginx.conf").is_file());
    main.unwrap_or(folder).to_owned()
}

enum Unread {
    Io(io::Error),
    Syntax(SyntaxError),
}

fn parse(file: &Path) -> Result<Vec<Directive>, Unread> {
    let bytes = fs::read(file).map_err(Unread::Io)?;
    // comments may be in any encoding; what matters is ASCII
    grammar::parse(&String::from_utf8_lossy(&bytes), file).map_err(Unread::Syntax)
}

impl Files {
    fn expanded(&mut self, directives: Vec<Directive>, depth: usize) -> Result<Vec<Directive>, FilesError> {
        let mut all = Vec::with_capacity(directives.len());
        for mut directive in directives {
            match directive.block.take() {
                Some(block) => directive.block = Some(self.expanded(block, depth)?),
                None if directive.name == "include" => {
                    all.extend(self.included(&directive, depth)?);
                    continue;
                }
                None => {}
            }
            all.push(directive);
        }
        Ok(all)
    }

    fn included(&mut self, include: &Directive, depth: usize) -> Result<Vec<Directive>, FilesError> {
        let place = Place::new(&include.file, include.line);
        let pattern = include.words.first().map_or("", String::as_str);
        let what = format!("include {pattern}");
        if depth == DEEPEST {
            self.notes
                .push(Note::new(&place, what, "files include one another too deep"));
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for file in self.named(pattern) {
            match parse(&file) {
                Ok(directives) => all.extend(self.expanded(directives, depth + 1)?),
                Err(Unread::Syntax(error)) => return Err(error.into()),
                // a list of file types is of no use here
                Err(Unread::Io(_)) if file.ends_with("mime.types") => {}
                Err(Unread::Io(error)) => {
                    let why = format!("{} cannot be read: {error}", file.display());
                    self.notes.push(Note::new(&place, what.as_str(), why));
                }
            }
        }
        Ok(all)
    }

    /// The files of a pattern in order; a name without marks is there or not.
    fn named(&self, pattern: &str) -> Vec<PathBuf> {
        let path = self.prefix.join(pattern);
        if !pattern.contains(['*', '?', '[']) {
            return vec![path];
        }
        // the folder's own name is no pattern
        let escaped = Path::new(&glob::Pattern::escape(&self.prefix.to_string_lossy())).join(pattern);
        let found = glob::glob(&escaped.to_string_lossy());
        found.into_iter().flatten().filter_map(Result::ok).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_followed_from_the_main_files_folder_with_globs_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let main = write(
            "nginx.conf",
            "http { include sites/*.conf; include gone.conf; include mime.types; }\n",
        );
        write("sites/b.conf", "b;\ninclude parts/c;\n");
        write("sites/a.conf", "a;\n");
        write("sites/a.conf.bak", "never;\n");
        write("parts/c", "c;\n");
        let files = read(&main).unwrap();
        let http = files.directives[0].block.as_ref().unwrap();
        let names: Vec<&str> = http.iter().map(|directive| directive.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((&http[1].file, http[1].line), (&folder.path().join("sites/b.conf"), 1));
        let [note] = files.notes.as_slice() else {
            panic!("{:?}", files.notes)
        };
        assert_eq!((note.what.as_str(), note.place.line), ("include gone.conf", 1));
        let part = read(&folder.path().join("sites/b.conf")).unwrap();
        assert_eq!(part.directives[1].name, "c", "a part knows the main file above it");
        let itself = write("nginx.conf", "include nginx.conf;");
        assert_eq!(read(&itself).unwrap().notes.len(), 1);
        write("parts/c", "c {");
        assert!(matches!(
            read(&folder.path().join("sites/b.conf")),
            Err(FilesError::Syntax(_))
        ));
        assert!(matches!(
            read(&folder.path().join("none")),
            Err(FilesError::Unreadable { .. })
        ));
    }
}
