//! Rows as one text: how a host hands them over at once, since a call for each cell would cost more than SQLite does.
//!
//! The number of columns, then each cell in turn behind a comma (`n` for null, `i` and a number, `t` and the length
//! of a text in UTF-16 units), and behind the first line break the texts themselves, one after another.

use crate::sql::{Cell, Row, SqlError};

/// The rows in such a text.
pub fn rows(text: &str) -> Result<Vec<Row>, SqlError> {
    let (cells, mut texts) = text.split_once('\n').ok_or_else(unreadable)?;
    let mut cells = cells.split(',');
    let columns = cells.next().and_then(|number| number.parse().ok()).ok_or_else(unreadable)?;
    let is_ascii = texts.is_ascii();
    let mut rows = Vec::new();
    let mut cell = cells.next();
    while let Some(first) = cell {
        let row: Vec<Cell> = [first]
            .into_iter()
            .chain(cells.by_ref())
            .take(columns)
            .map(|cell| read(cell, &mut texts, is_ascii))
            .collect::<Result<_, _>>()?;
        rows.push(row.into_iter().collect());
        cell = cells.next();
    }
    Ok(rows)
}

/// One cell; a text is taken from the front of `texts`.
fn read(cell: &str, texts: &mut &str, is_ascii: bool) -> Result<Cell, SqlError> {
    match (cell.get(..1), cell.get(1..)) {
        (Some("t"), Some(length)) => {
            let units = length.parse().map_err(|_| unreadable())?;
            let end = if is_ascii { units } else { bytes_of(texts, units) };
            let (text, rest) = texts.split_at_checked(end).ok_or_else(unreadable)?;
            *texts = rest;
            Ok(Cell::Text(text.to_owned()))
        }
        (Some("i"), Some(number)) => match number.parse() {
            Ok(integer) => Ok(Cell::Integer(integer)),
            Err(_) => number.parse().map(Cell::Real).map_err(|_| unreadable()),
        },
        (Some("n"), _) => Ok(Cell::Null),
        _ => Err(unreadable()),
    }
}

/// How many bytes of a text are so many UTF-16 units.
fn bytes_of(text: &str, units: usize) -> usize {
    let mut left = units;
    let mut bytes = 0_usize;
    for c in text.chars() {
        match left.checked_sub(c.len_utf16()) {
            Some(rest) if left > 0 => left = rest,
            _ => break,
        }
        bytes = bytes.saturating_add(c.len_utf8());
    }
    bytes
}

fn unreadable() -> SqlError {
    SqlError::new("rows are not as they were written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_they_were() {
        let mut rows = rows("3,i1,t4,n,i1.5,t0,t3\nann\u{e9}\u{1f600}x").unwrap().into_iter();
        let mut first = rows.next().unwrap();
        assert_eq!(first.integer().unwrap(), 1);
        assert_eq!(first.text().unwrap(), "ann\u{e9}");
        assert_eq!(first.maybe_text().unwrap(), None);
        let mut second = rows.next().unwrap();
        assert_eq!(second.maybe_integer().unwrap(), Some(1));
        assert_eq!(second.text().unwrap(), "");
        assert_eq!(second.text().unwrap(), "\u{1f600}x");
        assert!(rows.next().is_none());
    }

    #[test]
    fn what_is_not_such_a_text_is_refused() {
        for text in ["", "2", "x\n", "1,t5\nabc", "1,q\n", "1,i\n", "1,t-1\nab"] {
            assert!(rows(text).is_err(), "{text}");
        }
    }
}
