//! Named parameters of a SQL query: `:from` becomes `$1`, outside of strings, names and comments.

use std::fmt;

/// A query with numbered parameters, and the name of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedQuery {
    /// Text for the database.
    pub text: Box<str>,
    /// Names of `$1`, `$2` and so on, without the colon.
    pub parameters: Vec<Box<str>>,
}

/// Reason for which a query cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// A string, a name or a comment does not end.
    Unterminated(&'static str),
    /// The query contains `;` before its end.
    SeveralStatements,
    /// The query does not read.
    NotSelect,
    /// The query has parameters of the database's own form: `$1`, `?`.
    NumberedParameter(char),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Unterminated(what) => write!(f, "the query has {what} without an end"),
            QueryError::SeveralStatements => f.write_str("the query has several statements"),
            QueryError::NotSelect => f.write_str("the query does not begin with SELECT or WITH"),
            QueryError::NumberedParameter(sign) => {
                write!(f, "the query has `{sign}`, which is no named parameter")?;
                // PostgreSQL has operators of this name.
                let is_operator = *sign == '?';
                let instead = "; for JSON of PostgreSQL, call jsonb_exists(column, 'key')";
                f.write_str(if is_operator { instead } else { "" })
            }
        }
    }
}

impl NumberedQuery {
    /// Reads a query. It must be one `SELECT`, since a look-up only reads.
    ///
    /// ```
    /// use switchboard::rules::NumberedQuery;
    ///
    /// let query = NumberedQuery::parse("SELECT ':to' FROM c WHERE n = :from::text").unwrap();
    /// assert_eq!(&*query.text, "SELECT ':to' FROM c WHERE n = $1::text");
    /// assert_eq!(query.parameters, ["from".into()]);
    /// ```
    ///
    /// # Errors
    /// Fails if the query is no single `SELECT`, or its parameters have no names.
    pub fn parse(text: &str) -> Result<NumberedQuery, QueryError> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut scanner = Scanner { rest: text, rewritten: String::new(), parameters: Vec::new() };
        scanner.run()?;
        let Scanner { rewritten, parameters, .. } = scanner;
        if !begins_with_select(&rewritten) {
            return Err(QueryError::NotSelect);
        }
        Ok(NumberedQuery { text: rewritten.into(), parameters })
    }
}

/// Returns whether the first word is `SELECT` or `WITH`, leaving aside comments and parentheses before it.
fn begins_with_select(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            break;
        }
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    ["select", "with"].iter().any(|read| word.eq_ignore_ascii_case(read))
}

struct Scanner<'q> {
    rest: &'q str,
    rewritten: String,
    parameters: Vec<Box<str>>,
}

impl<'q> Scanner<'q> {
    fn run(&mut self) -> Result<(), QueryError> {
        while let Some(next) = self.rest.chars().next() {
            match next {
                '\'' => self.copy_until("'", "a string")?,
                '"' => self.copy_until("\"", "a quoted name")?,
                '`' => self.copy_until("`", "a quoted name")?,
                '-' if self.rest.starts_with("--") => self.copy_line(),
                '/' if self.rest.starts_with("/*") => self.copy_until("*/", "a comment")?,
                '$' => self.copy_dollar_quoted()?,
                ':' => self.replace_parameter(),
                ';' => return Err(QueryError::SeveralStatements),
                '?' => return Err(QueryError::NumberedParameter('?')),
                c => self.copy(c.len_utf8()),
            }
        }
        Ok(())
    }

    fn copy(&mut self, bytes: usize) {
        let (copied, rest) = self.rest.split_at(bytes);
        self.rewritten.push_str(copied);
        self.rest = rest;
    }

    /// Copies up to and including `end`, which is searched for after the opening sign.
    fn copy_until(&mut self, end: &str, what: &'static str) -> Result<(), QueryError> {
        let opening = end.len();
        let found = self.rest[opening..].find(end).ok_or(QueryError::Unterminated(what))?;
        self.copy(opening + found + end.len());
        Ok(())
    }

    fn copy_line(&mut self) {
        self.copy(self.rest.find('\n').unwrap_or(self.rest.len()));
    }

    /// Copies `$$text$$` or `$tag$text$tag$`, strings of PostgreSQL; `$1` is a parameter without a name.
    fn copy_dollar_quoted(&mut self) -> Result<(), QueryError> {
        let after = &self.rest[1..];
        let tag = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        let is_quote =
            after[tag..].starts_with('$') && !after.starts_with(|c: char| c.is_numeric());
        if !is_quote {
            return Err(QueryError::NumberedParameter('$'));
        }
        let delimiter = self.rest[..tag + 2].to_owned();
        self.copy_until(&delimiter, "a string")
    }

    /// Numbers the parameter `:name`. Copies `::type`, a conversion of PostgreSQL, and a colon alone.
    fn replace_parameter(&mut self) {
        if self.rest.starts_with("::") {
            return self.copy(2);
        }
        let name = &self.rest[1..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        if end == 0 || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.copy(1);
        }
        let (name, rest) = name.split_at(end);
        let known = self.parameters.iter().position(|known| **known == *name);
        let place = known.unwrap_or_else(|| {
            self.parameters.push(name.into());
            self.parameters.len() - 1
        });
        self.rewritten.push_str(&format!("${}", place + 1));
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, Vec<String>), QueryError> {
        let query = NumberedQuery::parse(text)?;
        let names = query.parameters.iter().map(|name| name.to_string()).collect();
        Ok((query.text.to_string(), names))
    }

    #[test]
    fn parameters_outside_of_strings_names_and_comments_are_numbered() {
        let text = "WITH x AS (SELECT ':a', \":b\", $$:c$$, $t$:d$t$) /* :e */ -- :f\n\
                    SELECT x[1:2], now()::date FROM x WHERE n = :from OR t = :to OR m = :from;";
        let (rewritten, names) = parse(text).expect("a query");
        assert_eq!(names, ["from", "to"]);
        assert!(rewritten.ends_with("WHERE n = $1 OR t = $2 OR m = $1"), "{rewritten}");
        assert!(rewritten.contains("$$:c$$, $t$:d$t$) /* :e */ -- :f\n"), "{rewritten}");
    }

    #[test]
    fn what_is_no_single_select_is_refused() {
        let refused = [
            ("DELETE FROM c", QueryError::NotSelect),
            ("-- SELECT\nUPDATE c SET a = 1", QueryError::NotSelect),
            ("SELECT 1; DELETE FROM c", QueryError::SeveralStatements),
            ("SELECT 'a", QueryError::Unterminated("a string")),
            ("SELECT \"a", QueryError::Unterminated("a quoted name")),
            ("SELECT /* a", QueryError::Unterminated("a comment")),
            ("SELECT $1", QueryError::NumberedParameter('$')),
            ("SELECT ?", QueryError::NumberedParameter('?')),
        ];
        for (text, error) in refused {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(parse("(select 'it''s') ;").is_ok());
    }
}
