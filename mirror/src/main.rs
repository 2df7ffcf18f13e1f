//! `herdlinx-mirror`: see `herdlinx-mirror --help`.

fn main() -> std::process::ExitCode {
    mirror::cli::main_with(std::env::args_os())
}
