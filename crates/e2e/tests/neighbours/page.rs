//! The commands of a page. Blocks of `sh` run to their end, blocks of `sh serves` run on, blocks of `sh fails` end badly,
//! blocks of `sh ci` are what `.ci/run` does. Words behind that are programs of others that a block needs. The lines of a
//! block of `text` behind one are what it says. A block of another language with a second word is a file of that name. A
//! line that begins a comment with Ctrl-C ends what serves.

/// A step of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) commands: String,
    /// Each of these stands somewhere in what it says; dots stand for anything.
    pub(crate) says: Vec<String>,
    /// Programs that are not ours.
    pub(crate) needs: Vec<String>,
}

/// What becomes of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It ends by itself, well.
    Runs,
    /// It ends by itself, badly.
    Fails,
    /// It does not end until it is told to.
    Serves,
    /// Told to.
    Ends,
    /// It is a file.
    File(String),
    /// `.ci/run` runs it.
    Ci,
}

const CTRL_C: &str = "<!-- Ctrl-C";

/// The blocks of a page, in order. A fence that is none of these is for other tests.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(CTRL_C) {
            blocks.push(Block::new(Kind::Ends));
        }
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if fence == "text" {
            let before = blocks.last_mut().expect("a text stands behind its commands");
            before.says.extend(body.iter().map(|line| line.trim().to_owned()));
        } else if let Some(block) = opened(fence) {
            let commands = body.join("\n");
            blocks.push(Block { commands, ..block });
        }
    }
    blocks
}

fn opened(fence: &str) -> Option<Block> {
    let mut words = fence.split(' ').peekable();
    let language = words.next()?;
    if language != "sh" {
        return words.next().map(|name| Block::new(Kind::File(name.to_owned())));
    }
    let kind = match words.peek() {
        Some(&"serves") => Kind::Serves,
        Some(&"fails") => Kind::Fails,
        Some(&"ci") => Kind::Ci,
        _ => Kind::Runs,
    };
    if kind != Kind::Runs {
        words.next();
    }
    let needs = words.map(str::to_owned).collect();
    Some(Block {
        needs,
        ..Block::new(kind)
    })
}

impl Block {
    fn new(kind: Kind) -> Block {
        Block {
            kind,
            commands: String::new(),
            says: Vec::new(),
            needs: Vec::new(),
        }
    }
}

/// Whether a text holds this; `...` in it, with the blanks around, stands for anything on the same line.
pub(crate) fn holds(text: &str, wanted: &str) -> bool {
    let follows = |line: &str| {
        let mut rest = line;
        wanted.split("...").all(|piece| match rest.split_once(piece.trim()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    text.lines().any(follows)
}

#[test]
fn a_page_becomes_its_commands_and_what_they_say() {
    let page = "words\n```sh\na\nb\n```\n```text\n  one\ntwo\n```\nmore\n```toml\nx = 1\n```\n```sh serves nginx\nc\n```\n\
                <!-- Ctrl-C ends it -->\n```nginx a.conf\nd\n```\n```sh fails curl jq\ne\n```\n";
    let block = |kind, commands: &str, says: &[&str], needs: &[&str]| Block {
        kind,
        commands: commands.to_owned(),
        says: says.iter().map(|line| (*line).to_owned()).collect(),
        needs: needs.iter().map(|name| (*name).to_owned()).collect(),
    };
    assert_eq!(
        blocks(page),
        [
            block(Kind::Runs, "a\nb", &["one", "two"], &[]),
            block(Kind::Serves, "c", &[], &["nginx"]),
            block(Kind::Ends, "", &[], &[]),
            block(Kind::File("a.conf".to_owned()), "d", &[], &[]),
            block(Kind::Fails, "e", &[], &["curl", "jq"]),
        ]
    );
}

#[test]
fn dots_stand_for_anything_on_a_line() {
    let text = "wrote /tmp/demo-x7/ca.pem\nready";
    for wanted in [
        "ready",
        "/tmp/demo-.../ca.pem",
        "wrote ...",
        "wrote /tmp/demo-x7/ca.pem",
    ] {
        assert!(holds(text, wanted), "{wanted}");
    }
    for wanted in ["wrote ... ready", "demo-.../key.pem", "ca.pem ... wrote"] {
        assert!(!holds(text, wanted), "{wanted}");
    }
}
