//! Ledger and register on SQL.
