//! Holds the shape of the source tree: who may import whom, where words are spelled, how long files get.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Lower layers first. A module may use itself and the modules of the lines before its own.
const LAYERS: &[&[&str]] = &[
    &["domain", "config", "tasks", "demo"],
    &["dialects", "store", "assistant", "telemetry", "tokens"],
    &["realtime"],
    &["app"],
    &["service"],
    &["transport", "http", "worker", "import"],
    &["server"],
    &["catalogue"],
    &["main"],
];

/// Imports that the layers would allow and the design does not.
const FORBIDDEN: &[(&str, &str)] = &[("service", "dialects"), ("http", "dialects")];

/// Same-layer imports that the design names: settings speak of people, tokens of settings, REST of the handshake.
const ALLOWED: &[(&str, &str)] = &[("config", "domain"), ("http", "transport")];

/// Crates that only one module may know.
const OWNERS: &[(&str, &[&str])] = &[
    ("sea_orm", &["store"]),
    ("async_openai", &["assistant"]),
    ("socketioxide", &["transport"]),
    ("jsonwebtoken", &["tokens"]),
    // `app` only opens it.
    ("redis", &["app", "realtime"]),
    (
        "tokio",
        &["assistant", "app", "http", "main", "realtime", "server", "service", "store", "tasks", "transport", "worker"],
    ),
    ("axum", &["http", "server", "transport"]),
];

const LINES_MAX: usize = 400;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the top module that it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let mut files = vec![];
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let with_module = |path: PathBuf| {
        let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        (first.trim_end_matches(".rs").to_owned(), path, text)
    };
    files.into_iter().map(with_module).filter(|(module, ..)| module != "lib").collect()
}

/// True when the text names `crate::module`, alone or inside `use crate::{…};`. In `main` the crate has its own name.
fn imports(text: &str, module: &str) -> bool {
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    let names = |text: &str| text.split(word).any(|name| name == module);
    ["crate", "switchboard"].iter().any(|root| {
        let alone = text
            .match_indices(&format!("{root}::{module}"))
            .any(|(at, found)| text[at + found.len()..].chars().next().is_none_or(word));
        let top_level = |block: &str| {
            // Only the first level of the braces names modules of the crate.
            let mut depth = 0;
            let kept: String = block
                .chars()
                .filter(|c| {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => return depth == 0,
                    }
                    false
                })
                .collect();
            kept.split(',').any(|item| names(item.trim().split("::").next().unwrap_or_default()))
        };
        let opening = format!("use {root}::{{");
        let grouped = text.split(&opening).skip(1).filter_map(|rest| rest.split(';').next());
        alone || grouped.map(|block| block.trim_end().trim_end_matches('}')).any(top_level)
    })
}

#[test]
fn modules_import_downwards_only() {
    let rank = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut offences = vec![];
    for (module, path, text) in sources() {
        let own = rank(&module).unwrap_or_else(|| panic!("{module} has no layer"));
        for other in LAYERS.iter().flat_map(|layer| *layer).filter(|other| **other != module) {
            let is_above = rank(other) > Some(own);
            let is_beside = rank(other) == Some(own) && !ALLOWED.contains(&(module.as_str(), other));
            let is_forbidden = FORBIDDEN.contains(&(module.as_str(), other));
            if (is_above || is_beside || is_forbidden) && imports(&text, other) {
                offences.push(format!("{} uses {other}", path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn each_library_stays_where_it_belongs() {
    let mut offences = vec![];
    for (module, path, text) in sources() {
        for (library, owners) in OWNERS {
            let named = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && line.contains(&format!("{library}::"))
                    && !line.contains(&format!("::{library}::"))
            });
            if named && !owners.contains(&module.as_str()) {
                offences.push(format!("{} uses {library}", path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

/// The words that a dialect's clients say or hear: string literals with an underscore or colon in its match arms and
/// frames.
fn words(text: &str) -> HashSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let literals = code.split('"').skip(1).step_by(2);
    let is_word = |word: &&str| {
        word.contains(['_', ':'])
            && word.len() > 4
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == ':')
    };
    literals.filter(is_word).map(str::to_owned).collect()
}

/// Names of the dialects themselves, and the one word that two of the systems happen to share (seeds 002 and 004).
const NOT_OFFENDING: [&str; 3] = ["support_desk", "ai_chat", "message_received"];

#[test]
fn each_word_of_a_protocol_is_spelled_in_one_dialect() {
    let spelled: Vec<_> = sources().into_iter().filter(|(module, ..)| module == "dialects").collect();
    let mut offences = vec![];
    for (_, path, text) in &spelled {
        let folder = path.parent().unwrap();
        for word in words(text).iter().filter(|word| !NOT_OFFENDING.contains(&word.as_str())) {
            let quoted = format!("\"{word}\"");
            for (_, other, elsewhere) in &spelled {
                let is_same = if folder.ends_with("dialects") { other == path } else { other.starts_with(folder) };
                if !is_same && elsewhere.contains(&quoted) {
                    offences.push(format!("{word} in {} and {}", path.display(), other.display()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn transports_know_no_words() {
    let spoken: HashSet<_> = sources()
        .into_iter()
        .filter(|(module, ..)| module == "dialects")
        .flat_map(|(_, _, text)| words(&text))
        .collect();
    assert!(spoken.contains("send_message") && spoken.contains("message:send"), "the words are found at all");
    let mut offences = vec![];
    for (module, path, text) in sources() {
        if ["transport", "realtime", "service", "server"].contains(&module.as_str()) {
            // Names of commands and columns may look alike; words with a colon, and those with a verb first, do not.
            let said = words(&text).into_iter().filter(|word| spoken.contains(word) && word != "authenticate");
            offences.extend(said.map(|word| format!("{word} in {}", path.display())));
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn files_stay_short_and_say_why_they_exist() {
    let mut offences = vec![];
    for (_, path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            offences.push(format!("{} does not say why it exists", path.display()));
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn tests_do_not_wait_by_the_clock() {
    let mut files = vec![];
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut files);
    let call = ["sle", "ep("].concat();
    let offences: Vec<_> = files.into_iter().filter(|path| fs::read_to_string(path).unwrap().contains(&call)).collect();
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn imports_are_recognised() {
    assert!(imports("use crate::hub;", "hub"));
    assert!(imports("let x = crate::hub::Hub::new();", "hub"));
    assert!(imports("use crate::{\n    app::App,\n    hub::{self, Hub},\n};", "hub"));
    assert!(imports("use switchboard::{app::App};", "app"));
    assert!(!imports("use crate::{app::{hub, App}};", "hub"));
    assert!(!imports("use crate::hubs::X; use super::hub;", "hub"));
}
