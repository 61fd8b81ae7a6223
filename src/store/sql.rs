//! Raw statements for what the query builder cannot say (`CASE` in updates, conditional inserts), values always bound.

use sea_orm::{DbBackend, Statement, Value};

/// A statement with one `?` for each value; PostgreSQL wants them numbered. The text must not have `?` in literals.
pub(super) fn statement(backend: DbBackend, text: &str, values: Vec<Value>) -> Statement {
    if backend != DbBackend::Postgres {
        return Statement::from_sql_and_values(backend, text, values);
    }
    let mut numbered = String::with_capacity(text.len() + 2 * values.len());
    for (position, part) in text.split('?').enumerate() {
        if position > 0 {
            numbered.push('$');
            numbered.push_str(&position.to_string());
        }
        numbered.push_str(part);
    }
    Statement::from_sql_and_values(backend, numbered, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_for_postgres_only() {
        let values = || vec![Value::from(1), Value::from(2)];
        let text = "UPDATE t SET a = ? WHERE b = ?";
        assert_eq!(statement(DbBackend::Sqlite, text, values()).sql, text);
        assert_eq!(statement(DbBackend::Postgres, text, values()).sql, "UPDATE t SET a = $1 WHERE b = $2");
    }
}
