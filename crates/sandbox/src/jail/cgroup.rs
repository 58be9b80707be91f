//! Memory, process and CPU limits, by control groups of version 1 or 2, whichever this machine has.
//!
//! Invariants: groups are made only below the group we were started in (outer limits keep holding), in one folder per
//! helper that is swept when its helper is gone; a controller that cannot be used is reported, not skipped silently.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// AWS gives one virtual CPU per 1,769 MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const MEMORY_MB_PER_CPU: u64 = 1769;
const PROCESSES_MAX: u64 = 1024;
/// Weighs as much as a function with so little memory would.
const WAITING_MEMORY_MB: u64 = 16;
const FOLDER_PREFIX: &str = "sereno-";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A controller that is usable here: where our folder for it is.
#[derive(Clone, Debug)]
struct Controller {
    name: &'static str,
    version: Version,
    folder: PathBuf,
}

/// What can be limited on this machine.
pub struct Cgroups {
    controllers: Vec<Controller>,
    refused: Vec<(&'static str, String)>,
}

/// Who joins which groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// An instance's first process: never frozen, so that it can end the others whatever happens to the helper.
    First,
    Freezer,
    Runtime,
}

/// The group of one instance.
pub struct Cgroup {
    /// (controller, version, folder); with version 2 the folder repeats.
    folders: Vec<(&'static str, Version, PathBuf)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub memory_mb: u64,
    /// Files in `/tmp` are memory too, but are not the function's memory.
    pub tmp_mb: u64,
}

const NAMES: [&str; 4] = ["memory", "pids", "cpu", "freezer"];

impl Cgroups {
    /// Finds and tries what is there. `owner` names our folder: the helper's process id.
    pub fn find(owner: u32) -> Cgroups {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = Cgroups { controllers: Vec::new(), refused: Vec::new() };
        for name in NAMES {
            match candidate(name, &mounts, &own).and_then(|(version, base)| {
                open_folder(name, version, &base, owner).map(|folder| (version, folder))
            }) {
                Ok((version, folder)) => {
                    found.controllers.push(Controller { name, version, folder });
                }
                Err(reason) => found.refused.push((name, reason)),
            }
        }
        found
    }

    pub fn has(&self, name: &str) -> bool {
        self.controllers.iter().any(|controller| controller.name == name)
    }

    /// "version 1", "version 2", or why not.
    pub fn detail(&self, name: &str) -> String {
        for controller in &self.controllers {
            if controller.name == name {
                let version = if controller.version == Version::One { 1 } else { 2 };
                return format!("control group version {version}");
            }
        }
        let reason = self.refused.iter().find(|(refused, _)| *refused == name);
        reason.map(|(_, why)| why.clone()).unwrap_or_default()
    }

    pub fn create(&self, name: &str) -> io::Result<Cgroup> {
        let mut group = Cgroup { folders: Vec::new() };
        for controller in &self.controllers {
            let folder = controller.folder.join(name);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => group.folders.push((controller.name, controller.version, folder)),
            }
        }
        if let Some((_, _, folder)) = group.find("pids") {
            fs::write(folder.join("pids.max"), PROCESSES_MAX.to_string())?;
        }
        // Until it has a function, it only makes ready: work that may wait for all others.
        group.weigh(WAITING_MEMORY_MB)?;
        Ok(group)
    }

    /// Removes our folders; instances must be gone.
    pub fn remove_all(&self) {
        for controller in &self.controllers {
            sweep(&controller.folder);
        }
    }
}

impl Cgroup {
    fn find(&self, name: &str) -> Option<&(&'static str, Version, PathBuf)> {
        self.folders.iter().find(|(found, _, _)| *found == name)
    }

    /// Files by which a process with one thread joins by itself: it writes `0` to each. That takes microseconds, where
    /// moving another process waits for every CPU (10 ms and more), which only version 1 allows to avoid.
    pub fn join_files(&self, which: Joining) -> io::Result<Vec<fs::File>> {
        let wanted = |name: &str| match which {
            Joining::First => name != "freezer",
            Joining::Freezer => name == "freezer",
            Joining::Runtime => true,
        };
        let own = self
            .folders
            .iter()
            .filter(|(name, version, _)| *version == Version::One && wanted(name));
        own.map(|(_, _, folder)| fs::OpenOptions::new().write(true).open(folder.join("tasks")))
            .collect()
    }

