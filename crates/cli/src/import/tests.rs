use super::*;
use std::fs;

const GOLDEN: &str = "src/import/golden";

/// Each file with what becomes of it.
const FILES: &[(Guest, &str, &str)] = &[
    (Guest::Nginx, "nginx/nginx.conf", "nginx.out"),
    (Guest::Nginx, "nginx/mixed.conf", "mixed.out"),
    (Guest::Nginx, "nginx/tcp.conf", "tcp.out"),
    (Guest::Rpxy, "rpxy.toml", "rpxy.out"),
];

fn imported(guest: Guest, file: &str) -> Draft {
    read(guest, &Path::new(GOLDEN).join(file)).unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn what_others_configure_becomes_what_stands_beside_it() {
    for (guest, file, golden) in FILES {
        let draft = imported(*guest, file);
        let notes: String = draft.notes().iter().map(|note| format!("{note}\n")).collect();
        let printed = format!("{draft}\n=== not carried over, or not exactly\n{notes}");
        let golden = Path::new(GOLDEN).join(golden);
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if printed != expected {
            let seen = std::env::temp_dir().join(golden.file_name().unwrap());
            fs::write(&seen, &printed).unwrap();
            panic!(
                "{file} becomes {}, which differs from {}",
                seen.display(),
                golden.display()
            );
        }
    }
}

#[test]
fn nothing_printed_is_wrong_but_what_is_not_built() {
    for (guest, file, _) in FILES {
        let refused = refused(&imported(*guest, file).to_string());
        let wrong: Vec<&String> = refused
            .iter()
            .filter(|line| !line.contains("not in this version"))
            .collect();
        assert_eq!(wrong, [""; 0], "{file}");
    }
    assert_eq!(refused(&imported(Guest::Nginx, "nginx/tcp.conf").to_string()), [""; 0]);
}

#[test]
fn every_note_stands_as_a_comment_in_the_output() {
    for (guest, file, _) in FILES {
        let draft = imported(*guest, file);
        let text = draft.to_string();
        for note in draft.notes() {
            let comment = format!("# {note}");
            assert!(text.lines().any(|line| line.trim() == comment), "{comment} in\n{text}");
        }
    }
}

#[test]
fn what_leads_nowhere_or_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = write(
        "files.conf",
        "server { listen 80 default_server; root /var/www/html; location / { try_files $uri =404; } }",
    );
    let draft = read(Guest::Nginx, &files).unwrap();
    assert!(draft.sites.is_empty() && draft.listeners.is_empty(), "{draft}");
    let said: Vec<&str> = draft.notes().iter().map(|note| note.what.as_str()).collect();
    assert_eq!(
        said,
        ["root /var/www/html", "try_files $uri =404", "location /", "server"]
    );
    assert_eq!(run(Guest::Nginx, &files, Strictness::Lenient), Exit::Unmet);
    let broken = write("broken.conf", "server {\n listen 80\n}");
    assert!(
        read(Guest::Nginx, &broken)
            .unwrap_err()
            .ends_with("broken.conf:3: unexpected \"}\": \";\" is missing before it")
    );
    assert_eq!(run(Guest::Nginx, &broken, Strictness::Lenient), Exit::Usage);
    assert_eq!(
        run(Guest::Rpxy, &write("r.toml", "apps = [\n"), Strictness::Lenient),
        Exit::Usage
    );
    assert_eq!(
        run(
            Guest::Rpxy,
            &write("r.toml", "[apps.a]\nserver_name = 'a'\n"),
            Strictness::Lenient
        ),
        Exit::Usage
    );
    assert_eq!(
        run(Guest::Rpxy, Path::new("/nonexistent"), Strictness::Lenient),
        Exit::Usage
    );
    let good = write(
        "good.conf",
        "stream { server { listen 127.0.0.1:1; proxy_pass 127.0.0.1:2; } }",
    );
    assert_eq!(run(Guest::Nginx, &good, Strictness::Strict), Exit::Good);
    let lossy = write(
        "lossy.conf",
        "stream { server { listen 127.0.0.1:1; proxy_pass 127.0.0.1:2; proxy_bind 127.0.0.3; } }",
    );
    assert_eq!(run(Guest::Nginx, &lossy, Strictness::Lenient), Exit::Good);
    assert_eq!(run(Guest::Nginx, &lossy, Strictness::Strict), Exit::Unmet);
}
