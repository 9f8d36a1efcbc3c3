//! Whoever asks plugins how a task's input is split.

use model::plugin::SplitQuestion;

/// Asks splitters.
pub trait AskSplitter: Send + Sync {
    /// Which inputs go together, by their places in the question; or what the plugin did instead,
    /// which reads on from its name. Returns within the question's time, and leaves nothing
    /// running.
    fn ask(&self, question: &SplitQuestion) -> Result<Vec<Vec<u32>>, String>;
}
