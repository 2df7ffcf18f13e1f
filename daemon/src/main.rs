//! The program `herdlinxd`. Everything is in the library.

fn main() -> std::process::ExitCode {
    daemon::cli::main_with(std::env::args_os())
}
