//! The process `herdlinxd`. All it does is in the library.

fn main() -> std::process::ExitCode {
    daemon::cli::main_with(std::env::args_os())
}
