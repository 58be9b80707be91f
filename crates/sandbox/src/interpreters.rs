//! Which interpreters this machine has, and which of them runs a given runtime identifier.
//!
//! An exact version is taken if there is one; else the nearest higher of the same language, else the nearest lower. A
//! function's log says which it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::jail::prefix_of;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    NodeJs,
    Python,
    Java,
    Ruby,
    DotNet,
    Provided,
}

pub type Version = (u32, u32, u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    pub language: Language,
    pub version: Version,
    /// Its real path, without links.
    pub executable: PathBuf,
    /// What must be visible for it beyond the system's folders.
    pub prefix: Option<PathBuf>,
}

/// A runtime identifier taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub language: Language,
    /// (0, 0): any.
    pub version: (u32, u32),
}

impl Wanted {
    /// `nodejs4.3`, `nodejs20.x`, `python3.12`, `java8.al2`, `provided.al2023`, `dotnetcore3.1`, `ruby3.3`, `go1.x`.
    pub fn parse(runtime: &str) -> Option<Wanted> {
        let start = runtime.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(runtime.len());
        let (name, rest) = runtime.split_at(start);
        let language = match name {
            "nodejs" => Language::NodeJs,
            "python" => Language::Python,
            "java" => Language::Java,
            "ruby" => Language::Ruby,
            "dotnet" | "dotnetcore" => Language::DotNet,
            "provided" | "go" => Language::Provided,
            _ => return None,
        };
        let mut numbers = rest.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let version = match language {
            Language::Provided => (0, 0),
            // The first AWS had, without a number.
            Language::NodeJs if rest.is_empty() => (0, 10),
            _ => (next(), next()),
        };
        Some(Wanted { language, version })
    }
}

/// What was chosen for a runtime.
#[derive(Clone, Debug)]
pub struct Choice {
    pub interpreter: Interpreter,
    pub exact: bool,
}

#[derive(Default)]
pub struct Interpreters {
    found: Vec<Interpreter>,
}

