//! A few connections for readers. In come questions, each gets a connection to itself for as long
//! as it takes; a connection that failed is never used again. One that stood idle while its server
//! was started anew is replaced within the same question.

use crate::connection::Connection;
use crate::database::{Database, Purpose};
use crate::errors::is_away;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions answered at the same time, at most; further ones wait.
const CONNECTIONS_MAX: usize = 4;
/// How long a question waits for its turn before it is told that the store is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server has for an answer: the longest list, 10,000 rows, takes it a tenth of a
/// second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that can only read.
#[derive(Debug)]
pub(crate) struct Pool {
    database: Database,
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            turns: Semaphore::new(CONNECTIONS_MAX),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Makes sure that a connection can be had.
    pub(crate) async fn connect(&self) -> Result<(), sqlx::Error> {
        let connection = self.database.connect(Purpose::Read).await?;
        self.put_back(connection);
        Ok(())
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
    }

    /// Asks, on a connection of its own.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFn(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Ok(Ok(_turn)) = timeout(TURN_TIMEOUT, self.turns.acquire()).await else {
            return Err(sqlx::Error::PoolTimedOut);
        };
        while let Some(mut connection) = self.take_idle() {
            match self.answer(&question, &mut connection).await {
                // The server has closed what stood idle: the next one, or a new one.
                Err(error) if is_away(self.database.dialect(), &error) => {}
                answer => return self.keep(connection, answer),
            }
        }
        let mut connection = self.database.connect(Purpose::Read).await?;
        let answer = self.answer(&question, &mut connection).await;
        self.keep(connection, answer)
    }

    /// A connection that answered is used again.
    fn keep<T>(
        &self,
        connection: Connection,
        answer: Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        if answer.is_ok() {
            self.put_back(connection);
        }
        answer
    }

    async fn answer<T>(
        &self,
        question: impl AsyncFn(&mut Connection) -> Result<T, sqlx::Error>,
        connection: &mut Connection,
    ) -> Result<T, sqlx::Error> {
        if self.database.file().is_some() {
            // A file answers; a statement that has begun must end before its connection is left.
            return question(connection).await;
        }
        let answer = timeout(ANSWER_TIMEOUT, question(connection)).await;
        answer.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
            Err(sqlx::Error::AnyDriverError(text.into()))
        })
    }
}
