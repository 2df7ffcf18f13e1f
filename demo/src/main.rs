//! The process `herdlinx-demo`. All it does is in the library.

fn main() -> std::process::ExitCode {
    demo::cli::main_with(std::env::args_os())
}
