//! What stands below the help of a command; tests type every line of it.

pub(super) const DEMO_EXAMPLES: &str = "Examples:
  portcullis demo
  portcullis demo --no-open";

pub(super) const STATUS_EXAMPLES: &str = "Examples:
  portcullis status
  portcullis status --ready --admin unix:/run/portcullis/admin.sock";

pub(super) const RELOAD_EXAMPLES: &str = "Examples:
  portcullis reload
  portcullis reload -c portcullis.toml";

pub(super) const DRAIN_EXAMPLES: &str = "Examples:
  portcullis drain
  portcullis drain --admin unix:/run/portcullis/admin.sock";

pub(super) const REPORT_EXAMPLES: &str = "Examples:
  portcullis report
  portcullis report --since 30d --site shop --csv > clients.csv
  portcullis report --json --ledger a.db b.db --from unix:/run/portcullis/admin.sock
  portcullis report --cbom --since 2026-11-01 > cbom.json";

pub(super) const GROUPS_EXAMPLES: &str = "Examples:
  portcullis groups
  portcullis groups --json";

pub(super) const CERT_EXAMPLES: &str = "Examples:
  portcullis cert ca --dual --out pki
  portcullis cert server --issuer pki/ca-mldsa65.pem --name shop.example.com --out pki
  portcullis cert inspect pki/shop.example.com.pem";

pub(super) const IMPORT_EXAMPLES: &str = "Examples:
  portcullis import nginx /etc/nginx/nginx.conf > portcullis.toml
  portcullis import nginx --strict /etc/nginx/sites-available/default
  portcullis import rpxy config.toml > portcullis.toml";

pub(super) const DOCTOR_EXAMPLES: &str = "Examples:
  portcullis doctor
  portcullis doctor -c portcullis.toml
  portcullis doctor --json --listen :443 --cert both.pem";

pub(super) const BENCH_EXAMPLES: &str = "Examples:
  portcullis bench
  portcullis bench --only X25519,X25519MLKEM768,mldsa65 --seconds 3
  portcullis bench --json --only TLS_CHACHA20_POLY1305_SHA256";

pub(super) const COMPLETIONS_EXAMPLES: &str = "Examples:
  # bash, for this session
  source <(portcullis completions bash)
  # bash, for good
  portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis
  # zsh, in a folder of $fpath
  portcullis completions zsh > ~/.zfunc/_portcullis
  # fish
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish
  # PowerShell, in $PROFILE
  portcullis completions powershell | Out-String | Invoke-Expression";

pub(super) const MAN_EXAMPLES: &str = "Examples:
  portcullis man | man -l -
  portcullis man cert ca | man -l -
  portcullis man --out ~/.local/share/man/man1";
