//! The commands that fill what searches look through: `listings` and `articles`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use switchboard::{
    app::{open_store, system_clock},
    config::{Config, operator},
    demo,
    domain::{Timestamp, ids::ArticleId},
    import::{self, Format, Report},
    store::{ListingFilter, Store},
    tasks::Tasks,
};

use super::Failure;

pub(super) fn listings_command() -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("CSV with a header, a JSON array, or JSON objects a line; - for standard input");
    let format = Arg::new("format")
        .long("format")
        .value_parser(["csv", "json"])
        .help("What the file is written in; its name or its first character tells otherwise");
    Command::new("listings").about("Manage what is offered").subcommand_required(true).subcommand(
        Command::new("import")
            .about(
                "Add listings, or replace those with the same ids: id?, title, description?, category, price, status?",
            )
            .args([file, format]),
    )
}

pub(super) fn articles_command() -> Command {
    let files = Arg::new("file")
        .value_name("FILE.md")
        .required(true)
        .action(ArgAction::Append)
        .num_args(1..)
        .value_parser(value_parser!(PathBuf));
    Command::new("articles")
        .about("Manage the help articles that the assistant answers from")
        .subcommand_required(true)
        .subcommand(Command::new("import").about("Add articles, or replace those with the same names").arg(files))
        .subcommand(Command::new("list").about("List articles"))
        .subcommand(
            Command::new("delete").about("Delete an article").arg(Arg::new("id").value_name("ID").required(true)),
        )
}

pub(super) async fn import_listings(config: &Config, matches: &ArgMatches) -> Result<(), Failure> {
    let path = matches.get_one::<PathBuf>("file").map(PathBuf::as_path).unwrap_or(Path::new("-"));
    let format = match matches.get_one::<String>("format").map(String::as_str) {
        Some("csv") => Some(Format::Csv),
        Some(_) => Some(Format::Json),
        None => format_by_name(path),
    };
    let (source, bar) = open(path).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
    let store = open_store(config, &Tasks::default()).await?;
    let now = system_clock()();
    let report = import::listings(&store, bar.wrap_read(source), format, now).await;
    bar.finish_and_clear();
    if report.written > 0 {
        store.audit(operator().as_str(), "import_listings", "", &report.to_string(), now).await?;
    }
    store.close().await?;
    say(&report)
}

fn format_by_name(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        _ => None,
    }
}

/// The file, and a bar that shows how much of it has been read, to people only.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, ProgressBar)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), ProgressBar::hidden()));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !io::stderr().is_terminal() {
        return Ok((Box::new(file), ProgressBar::hidden()));
    }
    let bar = ProgressBar::new(about.len());
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left");
    bar.set_style(style.map_err(io::Error::other)?);
    Ok((Box::new(file), bar))
}

pub(super) async fn manage_articles(config: &Config, command: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let store = open_store(config, &Tasks::default()).await?;
    let now = system_clock()();
    let actor = operator();
    match command {
        "import" => {
            let paths = matches.get_many::<PathBuf>("file").unwrap_or_default();
            let files = paths.map(|path| (path.display().to_string(), File::open(path)));
            let report = import::articles(&store, files, now).await;
            if report.written > 0 {
                store.audit(actor.as_str(), "import_articles", "", &report.to_string(), now).await?;
            }
            store.close().await?;
            return say(&report);
        }
        "list" => {
            for article in store.articles().await? {
                println!("{}\t{}", article.id, article.title);
            }
        }
        _ => {
            let id = matches.get_one::<String>("id").map(String::as_str).unwrap_or_default();
            let id = ArticleId::parse(id)?;
            store.delete_article(&id).await?;
            store.audit(actor.as_str(), "delete_article", id.as_str(), "", now).await?;
            println!("{id}\tdeleted");
        }
    }
    store.close().await?;
    Ok(())
}

/// Puts the samples where nothing is yet.
pub(super) async fn fill_with_samples(store: &Store, now: Timestamp) -> Result<(), Failure> {
    let (offered, _) = store.list_listings(&ListingFilter::default(), None, 1).await?;
    if !offered.is_empty() || store.has_articles().await? {
        return Ok(());
    }
    let listings = import::listings(store, demo::listings_csv().as_bytes(), Some(Format::Csv), now).await;
    let files = demo::articles().map(|(name, markdown)| (name.to_owned(), Ok(markdown.as_bytes())));
    let articles = import::articles(store, files, now).await;
    if let Some(failure) = listings.failure.or(articles.failure) {
        return Err(Failure::Other(failure));
    }
    println!("Demo data: {} listings, {} help articles", listings.written, articles.written);
    Ok(())
}

/// Refusals go to standard error, the sum to standard output.
fn say(report: &Report) -> Result<(), Failure> {
    for name in &report.left_out {
        eprintln!("column {name:?} is not one of a listing's and was left out");
    }
    for refusal in &report.refusals {
        eprintln!("{refusal}");
    }
    if report.unnamed() > 0 {
        eprintln!("and {} more", report.unnamed());
    }
    println!("{report}");
    match &report.failure {
        Some(failure) => Err(Failure::Other(failure.clone())),
        None if report.is_success() => Ok(()),
        None => Err(Failure::Other("nothing could be taken".into())),
    }
}
