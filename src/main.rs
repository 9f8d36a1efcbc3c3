//! The program `tier0`: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The spawner is this program too, and must stay small: it never gets as far as the command
    // line.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "spawner") {
        let rest: Vec<String> = arguments
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        return ExitCode::from(executors::spawner_main(&rest) as u8);
    }
    let (mut out, mut talk) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(tier0::cli::run(std::env::args_os(), &mut out, &mut talk))
}
