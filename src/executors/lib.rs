//! Local execution: spawner, processes, warm workers.
