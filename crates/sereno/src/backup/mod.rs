//! `sereno backup`, `restore`, `migrate`: everything from one place to another.

pub mod work;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sereno_store_local::backup::{Progress, Report};

use crate::place::{EngineOption, FolderOptions, PlaceOptions};
use crate::{Outcome, control};

#[derive(Args)]
#[command(
    after_help = "The folder then holds all data, all objects and the keys of the installation: keep it as safe as the data itself. On the
disk of the data folder it shares the objects with it (hard links): copy it to another disk or machine.

Examples:
  sereno backup /backups/monday
  sereno backup /backups/monday --data ./cloud
  sereno backup /backups/monday --store postgres://sereno:secret@db/sereno --objects /shared/objects"
)]
pub struct BackupOptions {
    /// A folder that does not exist yet.
    to: PathBuf,

    #[command(flatten)]
    place: PlaceOptions,
}

#[derive(Args)]
#[command(after_help = "Examples:
  sereno restore /backups/monday --data ./cloud
  sereno restore /backups/monday --store postgres://sereno:secret@db/sereno --objects /shared/objects")]
pub struct RestoreOptions {
    /// The folder that a backup was made to.
    from: PathBuf,

    #[command(flatten)]
    place: PlaceOptions,

    #[command(flatten)]
    folder: FolderOptions,
}

#[derive(Args)]
#[command(
    after_help = "Stop the servers first; the old place is only read. Then start them on the new one.

Examples:
  sereno migrate --data ./cloud --to-store postgres://sereno:secret@db/sereno --to-objects /shared/objects
  sereno migrate --store postgres://sereno:secret@db/sereno --objects /shared/objects --to-data ./cloud
  sereno migrate --data ./cloud --to-data ./cloud2 --to-engine redb"
)]
pub struct MigrateOptions {
    #[command(flatten)]
    from: PlaceOptions,

    /// The new data folder.
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present = "to_store",
        conflicts_with = "to_store"
    )]
    to_data: Option<PathBuf>,

    /// The new database, as --store.
    #[arg(long, value_name = "URL", requires = "to_objects")]
    to_store: Option<String>,

    /// Its objects, as --objects.
    #[arg(long, value_name = "FOLDER|URL", requires = "to_store")]
    to_objects: Option<String>,

    /// The embedded engine of the new data folder.
    #[arg(long, value_enum, default_value_t = EngineOption::Fjall, conflicts_with = "to_store")]
    to_engine: EngineOption,
}

pub async fn backup(options: BackupOptions) -> Outcome {
    if options.to.exists() {
        return Err(format!("{} is there already: give a new folder", options.to.display()));
    }
    // The server that does it has another current folder.
    let to = std::path::absolute(&options.to).map_err(|error| error.to_string())?;
    let to_text = to.to_str().filter(|text| !text.contains('\n'));
    let to_text = to_text.ok_or("the folder's name must be plain text")?;
    let report = match online(&options.place, &format!("backup {to_text}")).await? {
        Some(report) => report,
        None => {
            let place = options.place.open_existing().await?;
            let cloud = place.cloud().await?;
            work::backup(&place, &cloud, &to, &show).await?
        }
    };
    conclude(&report, &format!("saved to {}", to.display()))
}

/// Asks the server that runs on a data folder, if one does.
pub async fn online(place: &PlaceOptions, request: &str) -> Result<Option<Report>, String> {
    if place.store.is_some() {
        return Ok(None);
    }
    control::ask(&place.folder(), request, &show).await
}

pub async fn restore(options: RestoreOptions) -> Outcome {
    let from: &Path = &options.from;
    if !from.join("entries").is_file() {
        let from = from.display();
        return Err(format!("{from} holds no backup, or one that was not finished"));
    }
    let fill = async |place: &_| work::restore(place, from, &show).await;
    let report = options.place.fill(options.folder.engine, fill).await?;
    conclude(&report, "restored")
}

pub async fn migrate(options: MigrateOptions) -> Outcome {
    let from = options.from.open_existing().await?;
    let to = PlaceOptions {
        data: options.to_data,
        store: options.to_store,
        objects: options.to_objects,
    };
    let fill = async |place: &_| work::migrate(&from, place, &show).await;
    let report = to.fill(options.to_engine, fill).await?;
    conclude(&report, "moved")
}

/// On a terminal, one line that is written over.
pub fn show(so_far: Progress) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let Progress { entries, blobs } = so_far;
        // A terminal that is gone needs no progress.
        drop(write!(terminal, "\r{entries} entries, {blobs} objects ... "));
    }
}

/// Says what was done, and what is wrong with it.
pub fn conclude(report: &Report, done: &str) -> Outcome {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    println!(
        "{done}: {} entries ({}), {} objects ({})",
        report.entries.entries,
        size(report.entries.bytes),
        report.blobs,
        size(report.blob_bytes)
    );
    if report.problems.is_empty() {
        return Ok(());
    }
    let count = report.problems.len();
    Err(format!("{count} problem(s):\n  {}", report.problems.join("\n  ")))
}

fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let power = (0..units.len()).rev().find(|power| bytes >> (10 * power) > 0).unwrap_or(0);
    match power {
        0 => format!("{bytes} bytes"),
        _ => format!("{:.1} {}", bytes as f64 / 1024_f64.powi(power as i32), units[power]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_fitting_units() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1_023), "1023 bytes");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(3 << 40), "3.0 TiB");
    }
}
