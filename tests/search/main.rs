//! Searching: what is understood of a query, and what is found for it, the same on SQLite and on PostgreSQL.

#[cfg(test)]
mod answering;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod correcting;
#[cfg(test)]
mod finding;
#[cfg(test)]
mod offering;
#[cfg(test)]
mod refining;
#[cfg(test)]
mod understanding;
#[cfg(test)]
mod vocabulary;
