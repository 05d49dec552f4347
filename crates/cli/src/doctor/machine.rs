//! Processor, memory, files, clock, randomness.
use super::finding::{Finding, Section};
use rustix::{
    process::{Resource, getrlimit},
    rand::{GetRandomFlags, getrandom},
    time::{ClockId, clock_getres, clock_gettime},
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Below this a few hundred handshakes at once bring a machine down.
const LITTLE_MEMORY: u64 = 64 * 1024 * 1024;
/// Half of them are connections (SPEC 4), and a relayed connection is two files.
const FEW_FILES: u64 = 4096;
/// This was written in 2026: an earlier clock is wrong.
const FIRST_YEAR: u64 = 2026;
/// Clocks that start at the wrong end show years like 2106.
const LAST_YEAR: u64 = 2099;

/// The processor.
pub(super) fn processor() -> Section {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut findings = vec![
        Finding::info("model", model().unwrap_or_else(|| std::env::consts::ARCH.to_owned())),
        Finding::ok("cores", format!("{cores}: so many event loops with workers = \"auto\""))
            .facts(json!({ "cores": cores })),
    ];
    findings.extend(features());
    Section {
        title: "processor",
        findings,
    }
}

/// Memory, files, clock, randomness.
pub(super) fn limits() -> Section {
    Section {
        title: "limits",
        findings: [
            vec![files(), memory()],
            control_group().into_iter().collect(),
            vec![randomness()],
        ]
        .concat(),
    }
}

/// What time it is, and whether time passes.
pub(super) fn clock() -> Section {
    Section {
        title: "clock",
        findings: vec![calendar(SystemTime::now()), monotonic(), source(), synchronized()],
    }
}

fn model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A feature with what its absence means.
struct Feature {
    name: &'static str,
    is_there: bool,
    without: Without,
}

/// What it costs not to have it.
enum Without {
    /// A slow cipher.
    Slow(&'static str),
    /// Not much.
    Fine(&'static str),
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<Feature> {
    use std::arch::is_x86_feature_detected as detected;
    let feature = |name, is_there, without| Feature {
        name,
        is_there,
        without,
    };
    let gcm = || Without::Slow("AES-GCM is slow here, and clients that have AES ask for it first");
    vec![
        feature("AES", detected!("aes"), gcm()),
        feature("PCLMULQDQ", detected!("pclmulqdq"), gcm()),
        feature("SHA", detected!("sha"), Without::Fine("SHA-256 is slower")),
        feature(
            "AVX2",
            detected!("avx2"),
            Without::Slow("the vector code of the cryptography cannot run"),
        ),
        feature(
            "AVX-512",
            detected!("avx512f") && detected!("avx512bw") && detected!("avx512vl"),
            Without::Fine("AES-GCM is at its fastest with it"),
        ),
        feature(
            "VAES",
            detected!("vaes") && detected!("vpclmulqdq"),
            Without::Fine("AES-GCM is at its fastest with it"),
        ),
    ]
}

#[cfg(target_arch = "aarch64")]
fn detected() -> Vec<Feature> {
    use std::arch::is_aarch64_feature_detected as detected;
    let feature = |name, is_there, without| Feature {
        name,
        is_there,
        without,
    };
    let gcm = "AES-GCM is slow here, and clients that have AES ask for it first";
    vec![
        feature("AES", detected!("aes"), Without::Slow(gcm)),
        feature("PMULL", detected!("pmull"), Without::Slow(gcm)),
        feature("SHA2", detected!("sha2"), Without::Fine("SHA-256 is slower")),
        feature(
            "SHA3",
            detected!("sha3"),
            Without::Fine("SHA-3, on which ML-KEM and ML-DSA stand, is slower"),
        ),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detected() -> Vec<Feature> {
    Vec::new()
}

fn features() -> Vec<Finding> {
    let detected = detected();
    if detected.is_empty() {
        let why = format!("which features matter on {} is not known", std::env::consts::ARCH);
        return vec![Finding::untried("features", why)];
    }
    let finding = |feature: Feature| {
        let found = match (feature.is_there, feature.without) {
            (true, _) => Finding::ok(feature.name, "yes"),
            (false, Without::Slow(why)) => Finding::warn(feature.name, format!("no: {why}")),
            (false, Without::Fine(why)) => Finding::info(feature.name, format!("no: {why}")),
        };
        found.facts(json!({ "present": feature.is_there }))
    };
    detected.into_iter().map(finding).collect()
}

fn files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    judged_files(limit.current, limit.maximum)
}

/// `serve` raises the soft limit to the hard one, and lets a listener have half of that.
fn judged_files(soft: Option<u64>, hard: Option<u64>) -> Finding {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let connections = hard.map(|hard| hard / 2);
    let found = format!(
        "soft {}, hard {}: `serve` raises the soft one, and {} connections may be open",
        shown(soft),
        shown(hard),
        shown(connections)
    );
    let facts = json!({ "soft": soft, "hard": hard, "connections": connections });
    match hard {
        Some(hard) if hard < FEW_FILES => Finding::warn("open files", found).hint(
            "raise the hard limit: LimitNOFILE= of a systemd unit, ulimits of a container, ulimit -Hn of a shell",
        ),
        _ => Finding::ok("open files", found),
    }
    .facts(facts)
}

fn memory() -> Finding {
    match fs::read_to_string("/proc/meminfo") {
        Ok(text) => judged_memory(&text),
        Err(error) => Finding::untried("memory", format!("/proc/meminfo: {error}")),
    }
}

fn judged_memory(text: &str) -> Finding {
    let bytes = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    let (Some(total), Some(available)) = (bytes("MemTotal"), bytes("MemAvailable")) else {
        return Finding::untried("memory", "/proc/meminfo does not tell it");
    };
    let found = format!("{} of {} available", mebibytes(available), mebibytes(total));
    let facts = json!({ "total": total, "available": available });
    match available < LITTLE_MEMORY {
        true => Finding::warn("memory", found)
            .hint("handshakes in flight may take up to 24 KiB each, 16384 of them at once"),
        false => Finding::ok("memory", found),
    }
    .facts(facts)
}

/// The nearest limit above this process; None where there is none.
fn control_group() -> Option<Finding> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let limits = root
        .join(path)
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| {
            let text = fs::read_to_string(folder.join("memory.max")).ok()?;
            text.trim().parse::<u64>().ok()
        })
        .min()?;
    let found = format!("{} at most for this control group", mebibytes(limits));
    let finding = match limits < LITTLE_MEMORY {
        true => Finding::warn("memory limit", found).hint("raise MemoryMax= or the container's limit"),
        false => Finding::ok("memory limit", found),
    };
    Some(finding.facts(json!({ "limit": limits })))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

/// Twice, without waiting: two answers that are the same are no randomness.
fn randomness() -> Finding {
    let mut drawn = [[0_u8; 32]; 2];
    for bytes in &mut drawn {
        if let Err(error) = getrandom(bytes.as_mut_slice(), GetRandomFlags::NONBLOCK) {
            return Finding::bad("randomness", format!("the kernel gives none: {error}"))
                .hint("right after boot it gathers entropy: keys made now would wait");
        }
    }
    match drawn[0] == drawn[1] {
        true => Finding::bad("randomness", "the kernel gave the same 32 bytes twice"),
        false => Finding::ok("randomness", "the kernel gives it without waiting"),
    }
}

fn calendar(now: SystemTime) -> Finding {
    let Ok(since) = now.duration_since(UNIX_EPOCH) else {
        return Finding::bad("date", "before 1970").hint("set the clock: certificates will seem not yet valid");
    };
    let date = portcullis_certs::date(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let year: u64 = date.split('-').next().and_then(|year| year.parse().ok()).unwrap_or(0);
    let finding = match (FIRST_YEAR..=LAST_YEAR).contains(&year) {
        true => Finding::ok("date", date),
        false => Finding::bad("date", format!("{date}, which cannot be"))
            .hint("set the clock: certificates will seem expired or not yet valid"),
    };
    finding.facts(json!({ "unix": since.as_secs() }))
}

/// Asked a thousand times, it never goes back, and it goes on while we sleep.
fn monotonic() -> Finding {
    let read = || Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    let first = read();
    let mut last = first;
    for _ in 0..1000 {
        let now = read();
        if now < last {
            return Finding::bad("monotonic clock", "it goes back")
                .hint("timeouts will be wrong: look at the hypervisor");
        }
        last = now;
    }
    thread::sleep(Duration::from_millis(2));
    if read() <= last {
        return Finding::bad("monotonic clock", "it stands still").hint("timeouts will never come");
    }
    let resolution = Duration::try_from(clock_getres(ClockId::Monotonic)).unwrap_or_default();
    Finding::ok(
        "monotonic clock",
        format!("goes forward, in steps of {} ns", resolution.as_nanos()),
    )
}

fn source() -> Finding {
    const FILE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match fs::read_to_string(FILE) {
        Ok(text) => judged_source(text.trim()),
        Err(error) => Finding::untried("clock source", format!("{FILE}: {error}")),
    }
}

fn judged_source(name: &str) -> Finding {
    // these two are read from a device, a microsecond each time
    match name {
        "hpet" | "acpi_pm" => Finding::warn(
            "clock source",
            format!("{name}: each look at the clock is a system call"),
        )
        .hint("a machine with a stable tsc or a paravirtual clock is faster"),
        _ => Finding::ok("clock source", name),
    }
}

/// systemd-timesyncd leaves a mark. Others tell only the kernel.
fn synchronized() -> Finding {
    match Path::new("/run/systemd/timesync/synchronized").exists() {
        true => Finding::ok("synchronisation", "systemd-timesyncd has set this clock"),
        false => Finding::untried(
            "synchronisation",
            "systemd-timesyncd left no mark, and this build does not ask the kernel (adjtimex)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    #[test]
    fn few_files_are_warned_of_and_the_hard_limit_counts() {
        let few = judged_files(Some(1024), Some(2048));
        assert_eq!((few.result, &few.facts["connections"]), (Outcome::Warn, &json!(1024)));
        let many = judged_files(Some(1024), Some(1_048_576));
        assert_eq!(
            (many.result, &many.facts["connections"]),
            (Outcome::Ok, &json!(524_288))
        );
        assert_eq!(judged_files(None, None).result, Outcome::Ok);
    }

    #[test]
    fn memory_is_read_or_said_to_be_unknown() {
        let table = [
            ("MemTotal: 2048 kB\nMemAvailable:   1024 kB\n", Outcome::Warn),
            ("MemTotal: 2097152 kB\nMemAvailable:   1048576 kB\n", Outcome::Ok),
            ("MemTotal: 2048 kB\n", Outcome::Untried),
        ];
        for (text, expected) in table {
            assert_eq!(judged_memory(text).result, expected, "{text}");
        }
    }

    #[test]
    fn a_clock_in_another_century_is_bad() {
        let at = |seconds| calendar(UNIX_EPOCH + Duration::from_secs(seconds)).result;
        assert_eq!(at(0), Outcome::Bad);
        assert_eq!(at(1_790_000_000), Outcome::Ok);
        assert_eq!(at(4_300_000_000), Outcome::Bad);
        assert_eq!(calendar(UNIX_EPOCH - Duration::from_secs(1)).result, Outcome::Bad);
    }

    #[test]
    fn a_slow_clock_source_is_warned_of() {
        assert_eq!(judged_source("hpet").result, Outcome::Warn);
        assert_eq!(judged_source("tsc").result, Outcome::Ok);
    }
}
