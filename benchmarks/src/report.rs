//! The table: what, Sereno's figure, the limit's figure, the ratio, and what the ratio must be.

/// Which way is good.
#[derive(Clone, Copy, PartialEq)]
pub enum Want {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
pub struct Line {
    pub what: String,
    pub ours: f64,
    pub limit: f64,
    pub unit: &'static str,
    pub must: Want,
}

/// Collects lines and prints each at once: a long run shows progress.
#[derive(Default)]
pub struct Report {
    missed: usize,
}

impl Report {
    pub fn heading(&self, text: &str) {
        println!("\n{text}");
        println!("{:<52} {:>10} {:>10}  {:>7}  must", "", "Sereno", "limit", "ratio");
    }

    /// Ours over the limit.
    pub fn ratio(&mut self, line: &Line) {
        let ratio = line.ours / line.limit;
        let (holds, must) = match line.must {
            Want::AtLeast(least) => (ratio >= least, format!("≥ {least}")),
            Want::AtMost(most) => (ratio <= most, format!("≤ {most}")),
        };
        self.missed += usize::from(!holds);
        println!(
            "{:<52} {:>10.1} {:>10.1}  {:>7.2}  {must} {}",
            format!("{} [{}]", line.what, line.unit),
            line.ours,
            line.limit,
            ratio,
            if holds { "" } else { "  MISSED" }
        );
    }

    /// A figure with a bound of its own.
    pub fn bound(&mut self, what: &str, value: f64, unit: &str, must: Want) {
        let (holds, must) = match must {
            Want::AtLeast(least) => (value >= least, format!("≥ {least}")),
            Want::AtMost(most) => (value <= most, format!("≤ {most}")),
        };
        self.missed += usize::from(!holds);
        let missed = if holds { "" } else { "  MISSED" };
        println!(
            "{:<52} {value:>10.1} {:>10}  {:>7}  {must} {missed}",
            format!("{what} [{unit}]"),
            "",
            ""
        );
    }

    pub fn note(&self, text: &str) {
        println!("  {text}");
    }

    pub fn close(&self) {
        match self.missed {
            0 => println!("\nEvery ratio is as it must be."),
            missed => {
                println!("\n{missed} ratios are not as they must be (a busy machine misses some).")
            }
        }
    }
}

/// The middle of the values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
