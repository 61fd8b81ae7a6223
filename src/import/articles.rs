//! Help articles from Markdown files, one article a file.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{Report, in_database};
use crate::{
    domain::{Timestamp, error::Error, ids::ArticleId},
    store::Store,
};

/// The largest article, in bytes.
const ARTICLE_BYTES_MAX: u64 = 256 * 1024;

/// Writes help articles; one with the id of a stored one replaces it. A file's name without its ending is the id.
pub async fn articles<R: Read>(
    store: &Store,
    files: impl Iterator<Item = (String, io::Result<R>)>,
    now: Timestamp,
) -> Report {
    let mut report = Report::of("articles");
    for (name, file) in files {
        report.read += 1;
        let article = id_of(&name).and_then(|id| Ok((id, markdown(file)?)));
        let (id, markdown) = match article {
            Ok(article) => article,
            Err(reason) => {
                report.refuse(&name, reason);
                continue;
            }
        };
        match store.put_article(id.as_str(), &markdown, now).await {
            Ok(_) => report.written += 1,
            Err(Error::Invalid(reason)) => report.refuse(&name, reason),
            Err(error) => {
                report.failure = Some(in_database(error));
                break;
            }
        }
    }
    report
}

fn id_of(name: &str) -> Result<ArticleId, String> {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    ArticleId::parse(stem).map_err(|_| "the file's name may have letters, digits and _ . : - only".into())
}

fn markdown<R: Read>(file: io::Result<R>) -> Result<String, String> {
    let mut text = String::new();
    let read = file.and_then(|file| file.take(ARTICLE_BYTES_MAX + 1).read_to_string(&mut text));
    let read = read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    })?;
    if read as u64 > ARTICLE_BYTES_MAX {
        return Err("it is larger than 256 KiB".into());
    }
    Ok(text)
}
