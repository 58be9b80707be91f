//! `table.txt`: patterns, events and what AWS answers.

use sereno_pattern::Pattern;

#[test]
fn table() {
    let cases = include_str!("table.txt").lines().filter(|line| !line.starts_with('#'));
    for case in cases {
        let verdicts = ["  yes  ", "  no   ", "  bad  "];
        let verdict = verdicts.iter().find(|verdict| case.contains(**verdict));
        let verdict = verdict.unwrap_or_else(|| panic!("no verdict: {case}"));
        let (pattern, rest) = case.split_once(*verdict).unwrap();
        let parsed = Pattern::parse(pattern.trim());
        match (verdict.trim(), parsed) {
            ("bad", Err(error)) => assert_eq!(error.reason, rest.trim(), "{case}"),
            ("bad", Ok(_)) => panic!("accepted: {case}"),
            (_, Err(error)) => panic!("{case}: {}", error.reason),
            (expected, Ok(pattern)) => {
                let event = serde_json::from_str(rest.trim()).unwrap();
                assert_eq!(pattern.matches(&event), expected == "yes", "{case}");
            }
        }
    }
}
