//! The generated files are what the generator makes.

#[test]
fn generated_files_are_fresh() {
    if let Err(error) = xtask::codegen::run(&[], true) {
        panic!("{error}");
    }
}
