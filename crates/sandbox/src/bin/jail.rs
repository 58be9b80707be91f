//! The sandbox's helper alone, for this crate's tests: what `sereno __jail` is in the product.

fn main() -> std::process::ExitCode {
    sereno_sandbox::helper_main()
}
