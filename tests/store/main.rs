//! The store against real databases: every story runs on SQLite and on PostgreSQL.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod handling;
#[cfg(test)]
mod people;
#[cfg(test)]
mod posting;
#[cfg(test)]
mod reading;
