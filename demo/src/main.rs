//! The executable `herdlinx-demo`. Its code is in the library.

fn main() -> std::process::ExitCode {
    demo::cli::main_with(std::env::args_os())
}