    /// For version 1 only, where a frozen process cannot even be killed.
    pub fn thaw_file(&self) -> io::Result<Option<fs::File>> {
        match self.find("freezer") {
            Some((_, Version::One, folder)) => {
                fs::OpenOptions::new().write(true).open(folder.join("freezer.state")).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Moves a process into the groups that it cannot join by itself.
    pub fn add_rest(&self, pid: i32) -> io::Result<()> {
        let rest = self.folders.iter().find(|(_, version, _)| *version == Version::Two);
        rest.map_or(Ok(()), |(_, _, folder)| {
            fs::write(folder.join("cgroup.procs"), pid.to_string())
        })
    }

    pub fn limit(&self, limits: Limits) -> io::Result<()> {
        let bytes = ((limits.memory_mb + limits.tmp_mb) * 1024 * 1024).to_string();
        match self.find("memory") {
            Some((_, Version::One, folder)) => {
                fs::write(folder.join("memory.limit_in_bytes"), &bytes)?;
                // Where swap is counted, it must not be a way around the limit.
                let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), &bytes);
            }
            Some((_, Version::Two, folder)) => {
                fs::write(folder.join("memory.max"), &bytes)?;
                let _ = fs::write(folder.join("memory.swap.max"), "0");
                let _ = fs::write(folder.join("memory.oom.group"), "0");
            }
            None => {}
        }
        self.weigh(limits.memory_mb)
    }

    fn weigh(&self, memory_mb: u64) -> io::Result<()> {
        match self.find("cpu") {
            Some((_, Version::One, folder)) => {
                let shares = (memory_mb * 1024 / MEMORY_MB_PER_CPU).max(2);
                fs::write(folder.join("cpu.shares"), shares.to_string())
            }
            Some((_, Version::Two, folder)) => {
                let weight = (memory_mb * 100 / MEMORY_MB_PER_CPU).clamp(1, 10_000);
                fs::write(folder.join("cpu.weight"), weight.to_string())
            }
            None => Ok(()),
        }
    }

    /// The file that tells the most memory ever used.
    pub fn peak_file(&self) -> Option<PathBuf> {
        let (_, version, folder) = self.find("memory")?;
        Some(folder.join(match version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        }))
    }

    /// The file whose numbers tell anonymous memory apart from files in `/tmp`.
    pub fn statistics_file(&self) -> Option<PathBuf> {
        let (_, _, folder) = self.find("memory")?;
        Some(folder.join("memory.stat"))
    }

    /// The file that stops and continues all processes, and whether it takes words (version 1) or digits.
    pub fn freezer_file(&self) -> Option<(PathBuf, bool)> {
        let (_, version, folder) = self.find("freezer")?;
        Some(match version {
            Version::One => (folder.join("freezer.state"), true),
            Version::Two => (folder.join("cgroup.freeze"), false),
        })
    }

    pub fn thaw(&self) {
        if let Some((file, words)) = self.freezer_file() {
            let _ = fs::write(file, if words { "THAWED" } else { "0" });
        }
    }

    pub fn limits_memory(&self) -> bool {
        self.find("memory").is_some()
    }

    /// How often the kernel killed a process here for want of memory.
    pub fn memory_kills(&self) -> u64 {
        let Some((_, version, folder)) = self.find("memory") else { return 0 };
        let file = match version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
    }

    /// True when gone (or never there); processes that are still ending keep it busy.
    pub fn remove(&self) -> bool {
        self.folders.iter().all(|(_, _, folder)| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }
}

/// Where the controller is mounted and which group we are in.
fn candidate(name: &str, mounts: &str, own: &str) -> Result<(Version, PathBuf), String> {
    if let Some(mount) = mounts.lines().find_map(|line| mount_of(line, Some(name))) {
        let group = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            controllers.split(',').any(|controller| controller == name).then_some(path)
        });
        return Ok((Version::One, below(&mount, group.unwrap_or("/"))));
    }
    let Some(mount) = mounts.lines().find_map(|line| mount_of(line, None)) else {
        return Err("no control groups are mounted".to_owned());
    };
    let group = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    Ok((Version::Two, below(&mount, group)))
}

