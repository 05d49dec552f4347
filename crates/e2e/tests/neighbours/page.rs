//! The commands of a page: blocks of `sh` run to their end, blocks of `sh serves` run on, and the lines of a block of
//! `text` behind one are what it says.

/// A block of commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) commands: String,
    /// Each of these stands somewhere in what it says.
    pub(crate) says: Vec<String>,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// By itself, well.
    Runs,
    /// Not until it is told to.
    Serves,
}

/// The blocks of a page, in order. A fence that is neither is for other tests.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let kind = match fence {
            "sh" => Kind::Runs,
            "sh serves" => Kind::Serves,
            "text" => {
                let before = blocks.last_mut().expect("a text stands behind its commands");
                before.says.extend(body.iter().map(|line| line.trim().to_owned()));
                continue;
            }
            _ => continue,
        };
        blocks.push(Block {
            kind,
            commands: body.join("\n"),
            says: Vec::new(),
        });
    }
    blocks
}

#[test]
fn a_page_becomes_its_commands_and_what_they_say() {
    let page = "words\n```sh\na\nb\n```\n```text\n  one\ntwo\n```\nmore\n```toml\nx = 1\n```\n```sh serves\nc\n```\n";
    let block = |kind, commands: &str, says: &[&str]| Block {
        kind,
        commands: commands.to_owned(),
        says: says.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(
        blocks(page),
        [
            block(Kind::Runs, "a\nb", &["one", "two"]),
            block(Kind::Serves, "c", &[])
        ]
    );
}