impl Interpreters {
    /// Looks through the search path and the folders of version managers. Runs `node --version` where nothing else tells.
    pub fn scan(search_path: &str, home: Option<&Path>) -> Interpreters {
        let mut places: Vec<PathBuf> = search_path.split(':').map(PathBuf::from).collect();
        places.extend(["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from));
        if let Some(home) = home {
            for (folder, below) in MANAGERS {
                places.extend(children(&home.join(folder)).map(|version| version.join(below)));
            }
        }
        places.extend(children(Path::new("/usr/lib/jvm")).map(|java| java.join("bin")));
        places
            .extend(children(Path::new("/usr/local/n/versions/node")).map(|node| node.join("bin")));
        let mut found = BTreeMap::new();
        for place in places {
            for interpreter in in_folder(&place) {
                found.entry(interpreter.executable.clone()).or_insert(interpreter);
            }
        }
        Interpreters { found: found.into_values().collect() }
    }

    /// The best for a runtime, or what to install.
    pub fn choose(&self, runtime: &str) -> Result<Choice, String> {
        let Some(wanted) = Wanted::parse(runtime) else {
            return Err(format!("{runtime} is not a runtime that Sereno knows"));
        };
        let same = |version: Version| (version.0, version.1) == wanted.version;
        let fits = |version: Version| match wanted.language {
            // A Python 2 program is not a Python 3 program.
            Language::Python => version.0 == wanted.version.0,
            _ => true,
        };
        // Node.js and Java count by their first number only.
        let major_only =
            matches!(wanted.language, Language::NodeJs | Language::Java) && wanted.version.1 == 0;
        let rank = |version: Version| -> (u8, i64) {
            let distance = |v: (u32, u32)| i64::from(v.0) * 1000 + i64::from(v.1);
            let there = distance((version.0, version.1));
            let here = distance(wanted.version);
            if same(version) || (major_only && version.0 == wanted.version.0) {
                (0, -i64::from(version.1) * 1000 - i64::from(version.2))
            } else if there > here {
                (1, there)
            } else {
                (2, -there)
            }
        };
        let candidates = self.found.iter().filter(|found| found.language == wanted.language);
        let best = candidates.filter(|found| fits(found.version)).min_by_key(|f| rank(f.version));
        match best {
            Some(best) => {
                let exact = rank(best.version).0 == 0;
                Ok(Choice { interpreter: best.clone(), exact })
            }
            None => Err(missing(runtime, wanted)),
        }
    }
}

/// Folders of version managers below the home folder, and where programs are below each version.
const MANAGERS: [(&str, &str); 9] = [
    (".pyenv/versions", "bin"),
    (".nvm/versions/node", "bin"),
    (".local/share/fnm/node-versions", "installation/bin"),
    (".fnm/node-versions", "installation/bin"),
    (".nodenv/versions", "bin"),
    (".asdf/installs/nodejs", "bin"),
    (".asdf/installs/python", "bin"),
    (".local/share/mise/installs/node", "bin"),
    (".sdkman/candidates/java", "bin"),
];

fn missing(runtime: &str, wanted: Wanted) -> String {
    let what = match wanted.language {
        Language::NodeJs => "Node.js (the `node` command)".to_owned(),
        Language::Python => format!("Python {} (a `python{0}.x` command)", wanted.version.0.max(2)),
        Language::Java => "a Java runtime (the `java` command)".to_owned(),
        Language::Ruby => "Ruby (the `ruby` command)".to_owned(),
        Language::DotNet => ".NET (the `dotnet` command)".to_owned(),
        Language::Provided => "nothing".to_owned(),
    };
    format!(
        "The runtime {runtime} needs {what}, which is not on this machine. Install it, on the server's PATH."
    )
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn in_folder(folder: &Path) -> Vec<Interpreter> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| interpreter(folder, &name)).collect()
}

fn interpreter(folder: &Path, name: &str) -> Option<Interpreter> {
    let language = match name {
        "node" => Language::NodeJs,
        "java" => Language::Java,
        "ruby" => Language::Ruby,
        "dotnet" => Language::DotNet,
        _ if python_version(name).is_some() => Language::Python,
        _ => return None,
    };
    let executable = fs::canonicalize(folder.join(name)).ok()?;
    if !is_program(&executable) {
        return None;
    }
    let version = match language {
        Language::Python => full_python_version(name, &executable)?,
        Language::NodeJs => node_version(&executable)?,
        Language::Java => java_version(&executable)?,
        _ => asked_version(&executable, "--version")?,
    };
    let prefix = prefix_of(&executable);
    Some(Interpreter { language, version, executable, prefix })
}

/// Version managers put scripts of the same names on the path that need their own environment.
fn is_program(path: &Path) -> bool {
    let mut magic = [0u8; 4];
    let read =
        fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// `python3.11`, and nothing like `python3.11-config`.
fn python_version(name: &str) -> Option<(u32, u32)> {
    let (major, minor) = name.strip_prefix("python")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn full_python_version(name: &str, executable: &Path) -> Option<Version> {
    let (major, minor) = python_version(name)?;
    // .../versions/3.11.7/bin/python3.11
    let folder = executable.parent()?.parent()?.file_name()?.to_str()?;
    let patch = numbers(folder).filter(|(a, b, _)| (*a, *b) == (major, minor)).map_or(0, |v| v.2);
    Some((major, minor, patch))
}

fn node_version(executable: &Path) -> Option<Version> {
    let prefix = executable.parent()?.parent()?;
    let header = fs::read_to_string(prefix.join("include/node/node_version.h")).ok();
    let from_header = header.as_deref().and_then(|text| {
        let define = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok())
        };
        Some((
            define("NODE_MAJOR_VERSION ")?,
            define("NODE_MINOR_VERSION ")?,
            define("NODE_PATCH_VERSION ")?,
        ))
    });
    from_header.or_else(|| asked_version(executable, "--version"))
}

fn java_version(executable: &Path) -> Option<Version> {
    let release = fs::read_to_string(executable.parent()?.parent()?.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let version = numbers(line.trim_matches('"'))?;
    // "1.8.0_412" is Java 8.
    Some(if version.0 == 1 { (version.1, version.2, 0) } else { version })
}

fn asked_version(executable: &Path, option: &str) -> Option<Version> {
    let output = Command::new(executable).arg(option).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().find_map(|word| numbers(word.trim_start_matches('v')))
}

fn numbers(text: &str) -> Option<Version> {
    let mut parts = text.split(['.', '_', '-', '+']).map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(list: &[(Language, Version)]) -> Interpreters {
        let found = list.iter().map(|(language, version)| Interpreter {
            language: *language,
            version: *version,
            executable: PathBuf::from(format!("/usr/bin/x{version:?}")),
            prefix: None,
        });
        Interpreters { found: found.collect() }
    }

    #[test]
    fn every_identifier_is_understood() {
        let table = [
            ("nodejs", Language::NodeJs, (0, 10)),
            ("nodejs4.3", Language::NodeJs, (4, 3)),
            ("nodejs4.3-edge", Language::NodeJs, (4, 3)),
            ("nodejs20.x", Language::NodeJs, (20, 0)),
            ("python2.7", Language::Python, (2, 7)),
            ("python3.13", Language::Python, (3, 13)),
            ("java8", Language::Java, (8, 0)),
            ("java8.al2", Language::Java, (8, 0)),
            ("java21", Language::Java, (21, 0)),
            ("dotnetcore3.1", Language::DotNet, (3, 1)),
            ("dotnet8", Language::DotNet, (8, 0)),
            ("ruby3.3", Language::Ruby, (3, 3)),
            ("go1.x", Language::Provided, (0, 0)),
            ("provided", Language::Provided, (0, 0)),
            ("provided.al2023", Language::Provided, (0, 0)),
        ];
        for (runtime, language, version) in table {
            assert_eq!(Wanted::parse(runtime), Some(Wanted { language, version }), "{runtime}");
        }
        assert_eq!(Wanted::parse("cobol"), None);
    }

    #[test]
    fn the_nearest_version_runs_it() {
        let machine = installed(&[
            (Language::NodeJs, (18, 1, 0)),
            (Language::NodeJs, (20, 20, 2)),
            (Language::Python, (2, 7, 18)),
            (Language::Python, (3, 9, 1)),
            (Language::Python, (3, 12, 1)),
        ]);
        let chosen = |runtime: &str| {
            machine.choose(runtime).map(|choice| (choice.interpreter.version, choice.exact))
        };
        assert_eq!(chosen("nodejs18.x"), Ok(((18, 1, 0), true)));
        assert_eq!(chosen("nodejs4.3"), Ok(((18, 1, 0), false)));
        assert_eq!(chosen("nodejs22.x"), Ok(((20, 20, 2), false)));
        assert_eq!(chosen("python3.9"), Ok(((3, 9, 1), true)));
        assert_eq!(chosen("python3.10"), Ok(((3, 12, 1), false)));
        assert_eq!(chosen("python3.14"), Ok(((3, 12, 1), false)));
        assert_eq!(chosen("python2.7"), Ok(((2, 7, 18), true)));
        assert!(chosen("java21").unwrap_err().contains("Install it"));
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Interpreters::scan("/usr/local/bin:/usr/bin", None);
        for found in &machine.found {
            assert!(found.executable.is_absolute());
        }
    }
}
