//! The store: rows of state in SQL, behind the ports `Ledger` (one writer, one fence) and
//! `Catalogue` (readers).
//!
//! Facts come in by batches and go out as rows after a restart; between them stands a database that
//! must keep what it said it kept. Each batch is one transaction that begins with the fence (D2),
//! each fact is one upsert of a whole value (D4), and each row carries its value as JSON beside the
//! columns that questions need. Callers block; the asynchronous driver stays inside. Nothing here
//! decides anything: a row that contradicts another is refused, never mended.
//!
//! SQLite, MariaDB and PostgreSQL are one adapter: one set of tables, one text for each statement,
//! a spelling for each dialect.
//!
//! Reading order is the order of the `mod` lines.

mod batch;
mod blocking;
mod both;
mod condition;
mod connection;
mod database;
mod dialect;
mod errors;
mod history;
mod holdings;
mod ledger;
mod lock;
mod migrations;
mod pool;
pub mod raw_limit;
mod read;
mod reader;
mod recall;
mod rows;
mod states;
mod upsert;
mod widths;
mod writing;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod history_conformance;
#[cfg(test)]
mod holdings_conformance;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod server_tests;

pub use condition::Condition;
pub use database::Database;
pub use ledger::SqlLedger;
pub use reader::SqlCatalogue;
