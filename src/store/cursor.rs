//! Where a page of a list ends: the time and id of its last row, opaque to clients.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{ColumnTrait, Condition};

use crate::domain::error::Error;

/// The cursor behind a row.
pub(super) fn behind(at: i64, id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{at}/{id}"))
}

/// What comes after the row that a cursor names, in a list that is ordered by both columns, latest first.
pub(super) fn older<C: ColumnTrait>(cursor: &str, at_column: C, id_column: C) -> Result<Condition, Error> {
    let (at, id) = read(cursor).ok_or_else(|| Error::invalid("cursor is not valid"))?;
    let same_time = Condition::all().add(at_column.eq(at)).add(id_column.lt(id));
    Ok(Condition::any().add(at_column.lt(at)).add(same_time))
}

fn read(cursor: &str) -> Option<(i64, String)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (at, id) = text.split_once('/')?;
    let is_id = !id.is_empty() && !id.contains('\0');
    Some((at.parse().ok()?, id.to_owned())).filter(|_| is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        assert_eq!(read(&behind(-5, "a/b")), Some((-5, "a/b".to_owned())));
        for bad in ["", "?", "MQ", &BASE64_URL_SAFE_NO_PAD.encode("x/y"), &behind(1, ""), &behind(1, "a\0")] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
