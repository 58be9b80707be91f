//! The house as it must be: tidy, and every arrow pointing down.

#[test]
fn is_tidy() {
    let found = xtask::tidy::violations(&xtask::root()).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn arrows_point_down() {
    let found = xtask::arrows::violations().unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