/// (root of the mount, mount point) of a version 1 controller, or of version 2.
fn mount_of(line: &str, controller: Option<&str>) -> Option<(String, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1).unwrap_or_default());
    let wanted = match controller {
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
        None => kind == "cgroup2",
    };
    wanted.then(|| (root.to_owned(), PathBuf::from(point)))
}

fn below((root, point): &(String, PathBuf), group: &str) -> PathBuf {
    let inside = group.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
    point.join(inside.trim_start_matches('/'))
}

fn open_folder(name: &str, version: Version, base: &Path, owner: u32) -> Result<PathBuf, String> {
    let say = |what: &str, error: io::Error| format!("{what}: {error}");
    sweep_dead(base);
    let folder = base.join(format!("{FOLDER_PREFIX}{owner}"));
    if version == Version::Two {
        enable(base, name).map_err(|error| say("cannot delegate", error))?;
    }
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(say(&format!("cannot make {}", folder.display()), error));
        }
        _ => {}
    }
    if version == Version::Two {
        enable(&folder, name).map_err(|error| say("cannot delegate", error))?;
    }
    if name == "cpu" {
        weigh_all(&folder, version).map_err(|error| say("cannot be weighed", error))?;
    }
    Ok(folder)
}

/// All instances together weigh as much as a busy process on every processor, not as one process.
fn weigh_all(folder: &Path, version: Version) -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    match version {
        Version::One => fs::write(folder.join("cpu.shares"), (1024 * processors).to_string()),
        Version::Two => {
            let weight = (100 * processors).min(10_000);
            fs::write(folder.join("cpu.weight"), weight.to_string())
        }
    }
}

/// Lets groups below `folder` use a version 2 controller. A group that has processes cannot do that unless it is the
/// root; then our own processes move one level down, if they are the only ones.
fn enable(folder: &Path, name: &str) -> io::Result<()> {
    if name == "freezer" {
        return Ok(()); // cgroup.freeze is in every group
    }
    let control = folder.join("cgroup.subtree_control");
    if fs::read_to_string(&control)?.split_whitespace().any(|enabled| enabled == name) {
        return Ok(());
    }
    let order = format!("+{name}");
    match fs::write(&control, &order) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let leaf = folder.join("sereno-main");
            let _ = fs::create_dir(&leaf);
            let (own, parent) = (std::process::id(), rustix::process::getppid());
            let ours = |pid: &str| {
                pid == own.to_string()
                    || parent.is_some_and(|parent| pid == parent.as_raw_nonzero().to_string())
            };
            let members = fs::read_to_string(folder.join("cgroup.procs"))?;
            if !members.lines().all(ours) {
                return Err(error);
            }
            for pid in members.lines() {
                fs::write(leaf.join("cgroup.procs"), pid)?;
            }
            fs::write(&control, &order)
        }
        other => other,
    }
}

/// Removes what helpers left behind that were killed together with their server.
fn sweep_dead(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX));
        let Some(owner) = owner.and_then(|owner| owner.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            end_all(&entry.path());
            sweep(&entry.path());
        }
    }
}

/// What a dead helper left frozen ends once it is thawed: it was killed already. What else is there is killed now.
fn end_all(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for group in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines().filter_map(|line| line.parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = fs::write(group.join("freezer.state"), "THAWED");
        let _ = fs::write(group.join("cgroup.freeze"), "0");
        for _ in 0..50 {
            if fs::remove_dir(&group).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

fn sweep(folder: &Path) {
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 /docker/ab /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const OWN: &str = "5:memory:/box/1\n4:cpu,cpuacct:/\n3:pids:/docker/ab/x\n0::/user";

    #[test]
    fn finds_where_each_controller_is() {
        let at = |name| candidate(name, MOUNTS, OWN);
        assert_eq!(at("memory"), Ok((Version::One, "/sys/fs/cgroup/memory/box/1".into())));
        assert_eq!(at("cpu"), Ok((Version::One, "/sys/fs/cgroup/cpu,cpuacct/".into())));
        assert_eq!(at("pids"), Ok((Version::One, "/sys/fs/cgroup/pids/x".into())));
        assert_eq!(at("freezer"), Ok((Version::Two, "/sys/fs/cgroup/unified/user".into())));
        assert!(candidate("memory", "", "").is_err());
    }
}
