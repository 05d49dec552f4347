//! Facts of the build for `portcullis --version`, each left out where it cannot be known: the sources may lie in a
//! tarball without git, and git itself is never run.
use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let lock = above(&folder, "Cargo.lock").and_then(|file| read(&file));
    for package in ["rustls", "aws-lc-rs", "aws-lc-sys"] {
        let found = lock.as_deref().and_then(|lock| locked(lock, package));
        let variable = package.to_uppercase().replace('-', "_");
        tell(&variable, found.unwrap_or_default());
    }
    // packagers who build from a tarball know the commit and may say so
    println!("cargo::rerun-if-env-changed=PORTCULLIS_BUILD_COMMIT");
    let named = env::var("PORTCULLIS_BUILD_COMMIT").ok().filter(|text| !text.is_empty());
    tell("COMMIT", &named.or_else(|| commit(&folder)).unwrap_or_default());
    for variable in ["TARGET", "PROFILE"] {
        tell(variable, &env::var(variable).unwrap_or_default());
    }
    let features = env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut features: Vec<String> = features.filter(|name| name != "default").collect();
    features.sort();
    tell("FEATURES", &features.join(", "));
}

fn tell(variable: &str, value: &str) {
    println!("cargo::rustc-env=PORTCULLIS_BUILT_{variable}={value}");
}

/// A file's text, which the next build looks at again.
fn read(file: &Path) -> Option<String> {
    println!("cargo::rerun-if-changed={}", file.display());
    fs::read_to_string(file).ok()
}

/// The nearest file or folder of this name, here or above.
fn above(folder: &Path, name: &str) -> Option<PathBuf> {
    folder
        .ancestors()
        .map(|above| above.join(name))
        .find(|path| path.exists())
}

/// The version of a package in the text of a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != entry);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    version.strip_suffix('"')
}

/// The commit that is checked out, if these sources are a repository of their own: a `.git` further above belongs to
/// somebody else, who has unpacked us into his.
fn commit(folder: &Path) -> Option<String> {
    let workspace = folder.ancestors().nth(2)?;
    let git = workspace.join(".git");
    let git = match fs::read_to_string(&git) {
        // a worktree: the file says where its folder is
        Ok(text) => workspace.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    let head = read(&git.join("HEAD"))?;
    // every commit adds a line here, also where its branch's own file is not there yet
    let moves = git.join("logs/HEAD");
    if moves.exists() {
        println!("cargo::rerun-if-changed={}", moves.display());
    }
    let Some(branch) = head.trim().strip_prefix("ref: ") else {
        return hash(&head);
    };
    let shared = match fs::read_to_string(git.join("commondir")) {
        Ok(text) => git.join(text.trim()),
        Err(_) => git.clone(),
    };
    let loose = [&git, &shared].into_iter().map(|folder| folder.join(branch));
    if let Some(found) = loose.filter(|file| file.exists()).find_map(|file| hash(&read(&file)?)) {
        return Some(found);
    }
    let packed = read(&shared.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.ends_with(&format!(" {branch}")))?;
    hash(line.split(' ').next()?)
}

/// Twelve digits, as git shortens in a large repository.
fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text[..12].to_owned())
}
