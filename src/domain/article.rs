//! A help article: Markdown with a title, cut into passages that an answer can quote.

use serde::{Deserialize, Serialize};

use super::{Timestamp, error::Error, ids::ArticleId};

/// The longest article, in characters.
const ARTICLE_CHARS_MAX: usize = 200_000;

/// Longer sections are cut between paragraphs; a paragraph that is longer itself, between lines or words.
const PASSAGE_CHARS_MAX: usize = 1200;

/// The longest title and heading, in characters; longer ones are cut.
const TITLE_CHARS_MAX: usize = 200;

/// What a list of articles says about each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Article {
    /// Its id.
    pub id: ArticleId,
    /// What it is about.
    pub title: String,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An article's Markdown, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleText {
    /// From the front matter, else the first heading, else the first line.
    pub title: String,
    /// The parts, in order.
    pub sections: Vec<Section>,
}

/// A part of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading above it, when it is not the article's title.
    pub heading: Option<String>,
    /// Markdown of at most about 1200 characters.
    pub text: String,
}

impl ArticleText {
    /// Reads Markdown.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no text, too much of it, or a NUL.
    pub fn parse(markdown: &str) -> Result<Self, Error> {
        if markdown.chars().count() > ARTICLE_CHARS_MAX || markdown.contains('\0') {
            let why = format!("an article must have at most {ARTICLE_CHARS_MAX} characters and no NUL");
            return Err(Error::Invalid(why.into()));
        }
        let (declared, body) = front_matter(markdown.trim_start_matches('\u{feff}'));
        let mut parts = split_at_headings(body);
        let first_heading = parts.iter().find_map(|(heading, _)| heading.clone());
        let first_line = || body.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
        let title = declared.or(first_heading).or_else(first_line);
        let title = shortened(&title.ok_or_else(|| Error::invalid("an article must not be empty"))?);
        parts.retain(|(_, text)| !text.trim().is_empty());
        let sections: Vec<Section> = parts
            .into_iter()
            .flat_map(|(heading, text)| {
                let heading = heading.map(|heading| shortened(&heading)).filter(|heading| *heading != title);
                cut(&text).into_iter().map(move |text| Section { heading: heading.clone(), text })
            })
            .collect();
        if sections.is_empty() {
            return Err(Error::invalid("an article must have text below its title"));
        }
        Ok(Self { title, sections })
    }
}

/// The title that a block between two `---` lines at the beginning declares, and what comes behind it.
fn front_matter(markdown: &str) -> (Option<String>, &str) {
    let Some(inner) = markdown.strip_prefix("---").filter(|rest| rest.starts_with(['\n', '\r'])) else {
        return (None, markdown);
    };
    let Some((head, body)) = inner.split_once("\n---") else { return (None, markdown) };
    let title = head.lines().find_map(|line| line.strip_prefix("title:"));
    let title = title.map(|title| title.trim().trim_matches(['"', '\'']).to_owned()).filter(|title| !title.is_empty());
    (title, body.split_once('\n').map_or("", |(_, body)| body))
}

/// The text below each heading, with the heading; what stands above the first one has none. Code is no place for
/// headings.
fn split_at_headings(body: &str) -> Vec<(Option<String>, String)> {
    let mut parts: Vec<(Option<String>, String)> = vec![(None, String::new())];
    let mut in_code = false;
    for line in body.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if !in_code && let Some(heading) = heading(line) {
            parts.push((Some(heading), String::new()));
        } else if let Some((_, text)) = parts.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    parts
}

/// The text of a line such as `## Returns`.
fn heading(line: &str) -> Option<String> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ')?.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && !text.is_empty()).then(|| text.to_owned())
}

/// Cuts a long text between paragraphs.
fn cut(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = vec![];
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    for paragraph in paragraphs.flat_map(cut_paragraph) {
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() + paragraph.chars().count() < PASSAGE_CHARS_MAX => {
                piece.push_str("\n\n");
                piece.push_str(&paragraph);
            }
            _ => pieces.push(paragraph),
        }
    }
    pieces
}

/// Cuts a paragraph that is too long by itself, behind the last space that fits.
fn cut_paragraph(paragraph: &str) -> Vec<String> {
    let mut pieces = vec![];
    let mut rest = paragraph;
    while let Some((limit, _)) = rest.char_indices().nth(PASSAGE_CHARS_MAX) {
        let fitting = rest.get(..limit).unwrap_or(rest);
        let end = fitting.rfind(char::is_whitespace).filter(|end| *end > 0).unwrap_or(limit);
        let (piece, behind) = rest.split_at(end);
        pieces.push(piece.trim_end().to_owned());
        rest = behind.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

fn shortened(title: &str) -> String {
    title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(markdown: &str) -> (String, Vec<(Option<String>, String)>) {
        let article = ArticleText::parse(markdown).unwrap();
        (article.title, article.sections.into_iter().map(|section| (section.heading, section.text)).collect())
    }

    #[test]
    fn headings_make_sections() {
        let (title, sections) = parse(
            "# Returns\n\nWithin 7 days.\n\n## How ##\nBring it back.\n```\n# no heading\n```\n#hashtag\n## Empty\n",
        );
        assert_eq!(title, "Returns");
        assert_eq!(
            sections,
            [
                (None, "Within 7 days.".to_owned()),
                (Some("How".to_owned()), "Bring it back.\n```\n# no heading\n```\n#hashtag".to_owned()),
            ]
        );
    }

    #[test]
    fn the_title_comes_from_front_matter_heading_or_first_line() {
        assert_eq!(parse("\u{feff}---\ntitle: \"A: b\"\ntags: x\n---\n# Else\ntext").0, "A: b");
        assert_eq!(parse("---\nno end\ntext").0, "---");
        assert_eq!(parse("\nplain words\nmore").0, "plain words");
        assert_eq!(parse("intro\n\n# Head\ntext").0, "Head");
        for bad in ["", " \n", "# Only a title\n", "a\0b", &"x".repeat(200_001)] {
            assert!(ArticleText::parse(bad).is_err());
        }
    }

    #[test]
    fn long_sections_are_cut_and_lose_nothing() {
        let paragraphs = [vec!["word"; 150].join(" "), "y".repeat(3000), "tail".to_owned()];
        let (_, sections) = parse(&format!("# T\n\n{}", paragraphs.join("\n\n")));
        assert!(sections.len() > 3 && sections.iter().all(|(_, text)| text.chars().count() <= PASSAGE_CHARS_MAX));
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let joined: String = sections.iter().map(|(_, text)| letters(text)).collect();
        assert_eq!(joined, letters(&paragraphs.concat()));
    }
}
