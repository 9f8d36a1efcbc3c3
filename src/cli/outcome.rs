//! How a verb ends: exit codes, and failures that know theirs.
//!
//! In: errors of the rooms that verbs call. Out: a sentence and a code. Must never turn a failure
//! into a fine exit.

use crate::data::DataError;
use view::Problem;

/// Exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Fine,
    /// Looked and found problems.
    Problems,
    /// Usage or configuration.
    Usage,
    /// Cannot reach a server or service.
    Unreachable,
    /// Refused: role or state.
    Refused,
    /// A bug.
    Bug,
    /// Storage no longer trusted.
    Storage,
    /// The code of a reference program.
    Program(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Problems => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Bug => 70,
            Self::Storage => 74,
            Self::Program(code) => code,
        }
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments cannot be followed.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// The server says no, with a problem document.
    #[error("{}\nhint: {}", .0.detail, .0.hint)]
    Problem(Box<Problem>),
    /// The server answered something else than it promises.
    #[error("{0}; this is a bug, or the server is of another version: compare `tier0 --version`")]
    Answer(String),
    /// The configuration has mistakes; each with its place.
    #[error("the configuration cannot be used\n{0}")]
    Configuration(String),
    /// An instance, a demo or a bench could not do its work.
    #[error("{0}")]
    Start(String),
    /// Another instance has what is asked for.
    #[error("{0}")]
    Refused(String),
    /// The storage can no longer be trusted.
    #[error("{0}")]
    Storage(String),
    /// A bug of ours.
    #[error("{0}; please report this with the output above")]
    Bug(String),
    /// A replay stopped.
    #[error(transparent)]
    Inject(#[from] programs::inject::InjectError),
    /// There are no data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The output cannot be written.
    #[error("writing the output failed: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Configuration(_) => Exit::Usage,
            Self::Start(_) => Exit::Problems,
            Self::Refused(_) => Exit::Refused,
            Self::Storage(_) => Exit::Storage,
            Self::Bug(_) => Exit::Bug,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Problem(problem) => match (problem.status, problem.code.as_str()) {
                (_, "storage-suspect") => Exit::Storage,
                (_, "bug") => Exit::Bug,
                (403 | 409, _) => Exit::Refused,
                (400 | 405 | 413 | 415 | 422, _) => Exit::Usage,
                (503, _) => Exit::Unreachable,
                _ => Exit::Problems,
            },
            Self::Answer(_) => Exit::Bug,
            Self::Inject(error) => match error {
                programs::inject::InjectError::Option { .. } => Exit::Usage,
                _ => Exit::Problems,
            },
            Self::Data(error) => match error {
                DataError::Unknown { .. } | DataError::NoCache => Exit::Usage,
                DataError::NotReachable { .. } => Exit::Unreachable,
                DataError::Wrong { .. } | DataError::Folder { .. } => Exit::Problems,
                DataError::Manifest(_) => Exit::Bug,
            },
            Self::Output(_) => Exit::Problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_the_server_have_the_exit_code_of_their_kind() {
        let check = |status: u16, code: &str, exit: Exit| {
            let problem = Problem::new(status, code, "t", "d".into(), "h");
            assert_eq!(
                Failure::Problem(Box::new(problem)).exit(),
                exit,
                "{status} {code}"
            );
        };
        check(400, "bad-request", Exit::Usage);
        check(404, "not-found", Exit::Problems);
        check(403, "foreign-host", Exit::Refused);
        check(409, "refused", Exit::Refused);
        check(500, "bug", Exit::Bug);
        check(500, "storage-suspect", Exit::Storage);
        check(500, "store", Exit::Problems);
        check(503, "store-busy", Exit::Unreachable);
    }
}
